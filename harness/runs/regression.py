"""Regression checks in CI: a run against a blessed baseline, with margins set at the blessing.

    harness bless runs/a                            writes baseline.json
    harness check runs/b --baseline baseline.json

A check passes if every column is shown to be no worse than the baseline by its margin, one-sided at
alpha: "not significantly worse" is not enough. It fails if a column is shown to be worse by more
than its margin, and is inconclusive otherwise.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from harness.artifacts.run_folder import Run
from harness.config import Claim, Gate, metric_of
from harness.core.errors import HarnessError, did_you_mean
from harness.core.files import write_output
from harness.core.json_text import read_json_bytes, unique_keys
from harness.gate.decision import decide_gate
from harness.gate.equal_answers import equal_answer_reasons, withhold_pass
from harness.gate.interim import level_of_look
from harness.planning.plan_diff import ITEMS_OF, diff_fields, measurement_fields, unmeasured_fields
from harness.runs.compare_runs import (
    DifferingItems,
    baseline_fingerprint,
    diff_items,
    hash_items_of,
    join_differences,
    join_scores,
    largest_changes,
    scores_of_run,
    shared_items,
    stopped_early,
    unverified_notes,
)
from harness.scoring.columns import GradeColumn, PreferenceColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.types import Check, GateDecision, Plan, Record

ROUNDING = 1e-9
MARGIN_SHARE = 0.05  # default margin as a share of a column's usual range


class BlessedColumn(Record):
    """The baseline's scores on one column, in the order of its items; None for a missing score."""

    kind: Literal["points", "share"]
    low: float
    high: float
    margin: float = Field(gt=0.0)
    sample_ids: tuple[str, ...]
    clusters: tuple[str, ...] | None
    scores: tuple[float | None, ...]

    @model_validator(mode="after")
    def _check_consistency(self) -> "BlessedColumn":
        n = len(self.sample_ids)
        if len(self.scores) != n or (self.clusters is not None and len(self.clusters) != n):
            raise ValueError(f"the number of scores or clusters differs from the {n} items")
        if len(set(self.sample_ids)) != n:
            raise ValueError("an item occurs twice")
        if self.kind == "share" and not set(self.scores) <= {0.0, 1.0, None}:
            raise ValueError("a score of kind 'share' is neither 0 nor 1")
        low, high = self.low - ROUNDING, self.high + ROUNDING
        if not all(s is None or low <= s <= high for s in self.scores):
            raise ValueError(f"a score is not a number from {self.low:g} to {self.high:g}")
        if not self.margin < self.high - self.low:
            raise ValueError(f"the margin {self.margin:g} spans the whole range of the scores")
        return self


class Baseline(Record):
    """The content of a committed baseline file: scores, margins, and how they were measured.

    `identity` holds the fields of the plan that must not differ. `opponent` is the fingerprint of
    the model that win rates are against. `items` are hashes of each task's items, by id, which tell
    the edited ones (empty in files of older versions).
    """

    schema_version: Literal[1] = 1
    model: str
    fingerprint: str
    run_id: str
    alpha: float = Field(gt=0.0, lt=0.5)
    identity: dict[str, str]
    opponent: str = ""
    items: dict[str, dict[str, str]] = Field(default={}, exclude_if=lambda items: not items)
    columns: dict[str, BlessedColumn]


def bless_run(
    run: Run, *, margins: Mapping[str, float] | None = None, alpha: float = 0.05
) -> Baseline:
    """Make the run's candidate the baseline of later checks.

    Without margins, the columns of the suite's claims are checked (without claims, its summary
    columns), each with a margin of 5 % of its range.

    Raises:
        HarnessError: a margin for a column that was not measured, or one that spans its range; an
            alpha out of range; a run that stopped early, a column that several people judged, or a
            candidate that gives many questions one answer.
    """
    # 1. Refuse runs that cannot be a baseline.
    if not 0 < alpha < 0.5:
        raise HarnessError(f"alpha must be between 0 and 0.5, but it is {alpha:g}.")
    if stopped_early(run):
        raise HarnessError(
            f"{run.folder}: judging stopped early, but a baseline must hold the scores of every item, "
            "so that any later run can be checked against it. Run the suite without 'stop_early' and "
            "bless that run; existing judgements are reused."
        )
    if run.result.plan.seeds:
        raise HarnessError(
            f"{run.folder}: '{run.candidate}' was compared under several training seeds, and a check is of "
            "one checkpoint. Run the suite with models without 'seeds', and bless that run."
        )
    # 2. Choose the columns to check.
    columns = {c.metric: own for c in run.columns if (own := scores_of_run(c, run)) is not None}
    chosen_margins: dict[str, float | None] = dict(margins or {})
    for metric in chosen_margins:
        if metric not in columns:
            raise HarnessError(f"'{metric}' is not measured. {did_you_mean(metric, columns)}")
    if not chosen_margins:
        chosen_margins = dict.fromkeys(default_columns(run.result.plan, columns))
    for metric in chosen_margins:
        n_voters = _n_voters(columns[metric])
        if n_voters > 1:
            raise HarnessError(
                f"'{metric}' was judged by {n_voters} people (or judges read as a sample). A baseline does not "
                "hold their votes, so its check would not generalise beyond them. Name other columns with "
                "--margin."
            )
    plan = run.result.plan
    for reason in equal_answer_reasons(plan, run.result.hygiene, chosen_margins, [run.candidate]):
        raise HarnessError(f"{run.folder}: {reason.text} It is no baseline either.")
    # 3. Store their scores with the margins.
    return Baseline(
        model=run.candidate,
        fingerprint=run.result.fingerprints[run.candidate],
        run_id=run.result.run_id,
        alpha=alpha,
        identity=measurement_fields(plan),
        opponent=baseline_fingerprint(run),
        items=_hash_all_items(run),
        columns={
            metric: _bless_column(columns[metric], margin)
            for metric, margin in chosen_margins.items()
        },
    )


