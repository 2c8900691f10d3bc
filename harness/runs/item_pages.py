"""The items of a run, read from its tables, and the reports with a page for each item."""

import math
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.artifacts.answers import ANSWERS_FILE, AnsweredItem, read_answered_ids, read_answers
from harness.artifacts.judgements import JUDGEMENTS_FILE, VALUE, read_judgements
from harness.artifacts.parquet import iter_rows
from harness.artifacts.run_folder import read_run_scores
from harness.artifacts.scores import SCORES_FILE
from harness.config import headline_column, metric_of
from harness.scoring.columns import GradeColumn, ScoreColumn
from harness.scoring.paired import gated_pairs
from harness.types import Plan, RunResult, Task
from harness.types.samples import speaker
from reports.item_pages import (
    Item,
    ItemAnswer,
    ItemJudgement,
    ItemScore,
    select_shown,
    write_item_pages,
)
from reports.write import write_reports

NO_VERDICT = "none"  # shown in place of a verdict that could not be read
_NO_ANSWER = "no answer given"
_NOT_BEYOND_THOUGHTS = "thoughts without an answer"

JudgementsById = dict[str, list[ItemJudgement]]  # by sample id


def write_run_reports(result: RunResult, folder: Path) -> Path:
    """Write all reports of a run and return the path of report.html.

    Pages of its items are written if the run folder has its tables.

    Raises:
        InfrastructureError: a file could not be written.
        HarnessError: a table of the run is damaged.
    """
    n_shown = 0
    if all((folder / name).is_file() for name in (ANSWERS_FILE, JUDGEMENTS_FILE, SCORES_FILE)):
        plan = result.plan
        title = f"{plan.title or plan.suite} · run {result.run_id}"
        ids = read_answered_ids(folder)
        items = read_shown(result, folder, ids)
        n_shown = write_item_pages(items, folder, title=title, n_items=len(ids))
    return write_reports(result, folder, n_items=n_shown)


class _TaskScores(NamedTuple):
    """The scores of a task's items, and their differences on the headline column."""

    task: Task
    columns: list[ScoreColumn]
    metric: str
    differences: Mapping[str, float]

    def difference(self, sample_id: str) -> float | None:
        """Return the candidate's score minus the baseline's; None if one is missing."""
        difference = self.differences.get(sample_id, np.nan)
        return None if np.isnan(difference) else float(difference)


def read_shown(result: RunResult, folder: Path, ids: Sequence[tuple[str, str]]) -> list[Item]:
    """Read the items of the run in `folder` that its pages show, of all `ids` (task, sample).

    The texts of the others are not kept.

    Raises:
        HarnessError: a table is missing or damaged.
    """
    # 1. Choose the items by their differences.
    plan, columns = result.plan, read_run_scores(result, folder)
    scored = {task.name: _scores_of(task, plan, columns) for task in plan.tasks}
    shown: defaultdict[str, set[str]] = defaultdict(set)
    for task_name, sample_id in select_shown(ids, lambda key: scored[key[0]].difference(key[1])):
        shown[task_name].add(sample_id)
    # 2. Read their answers and judgements.
    judgements = read_item_judgements(folder, shown=set().union(*shown.values()))
    models = [model.name for model in plan.models]
    items = []
    for name, scores in scored.items():
        rows = [(c.metric, _format_scores(c, models, shown[name])) for c in scores.columns]
        for item in read_answers(folder, name, shown=shown[name]).values():
            items.append(_join_item(item, scores, rows, judgements, models))
    return items


def _scores_of(task: Task, plan: Plan, columns: Sequence[ScoreColumn]) -> _TaskScores:
    own = [column for column in columns if metric_of(column.metric) in task.metrics]
    return _TaskScores(task, own, *_headline_differences(own, plan))


