"""Answers compared with their references by a stated rule: `kind: match`, one function for each rule.

A score is 1 or 0, or for `token_f1` a share; against several references it is the best over them. An
answer in which the rule finds nothing to compare does not match. Only where a number can be read in two
ways is there no score.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

from harness.config import (
    ExactMatch,
    JsonMatch,
    MatchMetric,
    NumberMatch,
    RegexMatch,
    TokenF1,
    WordCount,
    WordMatch,
)
from harness.config.match import MatchKind
from harness.core.hashing import content_hash
from harness.core.json_shape import parse_strict_json, value_problem
from harness.core.safe_regex import is_found
from harness.data.numbers import FoundNumber, read_number, read_numbers
from harness.data.references import reference_problem
from harness.data.text import normalise_words
from harness.types import GradeRequest, JudgeCard, JudgeRequest, Outcome, Sample
from harness.types.judgements import MissingReason

VERSION = 1  # raise it when the same answer and reference may score differently

_FENCE = re.compile(r"^```[^\n`]*\n(.*?)^```[^\S\n]*$", re.DOTALL | re.MULTILINE)


class MatchJudge:
    """The rules of `kind: match`, behind the `Judge` protocol."""

    @property
    def card(self) -> JudgeCard:
        """Return the card; its fingerprint is that of the version of the rules."""
        return JudgeCard(
            name="match",
            nature=f"computed by a stated rule (rules v{VERSION}), no opinion",
            fingerprint=content_hash("match", VERSION),
        )

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        for i, request in enumerate(requests):
            match request:
                case GradeRequest(metric=MatchMetric() as metric):
                    yield i, _compare(metric, request.sample, request.answer)
                case _:
                    reason = f"match does not judge '{request.metric.kind}' metrics"
                    yield i, Outcome(reason=reason)


def _compare(metric: MatchKind, sample: Sample, answer: str) -> Outcome:
    problem = reference_problem(metric, sample)
    if problem:
        return Outcome(reason=f"the item's reference: it {problem}")
    references = [text for text in sample.acceptable_answers if text.strip()]
    match metric:
        case ExactMatch():
            return _match(any(_composed(answer) == _composed(text) for text in references))
        case WordMatch():
            return _match(any(_same_words(metric, text, answer) for text in references))
        case NumberMatch():
            return _compare_numbers(metric, references, answer)
        case RegexMatch():
            patterns = references if metric.pattern is None else [metric.pattern]
            text = answer.strip() if metric.whole else answer
            return _match(any(is_found(p, text, whole=metric.whole) for p in patterns))
        case TokenF1():
            return Outcome(values={"f1": max(_token_f1(text, answer) for text in references)})
        case JsonMatch():
            return _check_json(metric, answer)
        case WordCount():
            return _count_words(metric, answer)


def _match(matches: bool, words: str | None = None) -> Outcome:
    return Outcome(values={"match": float(matches)}, rationale=words)


# --- texts -----------------------------------------------------------------------------------


def _composed(text: str) -> str:
    """Return a text of which equal letters are equal characters (Unicode's form NFC), trimmed."""
    return unicodedata.normalize("NFC", text).strip()


def _same_words(metric: WordMatch, reference: str, answer: str) -> bool:
    wanted, given = normalise_words(reference), normalise_words(answer)
    if metric.by == "normalised":
        return given == wanted
    # Joined by spaces, so that a word is found as a whole only.
    return f" {' '.join(wanted)} " in f" {' '.join(given)} "


def _token_f1(reference: str, answer: str) -> float:
    """Return the F1 of two bags of words: Rajpurkar et al. (2016), https://aclanthology.org/D16-1264/.

    Articles count here, as other words do.
    """
    wanted, given = Counter(normalise_words(reference)), Counter(normalise_words(answer))
    return 2 * (wanted & given).total() / (wanted.total() + given.total())


def _count_words(metric: WordCount, answer: str) -> Outcome:
    n = len(normalise_words(answer))
    least, most = metric.at_least or 1, n if metric.at_most is None else metric.at_most
    return _match(least <= n <= most, f"{n:,} words")


# --- numbers ---------------------------------------------------------------------------------


def _compare_numbers(metric: NumberMatch, references: list[str], answer: str) -> Outcome:
    hundredths = metric.percent == "hundredth"
    found = _chosen_number(metric, answer)
    if found is None:
        place = "in the answer" if metric.after is None else f"behind '{metric.after}'"
        return _match(False, f"no number {place}")
    if found.value is None:
        reason = f"'{found.text[:60]}' is not one number with the decimal mark '{metric.mark}'"
        return Outcome(reason=f"{MissingReason.AMBIGUOUS}: {reason}")
    for reference in references:
        wanted = read_number(reference, decimal=metric.mark, hundredths=hundredths)
        if wanted is not None and abs(found.value - wanted) <= metric.allowed_distance(wanted):
            return _match(True, f"the number compared is {found.text}")
    return _match(False, f"the number compared is {found.text}")


def _chosen_number(metric: NumberMatch, answer: str) -> FoundNumber | None:
    """Return the last number of an answer, or the first one behind the last place of `after`."""
    text = answer
    if metric.after is not None:
        places = [*re.finditer(re.escape(metric.after), answer, re.IGNORECASE)]
        if not places:
            return None
        text = answer[places[-1].end() :]
    hundredths = metric.percent == "hundredth"
    found = [*read_numbers(text, decimal=metric.mark, hundredths=hundredths)]
    return (found[0] if metric.after is not None else found[-1]) if found else None


# --- JSON ------------------------------------------------------------------------------------


def _check_json(metric: JsonMatch, answer: str) -> Outcome:
    text = answer.strip()
    if metric.fenced:
        fences = _FENCE.findall(text)
        if len(fences) > 1:
            return _match(False, f"{len(fences)} code fences, and not one")
        text = fences[0] if fences else text
    try:
        value = parse_strict_json(text)
    except ValueError as error:
        return _match(False, f"not JSON: {error}")
    problem = value_problem(value, metric.json_schema, "the answer")
    return _match(problem is None, problem)
