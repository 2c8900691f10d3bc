"""Regression checks in CI: a run held to a blessed one, with margins stated when it was blessed.

A check passes when every column is shown to be no worse than the baseline by its margin, one-sided
at alpha: "not significantly worse" is not enough. It fails where a column is shown to be worse by
more than its margin, and is inconclusive otherwise.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from harness.artifacts.run_folder import Run
from harness.config import Claim, Gate, metric_of
from harness.core.errors import HarnessError, did_you_mean
from harness.gate.decision import decide_gate
from harness.gate.interim import level_of_look
from harness.planning.plan_diff import diff_fields, measurement_fields
from harness.runs.compare_runs import (
    baseline_fingerprint,
    ended_early,
    join_scores,
    largest_changes,
    scores_of_run,
    shared_items,
)
from harness.scoring.columns import GradeColumn, PreferenceColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.types import Check, GateDecision, Record

ROUNDING = 1e-9


MARGIN_SHARE = 0.05  # of a column's range, where no margin was stated


class BlessedColumn(Record):
    """The baseline's scores on one column, in the order of its items; None is a missing one."""

    kind: Literal["points", "share"]
    low: float
    high: float
    margin: float = Field(gt=0.0)
    sample_ids: tuple[str, ...]
    clusters: tuple[str, ...] | None
    scores: tuple[float | None, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> "BlessedColumn":
        n = len(self.sample_ids)
        if len(self.scores) != n or (self.clusters is not None and len(self.clusters) != n):
            raise ValueError(f"it names {n} items, and has scores or clusters of another number")
        if len(set(self.sample_ids)) != n:
            raise ValueError("an item stands in it twice")
        if self.kind == "share" and not set(self.scores) <= {0.0, 1.0, None}:
            raise ValueError("a share holds another score than 0 and 1")
        low, high = self.low - ROUNDING, self.high + ROUNDING
        if not all(s is None or low <= s <= high for s in self.scores):
            raise ValueError(f"a score is no number from {self.low:g} to {self.high:g}")
        if not self.margin < self.high - self.low:
            raise ValueError(f"the margin {self.margin:g} excuses everything")
        return self


class Baseline(Record):
    """What a committed baseline file holds: scores, margins, and what they were measured with.

    `opponent` is the fingerprint of the model that win rates are against.
    """

    schema_version: Literal[1] = 1
    model: str
    fingerprint: str
    run_id: str
    alpha: float = Field(gt=0.0, lt=0.5)
    identity: dict[str, str]
    opponent: str = ""
    columns: dict[str, BlessedColumn]


def bless_run(
    run: Run, *, margins: Mapping[str, float] | None = None, alpha: float = 0.05
) -> Baseline:
    """Make the run's candidate the baseline of later checks.

    Without margins the columns of the suite's claims are held, or what sums the suite up, at 5 %
    of their range.

    Raises:
        HarnessError: a margin for a column that was not measured, or one that spans its range; an
            alpha that is none; a run that ended early, or a column that several people judged.
    """
    if not 0 < alpha < 0.5:
        raise HarnessError(f"alpha must lie between 0 and 0.5, but it is {alpha:g}.")
    if ended_early(run):
        raise HarnessError(
            f"{run.folder}: judging ended early, and a baseline must hold every item, so that any "
            "later run can be held to it. Run the suite without 'stop_early' and bless that run: "
            "what was judged is not asked again."
        )
    own = {c.metric: found for c in run.columns if (found := scores_of_run(c, run)) is not None}
    stated = dict(margins or {})
    for metric in stated:
        if metric not in own:
            raise HarnessError(f"'{metric}' is not measured. {did_you_mean(metric, own)}")
    held = stated or dict.fromkeys(_held(run, own))
    for metric in held:
        if _n_people(own[metric]) > 1:
            raise HarnessError(
                f"'{metric}' was judged by {_n_people(own[metric])} people, and a baseline without "
                "their votes would speak for these people only. Name other columns with --margin."
            )
    plan = run.result.plan
    return Baseline(
        model=run.candidate,
        fingerprint=run.result.fingerprints[run.candidate],
        run_id=run.result.run_id,
        alpha=alpha,
        identity=measurement_fields(plan),
        opponent=baseline_fingerprint(run),
        columns={metric: _blessed(own[metric], margin) for metric, margin in held.items()},
    )


def check_run(run: Run, baseline: Baseline) -> Check:
    """Check the run's candidate against the baseline, column by column.

    A run that was judged in looks is held to the baseline on the items it judged, at the level of
    its last look: over all looks together a check then errs as often as one on all items.

    Raises:
        HarnessError: the run did not measure the same, or lacks a column: never a pass.
    """
    for field, before, now in diff_fields(baseline.identity, measurement_fields(run.result.plan)):
        raise HarnessError(
            f"the run differs from the baseline in {field}: {before} there, {now} here. Run the same "
            "suite and profile, or bless a new baseline."
        )
    own = {c.metric: found for c in run.columns if (found := scores_of_run(c, run)) is not None}
    labels = f"{baseline.model} (baseline)", run.candidate
    pairs: dict[str, PairedScores] = {}
    for metric, blessed in baseline.columns.items():
        if metric not in own:
            raise HarnessError(f"the run has no '{metric}', which the baseline holds it to.")
        _refuse_other_opponent(metric, baseline, run)
        held = _column(metric, blessed)
        if ended_early(run):
            held, _ = shared_items(held, own[metric])
        joined = join_scores(held, own[metric], labels)
        pairs[metric] = pair_scores(joined, labels[0])[0]
    claims = tuple(
        Claim(metric=metric, claim="non_inferior", margin=blessed.margin)
        for metric, blessed in baseline.columns.items()
    )
    return Check(
        model=run.candidate,
        baseline=baseline.model,
        decision=_decide(run, Gate(alpha=baseline.alpha, claims=claims), pairs),
        flips=tuple(largest_changes(pair) for pair in pairs.values()),
    )


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline file to commit, one line for each column, so that a diff can be read.

    Raises:
        HarnessError: it cannot be written.
    """
    data = baseline.model_dump(mode="json")
    columns = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(column, ensure_ascii=False)}"
        for name, column in data.pop("columns").items()
    )
    head = json.dumps(data, ensure_ascii=False, indent=1).removesuffix("\n}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{head},\n "columns": {{\n{columns}\n }}\n}}\n', encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"{path}: cannot be written: {error.strerror}.") from None


def read_baseline(path: Path) -> Baseline:
    """Read a baseline file.

    Raises:
        HarnessError: there is none, or it is damaged: never a pass.
    """
    try:
        baseline = Baseline.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise HarnessError(f"{path}: no such file. `harness bless RUN` writes one.") from None
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        what = ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
        raise HarnessError(
            f"{path}: is no baseline that can be read ({what}). Restore it, or bless a run anew."
        ) from None
    if not baseline.columns:
        raise HarnessError(f"{path}: holds the run to nothing.")
    return baseline


def _decide(run: Run, gate: Gate, pairs: Mapping[str, PairedScores]) -> GateDecision:
    """Decide at the level of the look at which judging ended, if there were looks."""
    stopping, plan = run.result.stopping, run.result.plan
    if stopping is None:
        return decide_gate(gate, pairs)
    measured = {metric_of(claim.metric) for claim in gate.claims}
    alpha = min(
        level_of_look(looks, stopping.look, gate.alpha)
        for task, looks in zip(plan.tasks, plan.looks, strict=True)
        if measured & set(task.metrics)
    )
    decision = decide_gate(gate.model_copy(update={"alpha": alpha}), pairs)
    told = (
        f"Judging ended at look {stopping.look} of {stopping.looks}, so this is decided on the items "
        f"judged by then, at that look's level {alpha:.2g}."
    )
    if ended_early(run) and decision.verdict == "inconclusive":
        told += (
            " Run the suite without 'stop_early' to check on every item: what was judged is not "
            "asked again."
        )
    return decision.model_copy(update={"sentence": f"{decision.sentence} {told}"})


def _refuse_other_opponent(metric: str, baseline: Baseline, run: Run) -> None:
    """Refuse a win rate against another model than the baseline's."""
    pairwise = any(isinstance(c, PreferenceColumn) and c.metric == metric for c in run.columns)
    if pairwise and baseline.opponent != baseline_fingerprint(run):
        raise HarnessError(
            f"'{metric}' is a win rate against '{run.result.plan.baseline}' here, and against another "
            "model in the baseline. Run the suite with the model that the baseline's was compared "
            "with, or bless a new baseline."
        )


def _n_people(column: GradeColumn) -> int:
    return max((votes.shape[1] for votes in (column.votes or {}).values()), default=0)


def _held(run: Run, own: Mapping[str, GradeColumn]) -> list[str]:
    plan = run.result.plan
    claimed = [claim.metric for claim in plan.gate.claims] if plan.gate else []
    summaries = [
        column
        for task in plan.tasks
        for name, metric in task.metrics.items()
        for column in metric.summary_columns(name)
    ]
    return [name for name in dict.fromkeys(claimed or summaries) if name in own]


def _blessed(column: GradeColumn, margin: float | None) -> BlessedColumn:
    span = column.high - column.low
    margin = MARGIN_SHARE * span if margin is None else margin
    if not 0 < margin < span:
        raise HarnessError(
            f"{column.metric}: the margin {margin:g} must lie between 0 and its range, {span:g}."
        )
    (scores,) = column.scores.values()
    return BlessedColumn(
        kind=column.kind,
        low=column.low,
        high=column.high,
        margin=margin,
        sample_ids=column.sample_ids,
        clusters=None if column.clusters is None else tuple(column.clusters.tolist()),
        scores=tuple(None if np.isnan(score) else float(score) for score in scores),
    )


def _column(metric: str, blessed: BlessedColumn) -> GradeColumn:
    scores = np.array([np.nan if s is None else s for s in blessed.scores], dtype=np.float64)
    clusters = blessed.clusters
    return GradeColumn(
        metric=metric,
        kind=blessed.kind,
        low=blessed.low,
        high=blessed.high,
        sample_ids=blessed.sample_ids,
        clusters=None if clusters is None else np.array(clusters, dtype=np.str_),
        scores={"baseline": scores},
        reasons={"baseline": ["unscored" if np.isnan(s) else None for s in scores]},
        generation_failed={"baseline": 0},
    )
