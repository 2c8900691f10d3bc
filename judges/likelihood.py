"""Accuracy by likelihood: `kind: choice, scoring: likelihood`, behind the `Judge` protocol.

An answer is what harness/models/likelihood.py gives: the log-probability of each option by its label,
{"A": -1.9, "B": -0.4}, or a JSON text that says why an option has none. Of equal ones the first counts.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping

from harness.config import LikelihoodMetric
from harness.core.hashing import content_hash
from harness.core.json_text import parse_json
from harness.types import GradeRequest, JudgeCard, JudgeRequest, Outcome, Sample
from harness.types.judgements import MissingReason, reason_kind

VERSION = 1  # raise it when the same log-probabilities would be scored otherwise


class LikelihoodJudge:
    """The comparison of log-probabilities, behind the `Judge` protocol."""

    @property
    def card(self) -> JudgeCard:
        """Return the card; its fingerprint is that of the version."""
        return JudgeCard(
            name="likelihood",
            nature=f"computed from the log-probabilities of the options (v{VERSION}), no opinion",
            fingerprint=content_hash("likelihood", VERSION),
        )

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        for i, request in enumerate(requests):
            match request:
                case GradeRequest(metric=LikelihoodMetric() as metric):
                    yield i, _score(metric, request.sample, request.answer)
                case _:
                    reason = f"likelihood does not judge '{request.metric.kind}' metrics"
                    yield i, Outcome(reason=reason)


def _score(metric: LikelihoodMetric, sample: Sample, answer: str) -> Outcome:
    if sample.right_choice is None:
        return Outcome(reason="the item has no options")
    raw = _read(answer, sample.choices)
    if isinstance(raw, str):
        return Outcome(reason=raw)
    texts = metric.layout.continuations(sample.choices)
    by_length = {label: value / len(texts[label]) for label, value in raw.items()}
    likeliest, densest = max(raw, key=raw.__getitem__), max(by_length, key=by_length.__getitem__)
    return Outcome(
        values={
            "acc": float(likeliest == sample.right_choice),
            "acc_norm": float(densest == sample.right_choice),
        },
        rationale=f"{likeliest} is likeliest, {densest} by character; {sample.right_choice} is right",
    )


def _read(answer: str, options: Mapping[str, str]) -> dict[str, float] | str:
    """Return the log-probability of each option, in their order, or why there is none."""
    with contextlib.suppress(ValueError):
        value = parse_json(answer)
        if isinstance(value, str) and reason_kind(value) is not None:
            return value
        if isinstance(value, dict) and value.keys() == options.keys():
            found = {label: value[label] for label in options}
            if all(map(_is_log_probability, found.values())):
                return found
    labels = ", ".join(options)
    return f"{MissingReason.UNREADABLE}: no log-probability of each option ({labels}), as JSON"


def _is_log_probability(value: object) -> bool:
    """Return whether this is the logarithm of a probability, up to rounding."""
    if isinstance(value, bool) or not isinstance(value, float | int):
        return False
    return -math.inf < value < 0.001
