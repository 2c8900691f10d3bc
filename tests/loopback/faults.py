"""What can go wrong with one answer of a chat endpoint, by name, and when it does.

A chooser decides what befalls each request: `script` by order of arrival, `mixed` by a seeded
share, or any function of the request.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

Kind = Literal[
    # Refusals, as HTTP statuses.
    "400", "401", "402", "403", "404", "429", "500", "502", "503", "529",
    "insufficient_quota", "context_length", "prompt_filtered", "redirect",
    # A status of 200 around something that is no answer.
    "html", "error_200", "no_choices", "null_choices", "no_json", "no_body", "deep_json", "huge",
    # The connection misbehaves.
    "reset", "short_body", "drip", "hang", "hang_up",
    # An answer, but not the one that was wanted.
    "truncated", "fenced", "prose", "refusal", "empty", "null", "content_filter", "length",
    "surrogate", "no_usage", "tool_calls",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)


class Request(NamedTuple):
    """A request as the server saw it; `attempt` counts earlier ones with the same body."""

    number: int
    attempt: int
    body: dict[str, Any]
    headers: dict[str, str]
    at: float

    @property
    def prompt(self) -> str:
        """What the last message says."""
        content: str = self.body["messages"][-1]["content"]
        return content


@dataclass(frozen=True)
class Fault:
    """What befalls a request: `headers` go out with it, `seconds` is how long a drip or hang takes.

    A `hang_up` answers well, and closes the connection under the request that comes next on it.

    `echo` adds the request's Authorization header to the body, as a careless proxy would.
    """

    kind: Kind
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 3600.0
    echo: bool = False


Chooser = Callable[[Request], Fault | None]


def always(kind: Kind, **options: Any) -> Chooser:
    """The same fault for everyone."""
    return lambda _: Fault(kind, **options)


def script(*faults: Fault | Kind | None) -> Chooser:
    """One fault for each request in order of arrival; afterwards all is well."""
    made = [Fault(fault) if isinstance(fault, str) else fault for fault in faults]
    return lambda request: made[request.number] if request.number < len(made) else None


def mixed(share: float, faults: Sequence[Fault | Kind], *, seed: int) -> Chooser:
    """A share of all requests at random; body and attempt decide, so any order gives the same."""
    made = [Fault(fault) if isinstance(fault, str) else fault for fault in faults]

    def choose(request: Request) -> Fault | None:
        key = f"{seed}:{request.attempt}:{json.dumps(request.body, sort_keys=True)}"
        drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
        return made[int(drawn / share * len(made))] if drawn < share else None

    return choose


class Answer(NamedTuple):
    """A whole HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer_well(text: str | None, request: Request, **message: Any) -> Answer:
    """A chat completion that says `text`; a token is a word."""
    finish = message.pop("finish_reason", "stop")
    words = sum(len(m["content"].split()) for m in request.body["messages"])
    said = len((text or "").split())
    usage = {"prompt_tokens": words, "completion_tokens": said, "total_tokens": words + said}
    content = {"role": "assistant", "content": text, **message}
    return _json(
        200,
        {
            "id": f"chatcmpl-{request.number}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": request.body.get("model", "none"),
            "choices": [{"index": 0, "message": content, "finish_reason": finish}],
            "usage": usage,
        },
    )


def answer_badly(fault: Fault, text: str, request: Request) -> Answer:
    """The HTTP answer of a fault; for a short body or a drip, the answer it spoils."""
    answer = _bad(fault, text, request)
    echoed = request.headers.get("authorization", "") if fault.echo else ""
    return Answer(
        answer.status,
        answer.headers | fault.headers,
        answer.body.replace(b"ECHO", echoed.encode() or b"."),
    )


def _bad(fault: Fault, text: str, request: Request) -> Answer:
    if fault.kind in _STATUS:
        return _refuse(*_STATUS[fault.kind])
    match fault.kind:
        case "redirect":
            return Answer(307, {"Location": "http://127.0.0.1:9/elsewhere"}, b"")
        case "html":
            return Answer(200, {"Content-Type": "text/html"}, b"<html>Sign in, ECHO</html>")
        case "error_200":
            return _json(200, {"error": {"message": "upstream failed ECHO", "code": 502}})
        case "no_choices" | "null_choices":
            return _json(200, {"choices": [] if fault.kind == "no_choices" else None})
        case "no_json":
            return Answer(200, {}, b'{"choices": [{"mess')
        case "no_body":
            return Answer(200, {}, b"")
        case "deep_json":
            return Answer(200, {}, b"[" * 200_000)
        case "huge":
            return answer_well("x" * 11_000_000, request)
    return _unwanted(fault.kind, text, request)


def _unwanted(kind: Kind, text: str, request: Request) -> Answer:
    match kind:
        case "truncated":
            return answer_well(text[: len(text) // 2], request)
        case "fenced":
            return answer_well(f"```json\n{text}\n```", request)
        case "prose":
            return answer_well(f"Here is my verdict: {text} I hope it helps.", request)
        case "refusal":
            return answer_well(None, request, refusal="I can't help with that.")
        case "empty":
            return answer_well(" \n", request)
        case "null":
            return answer_well(None, request)
        case "tool_calls":
            return answer_well(None, request, finish_reason="tool_calls")
        case "content_filter" | "length":
            return answer_well(text[: len(text) // 2], request, finish_reason=kind)
        case "surrogate":
            return answer_well(text + "\ud83d", request)
        case "no_usage":
            answer = answer_well(text, request)
            body = {k: v for k, v in json.loads(answer.body).items() if k != "usage"}
            return _json(200, body)
    return answer_well(text, request)


_STATUS: dict[str, tuple[int, str, str]] = {
    "400": (400, "invalid_request", "Unsupported value ECHO"),
    "401": (401, "invalid_api_key", "Incorrect API key provided: ECHO"),
    "402": (402, "insufficient_balance", "Payment required ECHO"),
    "403": (403, "forbidden", "Country not supported ECHO"),
    "404": (404, "model_not_found", "The model does not exist ECHO"),
    "429": (429, "rate_limit_exceeded", "Rate limit reached ECHO"),
    "500": (500, "server_error", "The server had an error ECHO"),
    "502": (502, "bad_gateway", "Bad gateway ECHO"),
    "503": (503, "overloaded", "Overloaded ECHO"),
    "529": (529, "overloaded", "Overloaded ECHO"),
    "insufficient_quota": (429, "insufficient_quota", "You exceeded your current quota ECHO"),
    "context_length": (400, "context_length_exceeded", "Maximum context length is 8192 ECHO"),
    "prompt_filtered": (400, "content_filter", "The prompt was filtered ECHO"),
}


def _refuse(status: int, code: str, message: str) -> Answer:
    return _json(status, {"error": {"message": message, "type": code, "code": code}})


def _json(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())
