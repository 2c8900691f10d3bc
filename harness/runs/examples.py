"""The examples of a report: the items with the largest differences, and critical answers."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.config import headline_column
from harness.core.sanitize import shorten
from harness.scoring.paired import PairedScores
from harness.scoring.task_scores import TaskScores
from harness.types import Example, GateDecision, Plan, Sample

N_EXAMPLES = 12
MAX_CHARS = 20_000  # of a text in results.json and on pages; answers.parquet has all of it
N_CRITICAL_EXAMPLES = 10  # critical answers shown in full; results.json names more


def largest_differences(
    measured: Sequence[TaskScores], decided: Mapping[str, PairedScores], plan: Plan
) -> Iterator[Example]:
    """Choose the items of each task whose score changed most, half of them up and half down.

    Of a model alone they are the items with the lowest and the highest scores.

    `decided` are the comparisons that the gate decides on, by column.
    """
    for part in measured:
        names = [column.metric for column in part.columns if column.metric in decided]
        headline = headline_column(names)
        if headline is not None:
            yield from _largest_of_task(part, decided[headline], plan)


def pick_critical_examples(
    measured: Sequence[TaskScores], decision: GateDecision | None, plan: Plan
) -> Iterator[Example]:
    """Choose the answers behind the critical rules, the worst first, each item once per metric."""
    picked: set[tuple[str, str]] = set()
    for rule in decision.critical if decision else ():
        part = next(m for m in measured if any(c.metric == rule.metric for c in m.columns))
        samples = {sample.id: sample for sample in part.task.samples}
        for item in rule.items[:N_CRITICAL_EXAMPLES]:
            if (rule.metric, item.sample_id) not in picked:
                picked.add((rule.metric, item.sample_id))
                baseline = item.baseline_score
                difference = 0.0 if baseline is None else item.score - baseline
                yield _example(part, samples[item.sample_id], rule.metric, difference, plan)


def _largest_of_task(part: TaskScores, pair: PairedScores, plan: Plan) -> Iterator[Example]:
    samples = {sample.id: sample for sample in part.task.samples}
    scored = [i for i in np.argsort(pair.d, kind="stable").tolist() if not np.isnan(pair.d[i])]
    half = N_EXAMPLES // 2
    chosen = [*scored[:half], *scored[half:][-half:]]
    for i in chosen if pair.alone else sorted(chosen, key=lambda i: -abs(pair.d[i])):
        sample = samples[pair.sample_ids[i]]
        yield _example(part, sample, pair.metric, float(pair.d[i]), plan)


def _example(
    part: TaskScores, sample: Sample, metric: str, difference: float, plan: Plan
) -> Example:
    return Example(
        sample_id=sample.id,
        input=shorten(sample.input, MAX_CHARS),
        reference=_shortened(sample.reference),
        baseline=None if plan.alone else _shortened(part.responses[plan.baseline][sample.id].text),
        candidate=_shortened(part.responses[plan.candidate][sample.id].text),
        moved=difference,
        metric=metric,
        history=tuple(
            turn.model_copy(update={"content": shorten(turn.content, MAX_CHARS)})
            for turn in sample.history
        ),
        flags={model: part.flags[model][sample.id] for model in plan.gated},
    )


def _shortened(text: str | None) -> str | None:
    return None if text is None else shorten(text, MAX_CHARS)
