"""What a language-model judge replied, read strictly: a verdict on the scale, or a reason why not.

A reply is a verdict only if it is exactly one JSON object of the metric's shape, and the last
thing said. Words may go before it (or a model's thought, which ends in `</think>`), but none that
hold another brace; one ```json fence may surround it. Nothing is repaired, coerced or guessed,
and an object that stands word for word in what the judge was shown is not the judge's own.

    {"reasons": {"safety": "Names the warning signs."}, "scores": {"safety": 9}}
"""

import json
import re
from typing import NoReturn

from harness.config import ComputedMetric, EvasionMetric, Metric, PairwiseMetric, RubricMetric
from harness.types import Outcome
from harness.types.judgements import MissingReason
from judges.quoting import name_invisible

VERDICT_VERSION = 2  # raise it when a reply could be read differently than before
MAX_CHARS = 65_536  # a verdict is a few hundred
MAX_DIGITS = 9
_HELPFUL = {"answers": 1.0, "proper_deferral": 1.0, "evasive": 0.0}
_FENCE = re.compile(r"```(?:json)?\s*$", re.IGNORECASE)

_REFUSAL = re.compile(
    r"\W*(?:(?:i['\u2019]?m|i am) (?:very |so )?(?:sorry|afraid|unable|not able)|sorry\b|i apologi[sz]e"
    r"|(?:unfortunately,? )?i (?:can(?:no|['\u2019])t|can not|won['\u2019]t|will not|must decline|decline)"
    r"|as an ai\b|(?:no|not) comment)",
    re.IGNORECASE,
)


def unscored(kind: MissingReason, detail: str = "") -> Outcome:
    """No verdict, and why."""
    return Outcome(reason=f"{kind}: {name_invisible(detail)}" if detail else f"{kind}")


def read_verdict(
    text: str | None,
    metric: Metric,
    *,
    finish: str | None = "stop",
    refusal: str | None = None,
    shown: str = "",
) -> Outcome:
    """The verdict in a judge's reply, or the reason why there is none; never raises.

    `finish` and `refusal` are what the endpoint says of the reply, `shown` the message with the
    texts that were judged.
    """
    if finish == "content_filter":
        return unscored(MissingReason.FILTERED)
    if finish == "length":
        return unscored(MissingReason.CUT_OFF, "the reply ends at the token limit")
    if refusal:
        return unscored(MissingReason.REFUSED, _short(refusal))
    if text is None or not text.strip():
        return unscored(MissingReason.EMPTY)
    if "{" not in text and _REFUSAL.match(text):
        return unscored(MissingReason.REFUSED, _short(text))
    try:
        source, verdict = _last_object(text)
        if _squeeze(source) in _squeeze(shown):
            _refuse("the verdict stands word for word in the text that was judged")
        return _outcome(verdict, metric)
    except _UnreadableError as error:
        return unscored(MissingReason.UNREADABLE, str(error))


