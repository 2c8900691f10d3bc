"""One metric of every kind, so that a test over all kinds meets a new one by itself."""

from collections.abc import Iterator
from typing import get_args

from harness.config import Metric
from harness.config.metric_base import MetricSpec

_NEEDED: dict[str, dict[str, object]] = {
    "rubric": {"criteria": ({"name": "safety", "asks": "?"}, {"name": "clarity", "asks": "?"})},
    "checklist": {"criteria": "rubrics", "lowest": {"": -1.0}},
    "pairwise": {"asks": "Which is better?"},
    "plugin": {
        "scorer": {
            "name": "ease",
            "package": "readability",
            "version": "1.0",
            "source": "0" * 64,
            "columns": ("score", "words"),
            "bounds": (0.0, 100.0),
            "description": "ease of reading",
            "needs_reference": False,
        }
    },
    "match number": {"after": "minutes"},
    "match word_count": {"at_most": 100},
}
_RULES = ("by", "scoring")  # the keys that tell the classes of one kind apart


def _classes(annotation: object) -> Iterator[type[MetricSpec]]:
    """Yield the classes of a union, also of unions inside it."""
    if isinstance(annotation, type):
        yield annotation
    else:
        for part in get_args(annotation):
            yield from _classes(part) if get_args(part) or isinstance(part, type) else ()


def _names(kind: type[MetricSpec]) -> list[str]:
    fields = kind.model_fields
    kinds = get_args(fields["kind"].annotation)
    rules = [rule for key in _RULES if key in fields for rule in get_args(fields[key].annotation)]
    return [f"{name} {rule}" for name in kinds for rule in rules] or list(kinds)


# By the name of the kind, and of its rule if it has several: "match exact", "choice spoken".
KINDS: dict[str, type[MetricSpec]] = {
    name: kind for kind in _classes(get_args(Metric)[0]) for name in _names(kind)
}


def metric_of_kind(name: str) -> Metric:
    kind, *rules = name.split()
    key = next((key for key in _RULES if key in KINDS[name].model_fields), "")
    fields = {
        "kind": kind,
        **dict.fromkeys([key] if rules else [], *rules),
        **_NEEDED.get(name, {}),
    }
    metric: Metric = KINDS[name].model_validate(fields)  # type: ignore[assignment]
    return metric


EVERY_KIND: tuple[Metric, ...] = tuple(map(metric_of_kind, KINDS))
