"""Recorded answers and verdicts that fit no item of a run: counted and said, as a wrong key would leave them out."""

from collections.abc import Iterable, Iterator, Mapping

from harness.data.recorded import RecordedModel, count_unfitting
from harness.types import Plan
from judges.panel import Panel
from judges.recorded import RecordedJudge


def describe_unfitting(
    plan: Plan, recorded: Iterable[RecordedModel], panels: Mapping[str, Panel]
) -> Iterator[str]:
    """Say how many rows of each file fit no item; nothing where the items are the first few of a data set.

    The models' answers have been read.
    """
    if plan.limit is not None:
        return
    samples = [sample for task in plan.tasks for sample in task.samples]
    for model in recorded:
        n = count_unfitting(model.keys, samples, model.recorded.join)
        if n:
            yield (
                f"{n:,} of {len(model.keys):,} recorded answers of '{model.name}' fit no item of this run and "
                f"are not used (joined by {model.recorded.join})."
            )
    models = {model.name for model in plan.models}
    for task in plan.tasks:
        for metric in task.metrics:
            judges = panels[metric].judges if metric in panels else ()
            for judge in judges:
                if isinstance(judge, RecordedJudge):
                    for file, n, total in judge.unfitting(metric, models, task.samples):
                        if n:
                            yield (
                                f"{metric}: recorded verdicts on {n:,} of {total:,} items in {file} fit no item of "
                                "this run and are not used."
                            )
