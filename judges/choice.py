"""Accuracy of spoken choices: `kind: choice`, behind the `Judge` protocol.

An answer that states no option is the model's own failure and no judge's, as a wrong answer is: it counts
as wrong unless the suite says otherwise, and its share is published beside the accuracy. Otherwise a model
could gain by being silent where it would err.
"""

from collections.abc import Iterable, Iterator

from harness.config import ChoiceMetric
from harness.core.hashing import content_hash
from harness.types import GradeRequest, JudgeCard, JudgeRequest, Outcome, Sample
from harness.types.judgements import MissingReason
from judges.choice_reader import read_choice

VERSION = 1  # raise it when an answer may be read in another way


class ChoiceJudge:
    """The reader of choices, behind the `Judge` protocol."""

    @property
    def card(self) -> JudgeCard:
        """Return the card; its fingerprint is that of the reader's version."""
        return JudgeCard(
            name="choice",
            nature=f"computed from the option that the answer states (reader v{VERSION}), no opinion",
            fingerprint=content_hash("choice", VERSION),
        )

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        for i, request in enumerate(requests):
            match request:
                case GradeRequest(metric=ChoiceMetric() as metric):
                    yield i, _score(metric, request.sample, request.answer)
                case _:
                    reason = f"choice does not judge '{request.metric.kind}' metrics"
                    yield i, Outcome(reason=reason)


def _score(metric: ChoiceMetric, sample: Sample, answer: str) -> Outcome:
    if sample.right_choice is None:
        return Outcome(reason="the item has no options")
    choice = read_choice(answer, sample.choices, lettered=metric.layout.lettered)
    apart = metric.unreadable == "wrong"
    if choice.label is None:
        if not apart:
            return Outcome(reason=f"{MissingReason.UNREADABLE}: {choice.words}")
        return Outcome(
            values={"readable": 0.0, "right": 0.0}, label="unreadable", rationale=choice.words
        )
    right = choice.label == sample.right_choice
    readable = {"readable": 1.0} if apart else {}
    words = f"chooses {choice.label}) {sample.choices[choice.label]}, read from {choice.words}"
    return Outcome(values={**readable, "right": float(right)},
                   label="right" if right else "wrong", rationale=words)  # fmt: skip
