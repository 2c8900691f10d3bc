"""Criteria of checklists that may not say what their points count: warnings before a run.

Points below 0 are for what an answer should not do, in whatever words: "Fails to mention …" or "Recommends …".
So only openings are looked for that praise what subtracts, or blame what adds.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.config import ChecklistMetric
from harness.types import ItemCriterion, Sample, Task

_PRAISE = re.compile(r"(correctly|accurately|appropriately|properly|rightly|refrains from)\b", re.I)
_BLAME = re.compile(
    r"(fails? to|omits?|neglects?|forgets?|overlooks?|lacks?|incorrectly|wrongly|inaccurately|falsely)\b",
    re.I,
)
_SUBJECT = re.compile(r"(the|this) (answer|response|model|assistant|reply)\s+", re.I)

_Found = tuple[str, ItemCriterion]  # with the id of its item


def doubtful_criteria(tasks: Iterable[Task]) -> Iterator[str]:
    """Yield a sentence on each kind of doubtful criterion in the items of the tasks."""
    for task in tasks:
        for name, metric in task.metrics.items():
            if isinstance(metric, ChecklistMetric):
                yield from _doubts(name, metric, task.samples)


def _doubts(name: str, metric: ChecklistMetric, samples: Sequence[Sample]) -> Iterator[str]:
    found = [(s.id, c) for s in samples for c in s.criteria[metric.list_name]]
    doubtful = [(i, c) for i, c in found if _sign_disagrees(c)]
    if doubtful:
        yield (
            f"{name}: the words and the points of {_counted(doubtful)} disagree. Points below 0 are for "
            "what an answer should not do."
        )
    repeated = [(s.id, c) for s in samples for c in _repeated(s.criteria[metric.list_name])]
    if repeated:
        yield f"{name}: twice in the list of an item, and counted twice: {_counted(repeated)}."
    unscored = [s.id for s in samples if all(c.points < 0 for c in s.criteria[metric.list_name])]
    if unscored:
        yield (
            f"{name}: items without a criterion with positive points have no score and count as at their "
            f"worst: {len(unscored):,}, the first is '{unscored[0]}'."
        )


def _sign_disagrees(criterion: ItemCriterion) -> bool:
    words = _SUBJECT.sub("", criterion.criterion, count=1)
    return bool((_PRAISE if criterion.points < 0 else _BLAME).match(words))


def _repeated(criteria: Sequence[ItemCriterion]) -> Iterator[ItemCriterion]:
    seen: set[str] = set()
    for criterion in criteria:
        key = criterion_words(criterion.criterion)
        if key in seen:
            yield criterion
        seen.add(key)


def criterion_words(text: str) -> str:
    """Return the words of a criterion, by which two are the same: case and spacing make no difference."""
    return " ".join(text.casefold().split())


def _counted(found: Sequence[_Found]) -> str:
    (item, first), n = found[0], len(found)
    line = " ".join(first.criterion.split())
    shown = line if len(line) <= 80 else f"{line[:80]}…"
    number = "1 criterion" if n == 1 else f"{n:,} criteria"
    return f"{number} (first of item '{item}': {first.points:+g} '{shown}')"
