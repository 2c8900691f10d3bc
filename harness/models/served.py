"""Does a server still hold the model whose answers are stored?

A model redeployed behind the same name and URL would get the old answers. So a run that has stored
answers first asks the server what it holds (`GET /models`, which costs nothing). Where the list
vouches for the model, with the same fields as when the answers were stored and a time of creation
among them, nothing more is asked. Otherwise up to three stored greedy answers are asked for once
more, and compared.

vLLM and llama.cpp report the time of the request as `created`; such a time vouches for nothing.
https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
"""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from harness.core.sanitize import printable_line
from harness.types import Record

N_PROBES = 3
SAME_SHARE = 0.5  # of a text: greedy answers of one server diverge late, those of two models early
REQUEST_TIME_S = 600.0  # a creation within this of now is the time of the request
MAX_FIELDS = 20
_OF_THE_ANSWER = {"id", "object", "permission"}  # not of the model


class ServedModel(Record):
    """What a server's list told of a model when its answers were stored."""

    fields: dict[str, str]


class ServedCheck(NamedTuple):
    """What a run found of the server behind stored answers; `caveat` is what a reader should know."""

    ok: bool
    detail: str
    caveat: str | None = None


def lists_models(listed: bytes | None) -> bool:
    """Return whether a server's answer is a list of models, and not a page of something else."""
    try:
        return isinstance(json.loads(listed or b"null")["data"], list)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def describe_served(listed: bytes | None, model: str) -> dict[str, str]:
    """Return what the server's list tells of the model, by field; nothing where it is not listed."""
    try:
        entries = json.loads(listed or b"null")["data"]
        (entry,) = [e for e in entries if isinstance(e, dict) and e.get("id") == model]
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    fields = {
        printable_line(str(name), limit=60): printable_line(str(value), limit=200)
        for name, value in entry.items()
        if name not in _OF_THE_ANSWER and isinstance(value, str | int | float | bool)
    }
    if not _is_past(entry.get("created")):
        fields.pop("created", None)
    return dict(sorted(fields.items())[:MAX_FIELDS])


def vouches(stored: dict[str, str] | None, now: dict[str, str]) -> bool:
    """Return whether the server's own words show that it holds the same model as then."""
    return "created" in now and stored == now


def name_change(stored: dict[str, str] | None, now: dict[str, str]) -> str:
    """Describe the first field that differs; nothing where none does, or nothing was known."""
    for name in sorted((stored or {}).keys() & now.keys()):
        if stored is not None and stored[name] != now[name]:
            return f"{name} was {stored[name]} and is {now[name]}"
    return ""


def choose_probes(texts: Sequence[str]) -> list[int]:
    """Return the indices of up to three answers, of about median length: telling, and not dear."""
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    start = max(0, (len(order) - N_PROBES) // 2)
    return order[start : start + N_PROBES]


def is_same_answer(stored: str, now: str) -> bool:
    """Return whether both begin alike for at least half of the shorter one."""
    if stored.strip() == now.strip():
        return True
    shorter = min(len(stored), len(now))
    alike = next((i for i in range(shorter) if stored[i] != now[i]), shorter)
    return alike > 0 and alike >= SAME_SHARE * shorter


def describe_dates(dates: Sequence[int]) -> str:
    """Return the day or days on which rows were made."""
    if not dates:
        return "at an unknown date"
    first, last = (
        datetime.fromtimestamp(d, UTC).date().isoformat() for d in (min(dates), max(dates))
    )
    return f"on {first}" if first == last else f"from {first} to {last}"


def _is_past(created: object) -> bool:
    return type(created) in (int, float) and 0 < created < time.time() - REQUEST_TIME_S  # type: ignore[operator]
