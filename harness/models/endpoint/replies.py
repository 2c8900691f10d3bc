"""The meaning of a chat endpoint's HTTP answer and what to do next. Nothing here waits or sends.

A 200 is read as strictly as it can be: portals answer in HTML, gateways put an error into a 200,
and overloaded servers leave out the choices.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field

from harness.core.retries import retry_after
from harness.core.sanitize import printable_line
from harness.data.thoughts import THOUGHT_FIELDS
from harness.types import Record
from harness.types.samples import MAX_TOKENS

Problem = Literal[
    "timeout",  # no answer before the deadline
    "unreachable",  # no connection, or it broke
    "rate_limited",  # 429 until the deadline
    "server_error",  # 5xx
    "garbage",  # a 200 that is no chat completion
    "too_large",
    "bad_request",  # 400 and similar: a fault of this request, not of the endpoint
    "context_length",
    "content_filter",
    "length",  # cut off at max_tokens; the text is kept
    "refusal",
    "empty",
]

# Repeated for every request, these mean that the endpoint is down, not that the requests are bad.
OUTAGE_PROBLEMS: frozenset[Problem] = frozenset(
    {"timeout", "unreachable", "rate_limited", "server_error", "garbage", "bad_request"}
)


class Reply(Record):
    """The answer to one request, or the `problem` that prevented it.

    `seconds` runs from the first attempt's start to the end; `attempts` counts HTTP requests. `model`
    is the name under which the server answered, `thoughts` what it gave as such apart from the text.
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
    model: str | None = Field(default=None, exclude_if=lambda model: model is None)
    thoughts: str | None = Field(default=None, exclude_if=lambda text: text is None)


class AttemptResult(NamedTuple):
    """The result of one attempt, and the next step.

    final         good or bad, it ends the request
    retry         another attempt may succeed, after `wait_s` if that is known
    rate_limited  as retry, and the endpoint wants fewer calls
    fatal         every other request would fail in the same way
    """

    step: Literal["final", "retry", "rate_limited", "fatal"]
    problem: Problem | None = None
    detail: str | None = None
    text: str | None = None
    finish: str | None = None
    refusal: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    wait_s: float | None = None
    model: str | None = None
    thoughts: str | None = None


def read_reply(status: int, headers: Mapping[str, str], body: bytes) -> AttemptResult:
    """Read an HTTP answer into a result; never raises, whatever the server sends."""
    try:
        return _read_completion(body) if status == 200 else _read_refusal(status, headers, body)
    except Exception as error:  # noqa: BLE001 - an odd answer must not end the run for good
        return _garbage(f"HTTP {status}: the answer cannot be read ({type(error).__name__})")


# --- completions -----------------------------------------------------------------------------

# Endings that are the server's and not the model's: a part of an answer is none. The words of vLLM and SGLang,
# OpenRouter and Mistral, DeepSeek, and Zhipu.
_BROKEN_OFF = {"abort", "error", "insufficient_system_resource", "network_error"}
# The limit of tokens as Anthropic and Gemini, and Mistral call it, whose words some gateways hand on.
_CUT_OFF = {"length", "max_tokens", "model_length"}


def _read_completion(body: bytes) -> AttemptResult:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        # ValueError covers bad UTF-8 and numbers of thousands of digits.
        excerpt = printable_line(body[:200].decode("utf-8", "replace"), limit=80)
        return _garbage(f"the answer is no JSON: {excerpt!r}")
    if not isinstance(data, dict):
        return _garbage("the answer is no JSON object")
    match data.get("choices"):
        case [{"message": dict() as message} as choice, *_] if _ends(choice, message):
            if failure := _failure_beside(data, choice):
                return _garbage(failure)
            result = _read_choice(choice, message, data.get("usage"))
            return result._replace(model=_model_name(data.get("model")))
    error = _error_from(data)
    return _garbage(f"an error in a 200: {error.message}" if error else "no choices in the answer")


def _failure_beside(data: dict[str, Any], choice: dict[str, Any]) -> str | None:
    """Return what a server says of an answer that it broke off itself; None of a whole one."""
    errors = (_error_from(part) for part in (data, choice) if part.get("error"))
    if error := next(filter(None, errors), None):
        return f"an error in a 200: {error.message}"
    ending = str(choice.get("finish_reason")).lower()
    return f"the server ended its answer by '{ending}'" if ending in _BROKEN_OFF else None


def _model_name(name: object) -> str | None:
    return printable_line(name, limit=200) if isinstance(name, str) and name.strip() else None


def _ends(choice: dict[str, Any], message: dict[str, Any]) -> bool:
    """Return whether this is a completion: with content, or ended for a reason without any.

    Filtered completions and those that spent all tokens on thought may come without `content`.
    """
    if "content" not in message:
        return isinstance(choice.get("finish_reason"), str)
    return isinstance(message["content"], str | list | None)