def to_valid_utf8(text: str) -> str:
    """The text with lone surrogates, which JSON can write and UTF-8 cannot, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


# --- the one object --------------------------------------------------------------------------


class _UnreadableError(Exception):
    """The reply is no verdict; the message says why, in words that hold no long quotation."""


def _refuse(why: str) -> NoReturn:
    raise _UnreadableError(why)


def _last_object(text: str) -> tuple[str, dict[str, object]]:
    """The only JSON object of the reply, as written and as read."""
    if len(text) > MAX_CHARS:
        _refuse(f"{len(text):,} characters are no verdict")
    spoken = _after_thought(text.strip())
    before, brace, _ = spoken.partition("{")
    if not brace:
        _refuse("no JSON object")
    if "}" in before:
        _refuse("a brace before the JSON object")
    verdict, end = _decode(spoken, len(before))
    fence = "```" if _FENCE.search(before) else ""
    if spoken[end:].strip() != fence:
        _refuse("the JSON object is not the last thing said")
    return spoken[len(before) : end], verdict


def _after_thought(text: str) -> str:
    """What a thinking model says after its thought; the chat template may hold `<think>`."""
    if text.startswith(("{", "```")):
        return text
    spoken = text.rpartition("</think>")[2]
    if "<think>" in spoken.partition("{")[0]:  # a verdict may speak of one
        _refuse("the thought has no end")
    return spoken.strip()


def _decode(text: str, start: int) -> tuple[dict[str, object], int]:
    try:
        verdict, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        _refuse(f"not valid JSON ({error.msg.lower()}, character {error.pos - start + 1})")
    except RecursionError:
        _refuse("nested too deeply")
    assert isinstance(verdict, dict)  # it begins with a brace
    return verdict, end


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            _refuse(f"the key {_said(key)} stands twice")
        found[key] = value
    return found


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        _refuse(f"a number of {len(digits):,} digits")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    _refuse(f"{name} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_whole_number, parse_constant=_no_constant
)


# --- what the object says --------------------------------------------------------------------


def _outcome(verdict: dict[str, object], metric: Metric) -> Outcome:
    match metric:
        case RubricMetric():
            return _grades(verdict, metric)
        case PairwiseMetric():
            return _winner(verdict)
        case EvasionMetric():
            return _label(verdict)
        case ComputedMetric():
            return unscored(MissingReason.UNSUPPORTED, f"'{metric.kind}' metrics")


def _grades(verdict: dict[str, object], metric: RubricMetric) -> Outcome:
    names = [criterion.name for criterion in metric.criteria]
    _expect_keys(verdict, ["reasons", "scores"], "the verdict")
    reasons = _object_at(verdict, "reasons")
    _expect_keys(reasons, names, "'reasons'")
    rationale = "\n".join(f"{name}: {_text_at(reasons, name)}" for name in names)
    if verdict["scores"] is None:
        return _abstained(rationale)
    scores = _object_at(verdict, "scores")
    _expect_keys(scores, names, "'scores'")
    values = {name: _score_at(scores, name, metric.scale) for name in names}
    return Outcome(values=values, rationale=to_valid_utf8(rationale))


def _winner(verdict: dict[str, object]) -> Outcome:
    _expect_keys(verdict, ["reason", "winner"], "the verdict")
    rationale = _text_at(verdict, "reason")
    match verdict["winner"]:
        case "first" | "second" | "tie" as winner:
            return Outcome(winner=winner, rationale=to_valid_utf8(rationale))
        case "uncertain":
            return _abstained(rationale)
        case other:
            _refuse(f"the winner is {_said(other)}")


def _label(verdict: dict[str, object]) -> Outcome:
    _expect_keys(verdict, ["reason", "label"], "the verdict")
    rationale = _text_at(verdict, "reason")
    match verdict["label"]:
        case str() as label if label in _HELPFUL:
            values = {"helpful": _HELPFUL[label]}
            return Outcome(values=values, label=label, rationale=to_valid_utf8(rationale))
        case "uncertain":
            return _abstained(rationale)
        case other:
            _refuse(f"the label is {_said(other)}")


def _abstained(rationale: str) -> Outcome:
    return Outcome(reason=f"{MissingReason.ABSTAINED}", rationale=to_valid_utf8(rationale))


def _expect_keys(found: dict[str, object], wanted: list[str], where: str) -> None:
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    if missing:
        _refuse(f"{where} lacks '{missing[0]}'")
    if extra:
        _refuse(f"{where} has {_said(extra[0])}, which was not asked for")


def _object_at(found: dict[str, object], key: str) -> dict[str, object]:
    value = found[key]
    if not isinstance(value, dict):
        _refuse(f"'{key}' is {_said(value)}, not an object")
    return value


def _text_at(found: dict[str, object], key: str) -> str:
    value = found[key]
    if not isinstance(value, str):
        _refuse(f"the reason '{key}' is {_said(value)}, not text")
    return value


def _score_at(scores: dict[str, object], name: str, scale: tuple[int, int]) -> float:
    low, high = scale
    value = scores[name]
    if type(value) is not int or not low <= value <= high:  # True is an int, and 7.0 equals 7
        _refuse(f"the score of '{name}' is {_said(value)}, not a whole number from {low} to {high}")
    return float(value)


def _said(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return _short(json.dumps(value, ensure_ascii=False))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60]}…"


def _squeeze(text: str) -> str:
    return "".join(text.split())
