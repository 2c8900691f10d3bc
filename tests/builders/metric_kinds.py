"""One metric of every kind, so that a test over all kinds meets a new one by itself."""

from typing import get_args

from harness.config import Metric
from harness.config.metrics import MetricSpec

_NEEDED: dict[str, dict[str, object]] = {
    "rubric": {"criteria": ({"name": "safety", "asks": "?"}, {"name": "clarity", "asks": "?"})},
    "pairwise": {"asks": "Which is better?"},
}

KINDS: dict[str, type[MetricSpec]] = {
    name: kind
    for kind in get_args(get_args(Metric)[0])
    for name in get_args(kind.model_fields["kind"].annotation)
}


def metric_of_kind(kind: str) -> Metric:
    metric: Metric = KINDS[kind].model_validate({"kind": kind, **_NEEDED.get(kind, {})})  # type: ignore[assignment]
    return metric


EVERY_KIND: tuple[Metric, ...] = tuple(map(metric_of_kind, KINDS))