def _join_item(
    item: AnsweredItem,
    scored: _TaskScores,
    score_rows: Sequence[tuple[str, Mapping[str, tuple[str, ...]]]],
    judgements: Mapping[str, JudgementsById],
    models: Sequence[str],
) -> Item:
    scores = [(name, of_items.get(item.sample_id)) for name, of_items in score_rows]
    return Item(
        task=scored.task.name,
        sample_id=item.sample_id,
        input=item.input,
        reference=item.reference,
        answers=tuple(_answers(item, models)),
        scores=tuple(ItemScore(name, cells) for name, cells in scores if cells),
        judgements=tuple(
            judgement
            for name in scored.task.metrics
            for judgement in judgements[name].get(item.sample_id, ())
        ),
        metric=scored.metric,
        difference=scored.difference(item.sample_id),
        history=tuple((speaker(turn), turn.content) for turn in item.history),
    )


def _answers(item: AnsweredItem, models: Sequence[str]) -> Iterator[ItemAnswer]:
    for model in models:
        text, thoughts = item.answers.get(model), item.thoughts.get(model, "")
        note = _NO_ANSWER if text is None else ""
        if thoughts and not text:
            note = _NOT_BEYOND_THOUGHTS
        yield ItemAnswer(model, text, note, thoughts)


def _headline_differences(
    columns: Sequence[ScoreColumn], plan: Plan
) -> tuple[str, Mapping[str, float]]:
    """Return the headline column and its differences by item; an empty name if there is none."""
    pairs = gated_pairs(columns, plan)
    headline = headline_column(list(pairs))
    if headline is None:
        return "", {}
    pair = pairs[headline]
    return headline, dict(zip(pair.sample_ids, pair.d.tolist(), strict=True))


def _format_scores(
    column: ScoreColumn, models: Sequence[str], shown: Container[str]
) -> dict[str, tuple[str, ...]]:
    """Format the shown items' scores in the order of the models; a win score is the candidate's."""
    places = {name: i for i, name in enumerate(column.sample_ids) if name in shown}
    if isinstance(column, GradeColumn):
        return {
            name: tuple(_cell(column.scores[m][i], column.reasons[m][i]) for m in models)
            for name, i in places.items()
        }
    wins = np.array([column.by_order[order] for order in column.orders]).mean(axis=0)
    against = f" against {column.baseline}"
    return {
        name: tuple(
            _cell(wins[i], column.reasons[i]) + against if model == column.candidate else ""
            for model in models
        )
        for name, i in places.items()
    }


def _cell(score: float, reason: str | None) -> str:
    return f"unscored: {reason or 'not judged'}" if math.isnan(score) else f"{score:g}"


# --- judgements ------------------------------------------------------------------------------


def read_item_judgements(
    folder: Path, *, shown: Container[str] | None = None
) -> Mapping[str, JudgementsById]:
    """Read the judges' verdicts and explanations, by metric and item; with `shown`, only these items.

    Raises:
        HarnessError: the run's judgements are missing or damaged.
    """
    table = read_judgements(folder)
    keys = [name for name in table.column_names if name.startswith(VALUE)]
    judgements: defaultdict[str, JudgementsById] = defaultdict(lambda: defaultdict(list))
    for row in iter_rows(table, shown):
        round_suffix = f", round {row['round'] + 1}" if row["round"] else ""
        subject = row["model"]
        if row["against"] is not None:
            subject = f"{subject} against {row['against']}, {row['order'].replace('_', ' ')}"
        judgements[row["metric"]][row["sample_id"]].append(
            ItemJudgement(
                judge=f"{row['judge']}{round_suffix}",
                metric=row["metric"],
                subject=subject,
                verdict=_verdict(row, keys),
                explanation=row["reason"] or row["rationale"] or "",
            )
        )
    return judgements


def _verdict(row: Mapping[str, object], keys: Sequence[str]) -> str:
    if row["reason"] is not None:
        return NO_VERDICT
    if row["winner"] is not None:
        return {"tie": "tie", "candidate": str(row["model"])}.get(
            str(row["winner"]), str(row["against"])
        )
    if row["label"] is not None:
        return str(row["label"])
    values = [(key.removeprefix(VALUE), row[key]) for key in keys if row[key] is not None]
    return ", ".join(f"{key} {value:g}" for key, value in values)
