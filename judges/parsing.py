"""Strict reading of a language-model judge's reply: a verdict on the scale, or a reason for none.

A reply is a verdict only if it is exactly one JSON object of the metric's shape at the end of the
reply. Words may precede it (or the reasoning of a model, which ends in `</think>` or the like), but no other
brace; one ```json fence may surround it. Nothing is repaired or guessed, and an object that occurs
word for word in the judged texts is not the judge's own.

Small models write a whole number as 4.0 or "4", or a sentence before the object. What that means is
unambiguous: it is read, and counted as a lenient reading. 4.5, "4/5" or "four" are no scores.

    {"reasons": {"safety": "Names the warning signs."}, "scores": {"safety": 9}}
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from harness.config import (
    ChecklistMetric,
    ComputedMetric,
    EvasionMetric,
    Metric,
    PairwiseMetric,
    RubricMetric,
    SupportMetric,
)
from harness.config.checklist import MET
from harness.config.metrics import HELPFUL_VALUES
from harness.config.passages import SUPPORTED
from harness.core.quoting import name_invisible
from harness.core.sanitize import short_line, to_valid_utf8
from harness.data.thoughts import thought_ends
from harness.types import Outcome
from harness.types.judgements import MissingReason, criterion_key

# Raise it when a reply that gave a verdict could give another one. Stored replies that gave none are
# read again by each version.
VERDICT_VERSION = 2
MAX_CHARS = 65_536  # a verdict is a few hundred
MAX_DIGITS = 9

_FENCE = re.compile(r"```(?:json)?\s*$", re.IGNORECASE)
_WHOLE = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})(?:\.0{{1,{MAX_DIGITS}}})?")

# A refusal opens like one, says of the judging that it will not be done, and is short: small models also
# open with regret, and then ramble on about the illness.
_OPENS_AS_REFUSAL = re.compile(
    r"\W*(?:(?:i['\u2019]?m|i am) (?:very |so )?(?:sorry|afraid|unable|not able)|sorry\b|i apologi[sz]e"
    r"|(?:unfortunately,? )?i (?:can(?:no|['\u2019])t|can not|won['\u2019]t|will not|must decline|decline)"
    r"|as an ai\b|(?:no|not) comment)",
    re.IGNORECASE,
)
_REFUSES = re.compile(
    r"(?:can(?:no|['\u2019])t|can not|won['\u2019]t|will not|unable to|not able to|do not|don['\u2019]t)"
    r"(?:\W*$| (?:\w+ ){0,4}(?:help|assist|comply|do (?:this|that)|judge|grade|rate|rating|scor(?:e|ing)"
    r"|evaluate|assess|compare|verdict)\b)|decline|against my|comment",
    re.IGNORECASE,
)
MAX_REFUSAL_CHARS = 400


def unscored(kind: MissingReason, detail: str = "") -> Outcome:
    """Return an outcome without a verdict, for this reason."""
    return Outcome(reason=f"{kind}: {name_invisible(detail)}" if detail else f"{kind}")


def read_verdict(
    text: str | None,
    metric: Metric,
    *,
    finish: str | None = "stop",
    refusal: str | None = None,
    shown: str = "",
    n_criteria: int | None = None,
) -> Outcome:
    """Return the verdict in a judge's reply, or an outcome with the reason for none; never raises.

    Args:
        text: The reply.
        metric: The metric to judge.
        finish: The endpoint's finish reason.
        refusal: The endpoint's refusal text.
        shown: The message with the judged texts.
        n_criteria: How many of a checklist were asked about at once; None for one, or another metric.
    """
    # A reply that the endpoint marks as incomplete or refused.
    if finish == "content_filter":
        return unscored(MissingReason.FILTERED)
    if finish == "length":
        return unscored(MissingReason.CUT_OFF, "the reply ends at the token limit")
    if refusal:
        return unscored(MissingReason.REFUSED, short_line(refusal))
    if text is None or not text.strip():
        return unscored(MissingReason.EMPTY)
    # A refusal in words, or a JSON object.
    if "{" not in text and _is_refusal(text):
        return unscored(MissingReason.REFUSED, short_line(text))
    try:
        found = _read_object(text)
        if _without_spaces(found.source) in _without_spaces(shown):
            _fail("the verdict is copied word for word from the judged texts")
        return _make_outcome(found.verdict, metric, n_criteria)
    except _UnreadableError as error:
        return unscored(MissingReason.UNREADABLE, str(error))


def _is_refusal(text: str) -> bool:
    opens = _OPENS_AS_REFUSAL.match(text) is not None
    return opens and len(text) <= MAX_REFUSAL_CHARS and _REFUSES.search(text) is not None


def is_read_leniently(text: str) -> bool:
    """Return whether a reply that gave a verdict has words before it, or a number not written as one."""
    try:
        found = _read_object(text)
    except _UnreadableError:
        return False
    scores = found.verdict.get("scores")
    numbers = scores.values() if isinstance(scores, dict) else ()
    return found.words_before or any(type(number) is not int for number in numbers)


# --- the JSON object -------------------------------------------------------------------------


class _UnreadableError(Exception):
    """The reply is no verdict; the message is the reason, without long quotations."""


def _fail(reason: str) -> NoReturn:
    raise _UnreadableError(reason)


class _Found(NamedTuple):
    """The JSON object of a reply, as text and decoded."""

    source: str
    verdict: dict[str, object]
    words_before: bool


def _read_object(text: str) -> _Found:
    """Return the only JSON object of the reply."""
    if len(text) > MAX_CHARS:
        _fail(f"{len(text):,} characters are no verdict")
    # The reasoning ends at the first mark behind which the rest is a whole verdict: a reason in
    # the verdict may quote the mark.
    reason = ""
    for reply in _after_reasoning(text.strip()):
        try:
            return _read_whole(reply)
        except _UnreadableError as error:
            reason = str(error)
    _fail(reason)


def _after_reasoning(text: str) -> Iterator[str]:
    """Yield what the reply may be: the text, then the rest behind each end of reasoning.

    The chat template may contain `<think>`, so that a reply shows only the end of the block.
    """
    ends = list(thought_ends(text))
    bare = text.startswith(("{", "```"))
    # Before the first mark there is an object only where that mark is quoted in it.
    if bare or not ends or "{" in text[: ends[0]]:
        yield text
    if not bare:
        yield from (text[end:].strip() for end in ends)


def _read_whole(reply: str) -> _Found:
    """Return the JSON object that a reply without reasoning consists of, words before it apart."""
    before, brace, _ = reply.partition("{")
    if "<think>" in before:  # within the object it may be part of a reason
        _fail("the reasoning block has no end")
    if not brace:
        _fail("no JSON object")
    if "}" in before:
        _fail("a brace before the JSON object")
    verdict, end = _decode_object(reply, len(before))
    opening = _FENCE.search(before)
    fence = "```" if opening else ""
    if reply[end:].strip() != fence:
        _fail("the JSON object is not at the end of the reply")
    words = before[: opening.start()] if opening else before
    return _Found(reply[len(before) : end], verdict, bool(words.strip()))


def _decode_object(text: str, start: int) -> tuple[dict[str, object], int]:
    try:
        verdict, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        _fail(f"not valid JSON ({error.msg.lower()}, character {error.pos - start + 1})")
    except RecursionError:
        _fail("nested too deeply")
    assert isinstance(verdict, dict)  # it begins with a brace
    return verdict, end


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique: dict[str, object] = {}
    for key, value in pairs:
        if key in unique:
            _fail(f"the key {_describe(key)} occurs twice")
        unique[key] = value
    return unique


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        _fail(f"a number of {len(digits):,} digits")
    return int(digits)


class _WholeNumber(float):
    """A whole number written with a decimal point, such as 4.0."""


def _decimal_number(text: str) -> float:
    return _WholeNumber(text) if _WHOLE.fullmatch(text) else float(text)


def _refuse_constant(name: str) -> NoReturn:
    _fail(f"{name} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys,
    parse_int=_whole_number,
    parse_float=_decimal_number,
    parse_constant=_refuse_constant,
)


# --- the verdict in the object ---------------------------------------------------------------


def _make_outcome(verdict: dict[str, object], metric: Metric, n_criteria: int | None) -> Outcome:
    match metric:
        case ChecklistMetric():
            return (
                _read_met(verdict, MET) if n_criteria is None else _read_list(verdict, n_criteria)
            )
        case SupportMetric():
            return _read_met(verdict, SUPPORTED)
        case RubricMetric():
            return _read_scores(verdict, metric)
        case PairwiseMetric():
            return _read_winner(verdict)
        case EvasionMetric():
            return _read_label(verdict)
        case ComputedMetric():
            return unscored(MissingReason.UNSUPPORTED, f"'{metric.kind}' metrics")


def _read_scores(verdict: dict[str, object], metric: RubricMetric) -> Outcome:
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


def _read_winner(verdict: dict[str, object]) -> Outcome:
    _expect_keys(verdict, ["reason", "winner"], "the verdict")
    rationale = _text_at(verdict, "reason")
    match verdict["winner"]:
        case "first" | "second" | "tie" as winner:
            return Outcome(winner=winner, rationale=to_valid_utf8(rationale))
        case "uncertain":
            return _abstained(rationale)
        case other:
            _fail(f"the winner is {_describe(other)}")


def _read_label(verdict: dict[str, object]) -> Outcome:
    _expect_keys(verdict, ["reason", "label"], "the verdict")
    rationale = _text_at(verdict, "reason")
    match verdict["label"]:
        case str() as label if label in HELPFUL_VALUES:
            values = {"helpful": HELPFUL_VALUES[label]}
            return Outcome(values=values, label=label, rationale=to_valid_utf8(rationale))
        case "uncertain":
            return _abstained(rationale)
        case other:
            _fail(f"the label is {_describe(other)}")


_YES_OR_NO = {"yes": 1.0, "no": 0.0}


def _read_met(verdict: dict[str, object], key: str) -> Outcome:
    _expect_keys(verdict, ["reason", key], "the verdict")
    rationale = to_valid_utf8(_text_at(verdict, "reason"))
    answer = _answer_at(verdict, key)
    if answer is None:
        return _abstained(rationale)
    return Outcome(values={MET: answer}, rationale=rationale)


def _read_list(verdict: dict[str, object], n_criteria: int) -> Outcome:
    """Read the answers about all criteria of an item; those left uncertain have no value."""
    _expect_keys(verdict, ["reasons", MET], "the verdict")
    numbers = [f"{n}" for n in range(1, n_criteria + 1)]
    reasons, answers = _object_at(verdict, "reasons"), _object_at(verdict, MET)
    _expect_keys(reasons, numbers, "'reasons'")
    _expect_keys(answers, numbers, f"'{MET}'")
    rationale = to_valid_utf8("\n".join(f"{n}: {_text_at(reasons, n)}" for n in numbers))
    read = [_answer_at(answers, number) for number in numbers]
    values = {criterion_key(i): value for i, value in enumerate(read) if value is not None}
    return Outcome(values=values, rationale=rationale) if values else _abstained(rationale)


def _answer_at(answers: dict[str, object], key: str) -> float | None:
    """Return 1 for yes, 0 for no, None for uncertain."""
    match answers[key]:
        case "yes" | "no" as answer:
            return _YES_OR_NO[answer]
        case "uncertain":
            return None
        case other:
            _fail(f"'{key}' is {_describe(other)}, not yes, no or uncertain")


def _abstained(rationale: str) -> Outcome:
    return Outcome(reason=f"{MissingReason.ABSTAINED}", rationale=to_valid_utf8(rationale))


def _expect_keys(obj: dict[str, object], expected: list[str], where: str) -> None:
    missing = [name for name in expected if name not in obj]
    extra = [name for name in obj if name not in expected]
    if missing:
        _fail(f"{where} lacks '{missing[0]}'")
    if extra:
        _fail(f"{where} has {_describe(extra[0])}, which the shape does not have")


def _object_at(obj: dict[str, object], key: str) -> dict[str, object]:
    value = obj[key]
    if not isinstance(value, dict):
        _fail(f"'{key}' is {_describe(value)}, not an object")
    return value


def _text_at(obj: dict[str, object], key: str) -> str:
    value = obj[key]
    if not isinstance(value, str):
        _fail(f"the reason '{key}' is {_describe(value)}, not text")
    return value


def _score_at(scores: dict[str, object], name: str, scale: tuple[int, int]) -> float:
    low, high = scale
    value = scores[name]
    number = _whole(value)
    if number is None or not low <= number <= high:
        _fail(
            f"the score of '{name}' is {_describe(value)}, not a whole number from {low} to {high}"
        )
    return float(number)


def _whole(value: object) -> int | None:
    """Return the whole number that a score is, also written as 4.0 or "4"; None for anything else."""
    if type(value) is int or isinstance(value, _WholeNumber):  # True is an int
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value.partition(".")[0])
    return None


def _describe(value: object) -> str:
    """Describe a wrong value in a few words."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return short_line(json.dumps(value, ensure_ascii=False))


def _without_spaces(text: str) -> str:
    return "".join(text.split())
