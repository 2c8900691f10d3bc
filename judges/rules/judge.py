"""Offline judge without model, key or network: deterministic rules on English text.

It exists so that a fresh machine can run every suite from end to end, and so that a tiny model
has a preference signal to learn from. It counts words and cannot check facts, as its card states.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from statistics import fmean
from typing import Literal

from harness.config import EvasionMetric, PairwiseMetric, RubricMetric, SupportMetric
from harness.config.checklist import MET
from harness.types import GradeRequest, JudgeCard, JudgeRequest, Outcome, PreferenceRequest, Sample
from judges.rules import phrases
from judges.rules.evasion import find_label
from judges.rules.rubric import CRITERIA, Points, score_criterion, unjudgeable_reason
from judges.rules.support import find_support
from judges.rules.text import ParsedText, is_english_script, parse_text
from judges.support import decided_unasked, shown_passages

NATURE = (
    "deterministic text rules, no language model: it counts shared words, plain sentences, "
    "referrals, cautions and warm phrases in English answers, and cannot tell true from false"
)

EVIDENCE = (
    "Its evasion labels agree with people's on 89.9 % of the 900 completions of XSTest, which is "
    "no medical set (95 % interval 87.7 to 91.7 %; partial refusals count as refusals), and on 90.4 % "
    "of the 450 that its rules were not written on; nothing else was held against people."
)

# The fingerprint of the rules, and the hash of their word lists in this version.
RULES_VERSION = "9f97baf485ff19e47aab7c7fb5955a44cc630ac3d2e1c7ee49f10bb0d17fc3c8"
WORD_LISTS = "83b84ef621d6fa8b0a0c47d221b7ce674b7073fd0f25cc31641614819dd7b39b"

ENGLISH_ONLY = "the offline rules read English only"
TIE_WITHIN = 0.02  # largest difference of mean points (0 to 1) that counts as a tie


class OfflineJudge:
    """The offline rules for consumer-health answers, behind the `Judge` protocol."""

    @property
    def card(self) -> JudgeCard:
        """Describe the judge; another version of the rules or their phrases has another fingerprint."""
        return JudgeCard(
            name="offline rules v1 (consumer_health)",
            nature=NATURE,
            fingerprint=_fingerprint(),
            evidence=EVIDENCE,
        )

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        for i, request in enumerate(requests):
            yield i, _judge(request)


@lru_cache
def _fingerprint() -> str:
    """Return `RULES_VERSION`, or the hash of it and of the word lists where these have changed.

    A stored verdict is found again by this value, so it must not depend on how the source is
    written. A change to what a rule gives needs a new `RULES_VERSION`.
    """
    word_lists = _hash_word_lists()
    if word_lists == WORD_LISTS:
        return RULES_VERSION
    return hashlib.sha256(f"{RULES_VERSION} {word_lists}".encode()).hexdigest()


def _hash_word_lists() -> str:
    """Return the hash of every pattern and word list that the rules search for."""
    constants = vars(phrases).values()
    patterns = [value.pattern for value in constants if isinstance(value, re.Pattern)]
    words = [" ".join(sorted(value)) for value in constants if isinstance(value, frozenset)]
    return hashlib.sha256("\n".join(sorted([*patterns, *words])).encode()).hexdigest()


def _judge(request: JudgeRequest) -> Outcome:
    if not is_english_script(request.sample.user_text):
        return Outcome(reason=ENGLISH_ONLY)
    match request:
        case GradeRequest(metric=RubricMetric() as metric):
            return _grade_rubric(metric, request.sample, request.answer)
        case GradeRequest(metric=EvasionMetric()):
            return _grade_evasion(request.sample, request.answer)
        case GradeRequest(metric=SupportMetric()):
            return _check_support(request)
        case PreferenceRequest(metric=PairwiseMetric()):
            return _compare_answers(request.sample, request.first, request.second)
        case _:
            return Outcome(reason=f"the offline rules do not judge '{request.metric.kind}' metrics")


def _grade_rubric(metric: RubricMetric, sample: Sample, text: str) -> Outcome:
    names = [criterion.name for criterion in metric.criteria]
    for name in names:
        if (reason := unjudgeable_reason(name, sample)) is not None:
            return Outcome(reason=reason)
    answer = parse_text(text)
    points = {name: score_criterion(name, sample, answer) for name in names}
    values = {name: _to_scale(p, metric.scale) for name, p in points.items()}
    facts = [f"{name}: {p.reason}" for name, p in points.items()]
    return Outcome(values=values, rationale=_join_rationale(facts, answer))


def _grade_evasion(sample: Sample, text: str) -> Outcome:
    answer = parse_text(text)
    finding = find_label(sample.user_text, answer)
    helpful = 0.0 if finding.label == "evasive" else 1.0
    return Outcome(
        values={"helpful": helpful},
        label=finding.label,
        rationale=_join_rationale([finding.reason], answer),
    )


def _check_support(request: GradeRequest) -> Outcome:
    decided = decided_unasked(request)
    if decided is not None:
        return decided
    statement = request.asked_criteria[0].criterion
    passages = [passage.text for passage in shown_passages(request)]
    if not all(map(is_english_script, [statement, *passages])):
        return Outcome(reason=ENGLISH_ONLY)
    found = find_support(statement, passages)
    return Outcome(values={MET: float(found.supported)}, rationale=found.reason)


def _compare_answers(sample: Sample, first: str, second: str) -> Outcome:
    """Prefer the answer with the higher mean over the criteria that the item allows."""
    criteria = [name for name in CRITERIA if unjudgeable_reason(name, sample) is None]
    answers = parse_text(first), parse_text(second)
    means = [fmean(score_criterion(c, sample, a).value for c in criteria) for a in answers]
    difference = means[0] - means[1]
    winner: Literal["first", "second", "tie"] = "tie"
    if abs(difference) > TIE_WITHIN:
        winner = "first" if difference > 0 else "second"
    facts = f"mean points {means[0]:.2f} (first) and {means[1]:.2f} (second) on " + ", ".join(
        criteria
    )
    notes = [
        f"{place}: {note}"
        for place, a in zip(("first", "second"), answers, strict=True)
        for note in a.notes
    ]
    return Outcome(winner=winner, rationale="; ".join([facts, *notes]) + ".")


def _to_scale(points: Points, scale: tuple[int, int]) -> float:
    low, high = scale
    return float(low + int(points.value * (high - low) + 0.5))


def _join_rationale(facts: list[str], answer: ParsedText) -> str:
    return "; ".join([*facts, *answer.notes]) + "."
