r"""A completion that comes in pieces, and is closed where the JSON object that it consists of ends.

A small model rambles on behind its verdict, up to the limit of tokens; a server that sees the connection
closed stops. No stop sequence does that: verdicts are nested, and servers cut the sequence off.

    data: {"choices": [{"delta": {"content": "{\"reason\": "}, "finish_reason": null}]}

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
import re
from typing import Any

from harness.data.thoughts import THOUGHT_FIELDS

CONTENT_TYPE = "text/event-stream"

_OPENING = re.compile(r"\s*(```(?:json)?\s*)?\{", re.IGNORECASE)
_MARK = re.compile(r'\\.|["{}]', re.DOTALL)


class EventStream:
    """The completion that the pieces of a stream make; `ended` once no more of them is needed."""

    def __init__(self) -> None:
        self.ended = False
        self._rest = b""
        self._texts: dict[str, list[str]] = {}
        self._last: dict[str, Any] = {}
        self._finish: str | None = None
        self._usage: object = None

    def feed(self, data: bytes) -> None:
        """Read the next bytes, which may end within a line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            field, _, value = line.partition(b":")
            if field == b"data" and not self.ended:
                self._read_event(value.strip())

    def completion(self) -> bytes | None:
        """Return the whole as the server would have sent it at once; None where it broke off."""
        if self._last.get("error"):
            return json.dumps(self._last).encode()
        if not self.ended and self._finish is None:
            return None
        pieces = self._texts.get("content", [])
        message = {name: "".join(texts) for name, texts in self._texts.items()}
        choice = {"message": {"content": None} | message, "finish_reason": self._finish or "stop"}
        # A piece is a token at least. What was closed early has no other count.
        usage = self._usage or {"completion_tokens": len(pieces)}
        whole = {"model": self._last.get("model"), "choices": [choice], "usage": usage}
        return json.dumps(whole).encode()

    def _read_event(self, value: bytes) -> None:
        if value == b"[DONE]":
            self.ended = self._finish is not None
            return
        event = json.loads(value)
        self._last = event
        self._usage = event.get("usage") or self._usage
        for choice in event.get("choices") or ():
            self._finish = choice.get("finish_reason") or self._finish
            for name in ("content", "refusal", *THOUGHT_FIELDS):
                if piece := choice["delta"].get(name):
                    self._texts.setdefault(name, []).append(piece)
                    self.ended |= name == "content" and self._closes(piece)

    def _closes(self, piece: str) -> bool:
        return ("}" in piece or "`" in piece) and is_whole_object("".join(self._texts["content"]))


def is_whole_object(text: str) -> bool:
    """Return whether a text is a JSON object whose last brace is closed, with what fences it.

    A text that begins with words is none: a model that thinks may draft its verdict.
    """
    opening = _OPENING.match(text)
    if opening is None:
        return False
    depth, quoted = 0, False
    for mark in _MARK.finditer(text, opening.end() - 1):
        if mark[0] == '"':
            quoted = not quoted
        elif not quoted and mark[0] in "{}":
            depth += 1 if mark[0] == "{" else -1
            if depth == 0:
                return not opening[1] or len(text[mark.end() :].strip()) >= len("```")
    return False
