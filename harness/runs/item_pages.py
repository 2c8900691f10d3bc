"""A run's items, one by one: question, answers, scores and judgements, for the pages of a report."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.artifacts.answers import ANSWERS_FILE, AnsweredItem, read_answers
from harness.artifacts.judgements import JUDGEMENTS_FILE, VALUE, read_judgements
from harness.artifacts.scores import SCORES_FILE, read_scores
from harness.config import headline_column, metric_of
from harness.scoring.columns import GradeColumn, ScoreColumn
from harness.scoring.paired import gated_pairs
from harness.types import Plan, RunResult, Task
from reports.item_pages import Answer, Item, ItemScore, Said, write_item_pages
from reports.write import write_reports

UNREAD = "none"  # in place of a verdict that could not be read


_NO_ANSWER = "gave no answer"


Opinions = dict[str, list[Said]]  # by sample id


def write_run_reports(result: RunResult, folder: Path) -> Path:
    """Write all reports of a run, with item pages where its tables exist; return report.html.

    Raises:
        InfrastructureError: a file could not be written.
        HarnessError: a table of the run is damaged.
    """
    n_shown = 0
    if all((folder / name).is_file() for name in (ANSWERS_FILE, JUDGEMENTS_FILE, SCORES_FILE)):
        plan = result.plan
        title = f"{plan.title or plan.suite} · run {result.run_id}"
        n_shown = write_item_pages(list(read_items(plan, folder)), folder, title=title)
    return write_reports(result, folder, n_items=n_shown)


def read_items(plan: Plan, folder: Path) -> Iterator[Item]:
    """Read every item of the run in `folder`, in the order of its tasks.

    Raises:
        HarnessError: a table is missing or damaged.
    """
    columns = read_scores(folder)
    said = read_opinions(folder)
    for task in plan.tasks:
        own = [column for column in columns if metric_of(column.metric) in task.metrics]
        yield from _items_of_task(task, plan, own, said, folder)


def _items_of_task(
    task: Task,
    plan: Plan,
    columns: Sequence[ScoreColumn],
    said: Mapping[str, Opinions],
    folder: Path,
) -> Iterator[Item]:
    answered = read_answers(folder, task.name)
    models = [model.name for model in plan.models]
    printed = [(column.metric, _printed(column, models)) for column in columns]
    metric, moved = _movement(columns, plan)
    place = {sample_id: i for i, sample_id in enumerate(columns[0].sample_ids)} if columns else {}
    for item in answered.values():
        i = place.get(item.sample_id)
        change = np.nan if i is None else moved[i]
        yield Item(
            task=task.name,
            sample_id=item.sample_id,
            input=item.input,
            reference=item.reference,
            answers=tuple(_answers(item, models)),
            scores=()
            if i is None
            else tuple(ItemScore(name, scores[i]) for name, scores in printed if scores[i]),
            said=tuple(s for name in task.metrics for s in said[name].get(item.sample_id, ())),
            metric=metric,
            moved=None if np.isnan(change) else float(change),
        )


def _answers(item: AnsweredItem, models: Sequence[str]) -> Iterator[Answer]:
    for model in models:
        text = item.answers.get(model)
        yield Answer(model, text, _NO_ANSWER if text is None else "")


def _movement(columns: Sequence[ScoreColumn], plan: Plan) -> tuple[str, Sequence[float]]:
    """Return the headline column's name and differences."""
    pairs = gated_pairs(columns, plan)
    told = headline_column(list(pairs))
    if told is None:
        return "", [np.nan] * (len(columns[0].sample_ids) if columns else 0)
    return told, pairs[told].d.tolist()


def _printed(column: ScoreColumn, models: Sequence[str]) -> list[tuple[str, ...]]:
    """Format each item's scores in the order of the models; a win score is the candidate's."""
    if isinstance(column, GradeColumn):
        cells = [_cells(column.scores[m], column.reasons[m]) for m in models]
        return list(zip(*cells, strict=True))
    wins = np.array([column.by_order[order] for order in column.orders]).mean(axis=0)
    shown = _cells(wins, column.reasons)
    against = f" against {column.baseline}"
    return [
        tuple(cell + against if model == column.candidate else "" for model in models)
        for cell in shown
    ]


def _cells(scores: "np.ndarray", reasons: Sequence[str | None]) -> list[str]:
    return [
        f"unscored: {reason or 'not judged'}" if np.isnan(score) else f"{score:g}"
        for score, reason in zip(scores.tolist(), reasons, strict=True)
    ]


# --- what was said ---------------------------------------------------------------------------


def read_opinions(folder: Path) -> Mapping[str, Opinions]:
    """Read the judges' verdicts, by metric and item.

    Raises:
        HarnessError: the run's judgements are missing or damaged.
    """
    table = read_judgements(folder)
    keys = [name for name in table.column_names if name.startswith(VALUE)]
    found: defaultdict[str, Opinions] = defaultdict(lambda: defaultdict(list))
    for row in table.to_pylist():
        again = f", round {row['round'] + 1}" if row["round"] else ""
        about = row["model"]
        if row["against"] is not None:
            about = f"{about} against {row['against']}, {row['order'].replace('_', ' ')}"
        found[row["metric"]][row["sample_id"]].append(
            Said(
                judge=f"{row['judge']}{again}",
                metric=row["metric"],
                about=about,
                verdict=_verdict(row, keys),
                words=row["reason"] or row["rationale"] or "",
            )
        )
    return found


def _verdict(row: Mapping[str, object], keys: Sequence[str]) -> str:
    if row["reason"] is not None:
        return UNREAD
    if row["winner"] is not None:
        return {"tie": "tie", "candidate": str(row["model"])}.get(
            str(row["winner"]), str(row["against"])
        )
    if row["label"] is not None:
        return str(row["label"])
    values = [(key.removeprefix(VALUE), row[key]) for key in keys if row[key] is not None]
    return ", ".join(f"{key} {value:g}" for key, value in values)
