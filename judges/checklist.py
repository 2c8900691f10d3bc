"""Checklists in judging: a request for each criterion, and one outcome of all of an item's."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from harness.config import ChecklistMetric
from harness.config.checklist import MET
from harness.types import Exchange, GradeRequest, JudgeRequest, Outcome, Sample
from harness.types.judgements import count_reasons, criterion_key, telling_reason
from judges.prompts import checklist_fingerprint

_WORDS = {1.0: "met", 0.0: "not met"}


def requests_on_criteria(request: GradeRequest) -> Iterator[GradeRequest]:
    """Yield the requests about an answer: one for each criterion of a checklist, else the one given."""
    if isinstance(request.metric, ChecklistMetric) and not request.metric.together:
        for place in range(len(request.asked_criteria)):
            yield replace(request, criterion=place)
    else:
        yield request


def criteria_key(request: GradeRequest) -> list[object]:
    """Return what a verdict on a checklist depends on beside the metric, the item and the answer."""
    criteria = [criterion.criterion for criterion in request.asked_criteria]
    return [criteria, checklist_fingerprint()] if criteria else []


def count_requests(metric: ChecklistMetric, samples: Iterable[Sample]) -> int:
    """Return the number of verdicts on one answer to each of the items."""
    return sum(1 if metric.together else len(s.criteria[metric.list_name]) for s in samples)


def join_criteria(
    judged: Sequence[tuple[JudgeRequest, Outcome]],
) -> list[tuple[JudgeRequest, Outcome]]:
    """Join the outcomes about the criteria of each answer in each round; others stay as they are.

    Those of one answer stand one behind the other.
    """

    def subject(pair: tuple[JudgeRequest, Outcome]) -> tuple[str, str, int] | int:
        request = pair[0]
        if not isinstance(request, GradeRequest) or not request.asked_criteria:
            return id(request)
        return request.sample.id, request.model, request.round

    return [_join(list(group)) for _, group in groupby(judged, key=subject)]


def _join(judged: list[tuple[JudgeRequest, Outcome]]) -> tuple[JudgeRequest, Outcome]:
    request, first = judged[0]
    if not isinstance(request, GradeRequest) or request.criterion is None:
        return request, first
    request = replace(request, criterion=None)
    return request, join_outcomes(request, [outcome for _, outcome in judged])


def join_outcomes(request: GradeRequest, outcomes: Sequence[Outcome]) -> Outcome:
    """Join the outcomes about each criterion of an answer, which a request about all of them has."""
    values = {
        criterion_key(i): outcome.values[MET]
        for i, outcome in enumerate(outcomes)
        if outcome.values
    }
    lines = [
        f"{i}. {_verdict(outcome)} ({criterion.points:+g}): {criterion.criterion}"
        + (f"\n   {outcome.rationale}" if outcome.rationale else "")
        for i, (criterion, outcome) in enumerate(
            zip(request.asked_criteria, outcomes, strict=True), start=1
        )
    ]
    reasons = [outcome.reason for outcome in outcomes]
    return Outcome(
        values=values or None,
        reason=None if values else telling_reason(reasons, count_reasons(reasons)),
        rationale="\n".join(lines),
        exchange=_join_exchanges([o.exchange for o in outcomes if o.exchange is not None]),
    )


def _verdict(outcome: Outcome) -> str:
    return _WORDS[outcome.values[MET]] if outcome.values else f"no verdict ({outcome.reason})"


def _join_exchanges(exchanges: Sequence[Exchange]) -> Exchange | None:
    if not exchanges:
        return None
    return Exchange(
        replies=tuple(reply for exchange in exchanges for reply in exchange.replies),
        input_tokens=sum(exchange.input_tokens for exchange in exchanges),
        output_tokens=sum(exchange.output_tokens for exchange in exchanges),
        seconds=sum(exchange.seconds for exchange in exchanges),
        model=next((exchange.model for exchange in exchanges if exchange.model), ""),
    )