def _hash_all_items(run: Run) -> dict[str, dict[str, str]]:
    """Hash the items of each task but protected ones; none of a run whose answers cannot be read."""
    tasks = [task.name for task in run.result.plan.tasks if not task.phi]
    try:
        return {task: hash_items_of(run.folder, task) for task in tasks}
    except HarnessError:
        return {}


def check_run(run: Run, baseline: Baseline, *, common_items: bool = False) -> Check:
    """Check the run's candidate against the baseline, column by column.

    A run that was judged in looks is compared on the items it judged, at the level of its last look:
    over all looks together, its error rate is that of a check on all items. With `common_items` items
    may have been edited, left out or added since: those that are the same are compared.

    Raises:
        HarnessError: the run did not measure the same, or lacks a column: never a pass.
    """
    # 1. Refuse a run that did not measure the same.
    differing = require_same_measurement(run, baseline, common_items=common_items)
    # 2. Decide a non-inferiority claim on each column of the baseline.
    pairs = pair_with_baseline(run, baseline, differing)
    claims = tuple(
        Claim(metric=metric, claim="non_inferior", margin=blessed.margin)
        for metric, blessed in baseline.columns.items()
    )
    decision = _decide(run, Gate(alpha=baseline.alpha, claims=claims), pairs)
    if differing:
        note = (
            f"Checked on the items that are the same as in the baseline: {differing.description}."
        )
        decision = decision.model_copy(update={"sentence": f"{decision.sentence} {note}"})
    plan, hygiene = run.result.plan, run.result.hygiene
    reasons = tuple(equal_answer_reasons(plan, hygiene, baseline.columns, [run.candidate]))
    return Check(
        model=run.candidate,
        baseline=baseline.model,
        decision=withhold_pass(decision, reasons),
        flips=tuple(largest_changes(pair) for pair in pairs.values()),
        notes=tuple(unverified_notes(run)),
    )


def pair_with_baseline(
    run: Run, baseline: Baseline, differing: DifferingItems
) -> dict[str, PairedScores]:
    """Pair the run's scores with the baseline's, column by column, on the items that are the same.

    Raises:
        HarnessError: the run lacks a column, or measured it on another scale or against another model.
    """
    columns = {c.metric: own for c in run.columns if (own := scores_of_run(c, run)) is not None}
    labels = f"{baseline.model} (baseline)", run.candidate
    pairs: dict[str, PairedScores] = {}
    for metric, blessed in baseline.columns.items():
        if metric not in columns:
            raise HarnessError(
                f"the run has no '{metric}', which the baseline requires. Run the suite that the "
                "baseline was made with, or bless a new baseline."
            )
        _require_same_opponent(metric, baseline, run)
        _require_same_scale(metric, blessed, columns[metric])
        baseline_column = _restore_column(metric, blessed)
        column = columns[metric]
        if differing:
            shared = shared_items(baseline_column, column, without=differing.ids)
            baseline_column, column = shared
        elif stopped_early(run):  # the baseline still has to hold all that was judged
            baseline_column, _ = shared_items(baseline_column, column)
        if not column.sample_ids:
            raise HarnessError(
                f"{metric}: no item is the same as in the baseline. Bless a new one."
            )
        joined = join_scores(baseline_column, column, labels)
        pairs[metric] = pair_scores(joined, labels[0])[0]
    return pairs