def _text_of(content: object) -> str | None:
    """Return content as text: the text parts of a list, without its thoughts; None without any."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    parts = [part if isinstance(part, str) else _text_of_part(part) for part in content]
    texts = [part for part in parts if part is not None]
    return "".join(texts) if texts else None


def _text_of_part(part: object) -> str | None:
    match part:
        case {"type": "text" | "output_text", "text": str() as text}:
            return text
    return None


def _thoughts_of(message: dict[str, Any]) -> str | None:
    """Return the thoughts that a server gives beside the content, or as parts of it."""
    beside = [message[field] for field in THOUGHT_FIELDS if isinstance(message.get(field), str)]
    content = message.get("content")
    parts = [_thoughts_of_part(part) for part in content] if isinstance(content, list) else []
    thoughts = next((text for text in (*beside, "".join(parts)) if text.strip()), None)
    return None if thoughts is None else _replace_surrogates(thoughts)


def _thoughts_of_part(part: object) -> str:
    match part:
        case {"type": "thinking", "thinking": str() as text}:
            return text
        case {"type": "thinking", "thinking": list() as texts}:
            return _text_of(texts) or ""
    return ""


def _read_choice(choice: dict[str, Any], message: dict[str, Any], usage: object) -> AttemptResult:
    finish = choice.get("finish_reason")
    refusal = message.get("refusal")
    text = _text_of(message.get("content"))
    result = AttemptResult(
        "final",
        text=None if text is None else _replace_surrogates(text),
        finish=finish if isinstance(finish, str) else None,
        refusal=_replace_surrogates(refusal)
        if isinstance(refusal, str) and refusal.strip()
        else None,
        input_tokens=_count(usage, "prompt_tokens", least=1),
        output_tokens=_count(usage, "completion_tokens", least=1 if text else 0),
        thoughts=_thoughts_of(message),
    )
    return result._replace(problem=_completion_problem(result))


def _completion_problem(result: AttemptResult) -> Problem | None:
    if result.finish == "content_filter":
        return "content_filter"
    if result.refusal:
        return "refusal"
    if (result.finish or "").lower() in _CUT_OFF:
        return "length"
    return None if result.text and result.text.strip() else "empty"


def _replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which no store or file can hold, by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(usage: object, name: str, *, least: int) -> int | None:
    """Return a count of tokens; None, as if unreported, where it cannot be one.

    A request has a token at least, and so has an answer with a text: a server that counts none of them
    must not make a budget endless.
    """
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int and least <= value <= MAX_TOKENS else None


def _garbage(detail: str) -> AttemptResult:
    return AttemptResult("retry", "garbage", detail)


# --- errors ----------------------------------------------------------------------------------

# A key, a plan, a model or a URL is wrong: every request would fail in the same way.
_FATAL_STATUS = {401, 402, 403, 404, 405}
_FATAL_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_RETRY_STATUS = {408, 409, 425}
# `transformers serve` says by 400 and 422 that it has another model, or does not know a field.
_EVERY_REQUEST = re.compile(r"server is pinned to|unexpected fields in the request", re.I)

_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum context|prompt is too long|too many tokens", re.I
)


class _Error(NamedTuple):
    codes: frozenset[str]
    message: str


def _read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> AttemptResult:
    error = _read_error(body)
    detail = f"HTTP {status}: {error.message}" if error.message else f"HTTP {status}"
    wait_s = retry_after(headers)
    if 300 <= status < 400:
        target = printable_line(headers.get("location", "elsewhere"))
        return AttemptResult(
            "fatal", detail=f"{detail}: redirects to {target}; set base_url to that"
        )
    every_request = status < 500 and _EVERY_REQUEST.search(error.message)
    if status in _FATAL_STATUS or error.codes & _FATAL_CODES or every_request:
        return AttemptResult("fatal", detail=detail)
    if status == 429:
        return AttemptResult("rate_limited", "rate_limited", detail, wait_s=wait_s)
    if status >= 500 or status in _RETRY_STATUS:
        return AttemptResult("retry", "server_error", detail, wait_s=wait_s)
    if status < 300:
        return _garbage(detail)
    return AttemptResult("final", _request_problem(status, error), detail)


def _request_problem(status: int, error: _Error) -> Problem:
    if error.codes & {"content_filter", "content_policy_violation"}:
        return "content_filter"
    long = "context_length_exceeded" in error.codes or _TOO_LONG.search(error.message)
    return "context_length" if long or status == 413 else "bad_request"


def _read_error(body: bytes) -> _Error:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return _Error(frozenset(), printable_line(body[:2000].decode("utf-8", "replace")))
    error = _error_from(data) if isinstance(data, dict) else None
    return error or _Error(frozenset(), "")


def _error_from(data: dict[str, Any]) -> _Error | None:
    """Read OpenAI's `{"error": {…}}`, and the simpler forms of vLLM, Ollama and FastAPI."""
    inner = data.get("error", data)
    if isinstance(inner, str):
        return _Error(frozenset(), printable_line(inner))
    if not isinstance(inner, dict):
        return None
    codes = frozenset(v for v in (inner.get("code"), inner.get("type")) if isinstance(v, str))
    message = inner.get("message", inner.get("detail"))
    if message is None and not codes:
        return None
    return _Error(codes, printable_line(str(message or "")))
