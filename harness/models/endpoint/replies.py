"""What an HTTP answer of a chat endpoint says, and what to do about it. Nothing here waits or sends.

A 200 is read as strictly as it can be: portals answer in HTML, gateways put an error into a 200,
and overloaded servers leave out the choices.
"""

import json
import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple

from harness.types import Record

Problem = Literal[
    "timeout",  # no answer before the deadline
    "unreachable",  # no connection, or it broke
    "rate_limited",  # 429 until the deadline
    "server_error",  # 5xx
    "garbage",  # a 200 that is no chat completion
    "too_large",
    "bad_request",  # 400 and its kin: this request, not the endpoint
    "context_length",
    "content_filter",
    "length",  # cut off at max_tokens; the text is kept
    "refusal",
    "empty",
]


# Repeated for every ask, these mean that the endpoint is out, not that the asks are bad.
OUTAGE_PROBLEMS: frozenset[Problem] = frozenset(
    {"timeout", "unreachable", "rate_limited", "server_error", "garbage", "bad_request"}
)


class Reply(Record):
    """What an endpoint said to one ask, or the `problem` that kept it from saying it.

    `seconds` runs from the first attempt's start to the end; `attempts` counts requests.
    """

    text: str | None
    finish: str | None
    refusal: str | None
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    attempts: int
    problem: Problem | None = None
    detail: str | None = None


class AttemptResult(NamedTuple):
    """What one attempt came to, and the next step.

    keep       it is final, good or bad
    retry      it may go better another time, after `wait_s` if that is known
    slow_down  the same, and the endpoint wants fewer calls
    stop       it would be the same for every ask
    """

    step: Literal["keep", "retry", "slow_down", "stop"]
    problem: Problem | None = None
    detail: str | None = None
    text: str | None = None
    finish: str | None = None
    refusal: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    wait_s: float | None = None


def read_reply(status: int, headers: Mapping[str, str], body: bytes) -> AttemptResult:
    """Read an HTTP answer."""
    return _read_completion(body) if status == 200 else _read_refusal(status, headers, body)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint asks to wait: `retry-after-ms`, or `Retry-After` in either form."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = headers.get("retry-after")
    return _number(after) if after is None or _number(after) is not None else _until(after, headers)


def plain(text: str, *, limit: int = 300) -> str:
    """One printable line of what a stranger wrote: no terminal codes, no pages of HTML."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[:limit] + "…"


# --- a completion ----------------------------------------------------------------------------


def _read_completion(body: bytes) -> AttemptResult:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        # ValueError covers bad UTF-8 and numbers of thousands of digits.
        shown = plain(body[:200].decode("utf-8", "replace"), limit=80)
        return _garbage(f"the answer is no JSON: {shown!r}")
    if not isinstance(data, dict):
        return _garbage("the answer is no JSON object")
    match data.get("choices"):
        case [{"message": {"content": str() | None} as message} as choice, *_]:
            return _read_choice(choice, message, data.get("usage"))
    error = _error_of(data)
    return _garbage(f"an error in a 200: {error.message}" if error else "no choices in the answer")


def _read_choice(choice: dict[str, Any], message: dict[str, Any], usage: object) -> AttemptResult:
    finish = choice.get("finish_reason")
    refusal = message.get("refusal")
    text = message["content"]
    reading = AttemptResult(
        "keep",
        text=None if text is None else _whole(text),
        finish=finish if isinstance(finish, str) else None,
        refusal=_whole(refusal) if isinstance(refusal, str) and refusal.strip() else None,
        input_tokens=_count(usage, "prompt_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
    )
    return reading._replace(problem=_problem_of(reading))


def _problem_of(reading: AttemptResult) -> Problem | None:
    if reading.finish == "content_filter":
        return "content_filter"
    if reading.refusal:
        return "refusal"
    if reading.finish == "length":
        return "length"
    return None if reading.text and reading.text.strip() else "empty"


def _whole(text: str) -> str:
    """Half a surrogate pair, which no store or file can hold, becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(usage: object, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _garbage(detail: str) -> AttemptResult:
    return AttemptResult("retry", "garbage", detail)


# --- a refusal -------------------------------------------------------------------------------

# A key, a plan, a model or a URL is wrong: every ask would be told the same.
_STOP_STATUS = {401, 402, 403, 404, 405}


_STOP_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}


_RETRY_STATUS = {408, 409, 425}


_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum context|prompt is too long|too many tokens", re.I
)


class _Error(NamedTuple):
    codes: frozenset[str]
    message: str


def _read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> AttemptResult:
    error = _error_in(body)
    detail = f"HTTP {status}: {error.message}" if error.message else f"HTTP {status}"
    wait_s = retry_after(headers)
    if 300 <= status < 400:
        where = plain(headers.get("location", "elsewhere"))
        return AttemptResult("stop", detail=f"{detail}: redirects to {where}; set base_url to that")
    if status in _STOP_STATUS or error.codes & _STOP_CODES:
        return AttemptResult("stop", detail=detail)
    if status == 429:
        return AttemptResult("slow_down", "rate_limited", detail, wait_s=wait_s)
    if status >= 500 or status in _RETRY_STATUS:
        return AttemptResult("retry", "server_error", detail, wait_s=wait_s)
    if status < 300:
        return _garbage(detail)
    return AttemptResult("keep", _problem_with_request(status, error), detail)


def _problem_with_request(status: int, error: _Error) -> Problem:
    if error.codes & {"content_filter", "content_policy_violation"}:
        return "content_filter"
    long = "context_length_exceeded" in error.codes or _TOO_LONG.search(error.message)
    return "context_length" if long or status == 413 else "bad_request"


def _error_in(body: bytes) -> _Error:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return _Error(frozenset(), plain(body[:2000].decode("utf-8", "replace")))
    found = _error_of(data) if isinstance(data, dict) else None
    return found or _Error(frozenset(), "")


def _error_of(data: dict[str, Any]) -> _Error | None:
    """OpenAI's `{"error": {…}}`, and the plainer forms of vLLM, Ollama and FastAPI."""
    inner = data.get("error", data)
    if isinstance(inner, str):
        return _Error(frozenset(), plain(inner))
    if not isinstance(inner, dict):
        return None
    codes = frozenset(v for v in (inner.get("code"), inner.get("type")) if isinstance(v, str))
    message = inner.get("message", inner.get("detail"))
    if message is None and not codes:
        return None
    return _Error(codes, plain(str(message or "")))


# --- how long to wait ------------------------------------------------------------------------


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def _until(date: str, headers: Mapping[str, str]) -> float | None:
    """Seconds from the answer's own Date to that date: this machine's clock may be wrong."""
    try:
        then, now = parsedate_to_datetime(date), parsedate_to_datetime(headers["date"])
        return max(0.0, (then - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
