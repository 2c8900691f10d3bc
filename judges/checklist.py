"""Checklists in judging: a request for each criterion, and one outcome of all of an item's."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from harness.config import ChecklistMetric, SupportMetric
from harness.config.checklist import MET
from harness.core.hashing import content_hash
from harness.types import Exchange, GradeRequest, JudgeRequest, Outcome, Sample
from harness.types.judgements import (
    MissingReason,
    count_reasons,
    criterion_key,
    telling_reason,
)
from judges.prompts import checklist_fingerprint, support_fingerprint

_WORDS = {1.0: "met", 0.0: "not met"}
_SUPPORT_WORDS = {1.0: "supported", 0.0: "not supported"}


def requests_on_criteria(request: GradeRequest) -> Iterator[GradeRequest]:
    """Yield the requests about an answer: one for each criterion or statement, else the one given."""
    if isinstance(request.metric, ChecklistMetric) and not request.metric.together:
        for place in range(len(request.asked_criteria)):
            yield replace(request, criterion=place)
    elif isinstance(request.metric, SupportMetric) and request.asked_criteria:
        for place, part in enumerate(request.metric.judged_parts(request.answer)):
            yield replace(request, criterion=place, part=part)
    else:
        yield request


def criteria_key(request: GradeRequest) -> list[object]:
    """Return what a verdict on a checklist depends on beside the metric, the item and the answer."""
    criteria = [criterion.criterion for criterion in request.asked_criteria]
    if isinstance(request.metric, SupportMetric):
        return [criteria, request.part and request.part.cites, support_fingerprint()]
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
    if not isinstance(request, GradeRequest) or not request.asked_criteria:
        return request, first
    if request.criterion is None:
        return request, _with_missing(request, first)
    by_place = {
        asked.criterion: outcome
        for asked, outcome in judged
        if isinstance(asked, GradeRequest) and asked.criterion is not None
    }
    request = replace(request, criterion=None, part=None)
    return request, join_outcomes(request, by_place)


def join_outcomes(request: GradeRequest, by_place: Mapping[int, Outcome]) -> Outcome:
    """Join the outcomes about criteria of an answer, by their places, for a request about all of them."""
    values = {
        criterion_key(place): outcome.values[MET]
        for place, outcome in by_place.items()
        if outcome.values
    }
    missing = {
        criterion_key(place): outcome.reason
        for place, outcome in by_place.items()
        if outcome.reason is not None
    }
    criteria = request.asked_criteria
    supports = isinstance(request.metric, SupportMetric)
    words = _SUPPORT_WORDS if supports else _WORDS
    lines = [
        f"{place + 1}. {_verdict(outcome, words)}"
        + ("" if supports else f" ({criteria[place].points:+g})")
        + f": {criteria[place].criterion}"
        + (f"\n   {outcome.rationale}" if outcome.rationale else "")
        for place, outcome in by_place.items()
    ]
    return Outcome(
        values=values or None,
        reason=None
        if values
        else telling_reason(missing.values(), count_reasons(missing.values())),
        missing=missing,
        rationale="\n".join(lines),
        exchange=_join_exchanges([o.exchange for o in by_place.values() if o.exchange is not None]),
    )


def _with_missing(request: GradeRequest, outcome: Outcome) -> Outcome:
    """Add the reason of each criterion without a verdict to an outcome about all criteria at once.

    Among others that it decides, a judge leaves one open only by abstaining.
    """
    keys = map(criterion_key, range(len(request.asked_criteria)))
    reason = outcome.reason or f"{MissingReason.ABSTAINED}"
    missing = {key: reason for key in keys if key not in (outcome.values or {})}
    return outcome.model_copy(update={"missing": missing | outcome.missing})


def join_prompts(hashes: Sequence[str]) -> str:
    """Return one hash of the prompts about an answer's criteria; "" where one of them is not known."""
    return content_hash(list(hashes)) if all(hashes) else ""


def _verdict(outcome: Outcome, words: Mapping[float, str]) -> str:
    return words[outcome.values[MET]] if outcome.values else f"no verdict ({outcome.reason})"


def _join_exchanges(exchanges: Sequence[Exchange]) -> Exchange | None:
    if not exchanges:
        return None
    return Exchange(
        replies=tuple(reply for exchange in exchanges for reply in exchange.replies),
        input_tokens=sum(exchange.input_tokens for exchange in exchanges),
        output_tokens=sum(exchange.output_tokens for exchange in exchanges),
        seconds=sum(exchange.seconds for exchange in exchanges),
        model=next((exchange.model for exchange in exchanges if exchange.model), ""),
        prompt=join_prompts([exchange.prompt for exchange in exchanges]),
    )
