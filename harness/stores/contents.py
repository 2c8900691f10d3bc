"""What of a stored row is its content: two machines that asked the same may differ in names and times."""

import json
from typing import Any

from harness.retrieval.server import PROBED, is_same_model

# Names of this run, and times: the key, which covers everything else, is the same without them.
_NOT_CONTENT = {
    "response": ("sample_id", "model"),
    "reply": ("seconds", "attempts"),
}


def is_same_content(kind: str, first: str, second: str) -> bool:
    """Return whether the bodies of two rows of one key say the same, but for names and times."""
    return bool(_content(kind, first) == _content(kind, second))


def common_fields(key: str, first: str, second: str) -> str | None:
    """Return what two rows tell alike of a server; None for rows that must not differ.

    Several machines may each have a server of their own, which a run then asks whether it holds the
    same model; it need not know of fields in which they differ, such as a path. Answers of a process to
    probes are what it compares a server with, in its own last digits: the first one's do. So do those of a server of
    vectors or scores, unless another model gave them.
    """
    if key.startswith("probes "):
        return first
    bodies = json.loads(first), json.loads(second)
    if key.startswith(PROBED):
        return first if is_same_model(*(body["values"] for body in bodies)) else None
    if key.startswith(("renewed ", "format ")) or not all("fields" in body for body in bodies):
        return None
    fields, others = (body["fields"] for body in bodies)
    common = {name: value for name, value in fields.items() if others.get(name) == value}
    return json.dumps({"fields": common}, separators=(",", ":"), ensure_ascii=False)


def _content(kind: str, body: str) -> Any:
    try:
        content = json.loads(body)
    except ValueError:
        return body
    if not isinstance(content, dict):
        return content
    for name in _NOT_CONTENT.get(kind, ()):
        content.pop(name, None)
    if isinstance(content.get("exchange"), dict):
        content["exchange"].pop("seconds", None)
        content["exchange"].pop("prompt", None)  # which rows of earlier versions lack
    return content