def require_same_measurement(run: Run, baseline: Baseline, *, common_items: bool) -> DifferingItems:
    """Refuse a run that did not measure the same; return the items that differ, where they may.

    Raises:
        HarnessError: a field differs; edited items are named where the baseline knows its items.
    """
    plan, found = run.result.plan, list[DifferingItems]()
    unmeasured = unmeasured_fields(plan, identity=baseline.identity)
    for field, before, now in diff_fields(baseline.identity, measurement_fields(plan)):
        if field in unmeasured:
            continue  # refused later where the baseline has scores of it
        task = field.removeprefix(ITEMS_OF)
        if task != field and task in baseline.items:
            found.append(diff_items(baseline.items[task], hash_items_of(run.folder, task), task))
            if found[-1]:
                continue
        raise HarnessError(
            f"the run differs from the baseline in {field}: {before} in the baseline, {now} in the "
            "run. Run the same suite and profile, or bless a new baseline."
        )
    differing = join_differences(found)
    if differing and not common_items:
        raise HarnessError(
            f"the run differs from the baseline in its items: {differing.description}. Add "
            "--common-items to check it on the items that are the same, or bless a new baseline."
        )
    return differing


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline file to commit, with one line for each column, so that diffs are readable.

    Raises:
        HarnessError: the file cannot be written.
    """
    data = baseline.model_dump(mode="json")
    long = {name: data.pop(name) for name in ("items", "columns") if name in data}
    head = json.dumps(data, ensure_ascii=False, indent=1).removesuffix("\n}")
    parts = [f' "{name}": {{\n{_one_a_line(values)}\n }}' for name, values in long.items()]
    try:
        write_output(path, ",\n".join([head, *parts, ""]).removesuffix(",\n").encode() + b"\n}\n")
    except OSError as error:
        raise HarnessError(f"{path}: cannot be written: {error.strerror}.") from None


def _one_a_line(values: Mapping[str, object]) -> str:
    return ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
    )


def read_baseline(path: Path) -> Baseline:
    """Read a baseline file.

    Raises:
        HarnessError: the file is missing or damaged: never a pass.
    """
    try:
        data = json.loads(read_json_bytes(path), object_pairs_hook=unique_keys)
        baseline = Baseline.model_validate_json(json.dumps(data))
    except FileNotFoundError:
        raise HarnessError(f"{path}: no such file. `harness bless RUN` writes one.") from None
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        location = ".".join(map(str, first["loc"]))
        problem = f"{location}: {first['msg']}" if location else first["msg"]
        raise HarnessError(
            f"{path}: not a valid baseline file ({problem}). Restore it, or bless a run again."
        ) from None
    except (ValueError, RecursionError) as error:
        raise HarnessError(
            f"{path}: not a valid baseline file ({error}). Restore it, or bless a run again."
        ) from None
    if not baseline.columns:
        raise HarnessError(f"{path}: has no columns to check. Bless a run again.")
    return baseline


def _decide(run: Run, gate: Gate, pairs: Mapping[str, PairedScores]) -> GateDecision:
    """Decide at the level of the look at which judging stopped, if there were looks."""
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
    note = (
        f"Judging stopped at look {stopping.look} of {stopping.looks}, so the check uses the items "
        f"judged by then, at that look's alpha {alpha:.2g}."
    )
    if stopped_early(run) and decision.verdict == "inconclusive":
        note += " Run the suite without 'stop_early' to check every item; existing judgements are reused."
    return decision.model_copy(update={"sentence": f"{decision.sentence} {note}"})


def _require_same_opponent(metric: str, baseline: Baseline, run: Run) -> None:
    """Refuse a win rate against another model than the one in the baseline."""
    pairwise = any(isinstance(c, PreferenceColumn) and c.metric == metric for c in run.columns)
    if pairwise and baseline.opponent != baseline_fingerprint(run):
        raise HarnessError(
            f"'{metric}': the run's win rate is against '{run.result.plan.baseline}', the baseline's "
            "is against another model. Run the suite with the baseline model of the blessed run, or "
            "bless a new baseline."
        )


def _require_same_scale(metric: str, blessed: BlessedColumn, column: GradeColumn) -> None:
    """Refuse a baseline on another scale than the run's, against which its margin means nothing."""
    scale = blessed.kind, blessed.low, blessed.high
    if scale != (column.kind, column.low, column.high):
        raise HarnessError(
            f"'{metric}': the baseline has {blessed.kind} from {blessed.low:g} to {blessed.high:g}, and "
            f"the run {column.kind} from {column.low:g} to {column.high:g}. The baseline file was "
            "changed: restore it, or bless a run again."
        )


def _n_voters(column: GradeColumn) -> int:
    return max((votes.shape[1] for votes in (column.votes or {}).values()), default=0)


def default_columns(plan: Plan, columns: Collection[str]) -> list[str]:
    """Return those of the columns that claims are about; without any, their metrics' summary columns."""
    claimed = [claim.metric for claim in plan.gate.claims] if plan.gate else []
    summaries = [
        column for name, metric in plan.metrics.items() for column in metric.summary_columns(name)
    ]
    found = [name for name in dict.fromkeys(claimed) if name in columns]
    return found or [name for name in summaries if name in columns]


def _bless_column(column: GradeColumn, margin: float | None) -> BlessedColumn:
    span = column.high - column.low
    margin = MARGIN_SHARE * column.usual_range if margin is None else margin
    if not 0 < margin < span:
        raise HarnessError(
            f"{column.metric}: the margin {margin:g} must be between 0 and the range of its scores, "
            f"{span:g}."
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


def _restore_column(metric: str, blessed: BlessedColumn) -> GradeColumn:
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
