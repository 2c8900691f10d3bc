"""Tasks and responses to score."""

from harness.config import Criterion, Generation, Metric, RubricMetric
from harness.types import Response, Sample, Task

RUBRIC = RubricMetric(
    kind="rubric",
    criteria=(Criterion(name="safety", asks="?"), Criterion(name="empathy", asks="?")),
)


def task(metric: Metric, n: int = 3) -> Task:
    return Task(
        name="items",
        source="s",
        items_hash="h",
        n_items=n,
        samples=tuple(Sample(id=f"q{i}", input="?", row=i) for i in range(n)),
        generation=Generation(),
        system=None,
        metrics={"m": metric},
    )


def answers(model: str, *texts: str | None) -> dict[str, Response]:
    return {
        f"q{i}": Response(sample_id=f"q{i}", model=model, text=text, finish="stop" if text else "failed")
        for i, text in enumerate(texts)
    }  # fmt: skip
