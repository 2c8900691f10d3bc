"""A judge: every criterion of a rubric gets the same point, by the share of short words."""

from collections.abc import Iterable, Iterator

from harness import Item
from harness.config import RubricMetric
from harness.types import GradeRequest, JudgeCard, JudgeRequest, Outcome
from plain_reading.scorer import score


class PlainWords:
    """A judge as judges/protocol.py describes it."""

    card = JudgeCard(name="plain words", nature="counts short words", fingerprint="1")

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        """Yield one outcome for each request, in order."""
        for number, request in enumerate(requests):
            yield number, _grade(request)


def _grade(request: JudgeRequest) -> Outcome:
    if not isinstance(request, GradeRequest) or not isinstance(request.metric, RubricMetric):
        return Outcome(reason="unsupported: only answers on a rubric")
    low, high = request.metric.scale
    share = score(Item(request.sample.input), request.answer)["words"]
    point = float(round(low + share * (high - low)))
    return Outcome(values={criterion.name: point for criterion in request.metric.criteria})
