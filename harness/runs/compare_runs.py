"""Comparison of the candidates of two finished runs, item by item.

    harness compare runs/a runs/b

Both runs must have the same items, prompts, decoding, metrics and judges. Otherwise an error names
the difference, and nothing is compared.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.analysis.comparisons import compare_scores
from harness.artifacts.answers import read_answers
from harness.artifacts.integrity import NOT_VERIFIED
from harness.artifacts.run_folder import Run
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.planning.plan_diff import diff_fields, measurement_fields, unmeasured_fields
from harness.scoring.columns import GradeColumn, Limits, PreferenceColumn, ScoreColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.stats.annotator_means import Votes
from harness.types import Flips, ItemChange, Plan, RunComparison

N_CHANGES_LISTED = 10  # items in each direction
N_ITEMS_NAMED = 5
_HASH_LENGTH = 12  # of an item


def compare_runs(old: Run, new: Run, *, common_items: bool = False) -> RunComparison:
    """Compare the candidates of two runs on the items that both judged.

    With `common_items` the items need not be the same: those that are equal in both are compared.

    Raises:
        HarnessError: the runs did not measure the same; names the difference, and the items.
    """
    differing = differing_items(old, new)
    if differing and not common_items:
        raise HarnessError(
            f"the runs differ in their items: {differing.description}. Add --common-items to compare "
            "the runs on the items that are the same in both."
        )
    if differing:
        _require_equal_fields(old.result.plan, new.result.plan, but="items of ")
    else:
        require_comparable(old.result.plan, new.result.plan)
    labels = _labels(old, new)
    old_columns = {c.metric: own for c in old.columns if (own := scores_of_run(c, old)) is not None}
    # Join the two candidates' scores on each column.
    pairs: list[tuple[GradeColumn, PairedScores]] = []
    unmeasured = dict.fromkeys(name for run in (old, new) for name in run.result.plan.not_measured)
    skipped = [
        f"{name}: not compared, because a run of one model does not measure it"
        for name in unmeasured
    ]
    for column in new.columns:
        before, after = old_columns.get(column.metric), scores_of_run(column, new)
        if before is None or after is None:
            continue  # another pair's win rate
        if isinstance(column, PreferenceColumn) and baseline_fingerprint(
            old
        ) != baseline_fingerprint(new):
            skipped.append(
                f"{column.metric}: not compared, because the two win rates are against different "
                "baselines"
            )
            continue
        if differing or stopped_early(old) or stopped_early(new):
            before, after = shared_items(before, after, without=differing.ids)
        if not before.sample_ids:
            skipped.append(
                f"{column.metric}: not compared, because no item was judged in both runs"
            )
            continue
        joined = join_scores(before, after, labels)
        pairs.append((joined, pair_scores(joined, labels[0])[0]))
    # Compare them, and list the items that changed most.
    return RunComparison(
        old=labels[0],
        new=labels[1],
        comparisons=tuple(
            compare_scores(column, pair, {}) for column, pair in pairs if _any_scored(pair)
        ),
        flips=tuple(largest_changes(pair) for _, pair in pairs if _any_scored(pair)),
        skipped=tuple(skipped),
        notes=tuple(_notes(old, new, differing)),
    )


def require_comparable(old: Plan, new: Plan) -> None:
    """Refuse two plans that do not measure the same.

    Raises:
        HarnessError: the plans differ; names the difference.
    """
    _require_equal_fields(old, new)


class DifferingItems(NamedTuple):
    """The items that two runs do not share, or not with the same text; false where there are none."""

    ids: frozenset[str] = frozenset()
    description: str = ""

    def __bool__(self) -> bool:
        return bool(self.ids)


def differing_items(old: Run, new: Run) -> DifferingItems:
    """Find the items that differ between two runs of the same tasks, by their files of answers.

    Nothing is found where the plans have the same items, or a run lacks its file.
    """
    tasks = {task.name: task.items_hash for task in old.result.plan.tasks}
    found: list[DifferingItems] = []
    for task in new.result.plan.tasks:
        if tasks.get(task.name, task.items_hash) == task.items_hash:
            continue
        try:
            before, after = (hash_items_of(run.folder, task.name) for run in (old, new))
        except HarnessError:
            continue
        found.append(diff_items(before, after, task.name))
    return join_differences(found)


def hash_items_of(folder: Path, task: str) -> dict[str, str]:
    """Hash the question, with the turns before it, and the reference of each item of a run's task, by id.

    Raises:
        HarnessError: the run lacks its file of answers.
    """
    return {
        i: content_hash(item.transcript, item.reference)[:_HASH_LENGTH]
        for i, item in read_answers(folder, task).items()
    }


def join_differences(found: Iterable[DifferingItems]) -> DifferingItems:
    """Join what differs in several tasks."""
    parts = [part for part in found if part]
    ids = frozenset().union(*(part.ids for part in parts))
    return DifferingItems(ids, "; ".join(part.description for part in parts))


def diff_items(before: Mapping[str, str], after: Mapping[str, str], task: str) -> DifferingItems:
    """Name the items of a task that were edited, left out or added, by their hashes."""
    edited = [i for i in before if i in after and before[i] != after[i]]
    gone = [i for i in before if i not in after]
    added = [i for i in after if i not in before]
    parts = []
    for what, items in (("edited", edited), ("left out", gone), ("added", added)):
        if items:
            named = ", ".join(items[:N_ITEMS_NAMED]) + (", …" if items[N_ITEMS_NAMED:] else "")
            parts.append(f"{len(items):,} of '{task}' {what} ({named})")
    return DifferingItems(frozenset([*edited, *gone, *added]), "; ".join(parts))


def _require_equal_fields(old: Plan, new: Plan, *, but: str | None = None) -> None:
    unmeasured = unmeasured_fields(old, new)
    for field, before, after in diff_fields(measurement_fields(old), measurement_fields(new)):
        if (but is not None and field.startswith(but)) or field in unmeasured:
            continue
        raise HarnessError(
            f"the runs differ in {field}: {before} in the old run, {after} in the new one. Only runs "
            "with the same measurement can be compared: run the same suite and profile on both "
            "models."
        )


def scores_of_run(column: ScoreColumn, run: Run) -> GradeColumn | None:
    """Take the scores of the run's candidate from the column; None where it has none.

    Its win rate is the one against the run's baseline.
    """
    name = run.candidate
    if isinstance(column, GradeColumn):
        return _select_model(column, name, column.scores[name], column.reasons[name])
    if (column.baseline, column.candidate) != (run.result.plan.baseline, name):
        return None
    wins = np.array([column.by_order[order] for order in column.orders]).mean(axis=0)
    return GradeColumn(
        metric=column.metric,
        kind="points",
        low=0.0,
        high=1.0,
        sample_ids=column.sample_ids,
        clusters=column.clusters,
        scores={name: wins},
        reasons={name: column.reasons},
        generation_failed={name: column.generation_failed},
        votes=None if column.votes is None else {name: column.votes},
        seeds={} if column.seeds is None else {name: column.seeds},
    )


def join_scores(old: GradeColumn, new: GradeColumn, labels: tuple[str, str]) -> GradeColumn:
    """Join two models' columns on the same items, in the order of the old one, which comes first.

    Raises:
        HarnessError: the items are not the same.
    """
    if set(old.sample_ids) != set(new.sample_ids):
        raise HarnessError(
            f"{old.metric}: the two runs have different items, so they cannot be compared."
        )
    new = _in_order(new, old.sample_ids)
    # Each column holds one model.
    (before,), (after,) = old.scores.values(), new.scores.values()
    (reasons_before,), (reasons_after,) = old.reasons.values(), new.reasons.values()
    (failed_before,), (failed_after,) = (
        old.generation_failed.values(),
        new.generation_failed.values(),
    )
    return GradeColumn(
        metric=old.metric,
        kind=old.kind,
        low=old.low,
        high=old.high,
        sample_ids=old.sample_ids,
        clusters=old.clusters,
        scores=dict(zip(labels, (before, after), strict=True)),
        reasons=dict(zip(labels, (reasons_before, reasons_after), strict=True)),
        generation_failed=dict(zip(labels, (failed_before, failed_after), strict=True)),
        votes=_join_votes(old, new, labels),
        limits=_join_limits(old, new, labels),
        seeds={
            label: seeds
            for label, column in zip(labels, (old, new), strict=True)
            for seeds in column.seeds.values()
        },
    )


def stopped_early(run: Run) -> bool:
    """Return whether the run left items unjudged because its verdict was certain."""
    return run.result.stopping is not None and run.result.stopping.early


def shared_items(
    old: GradeColumn, new: GradeColumn, *, without: Collection[str] = ()
) -> tuple[GradeColumn, GradeColumn]:
    """Limit both columns to the items that both hold, in the order of the old one."""
    new_ids = set(new.sample_ids).difference(without)
    shared = [item for item in old.sample_ids if item in new_ids]
    return _in_order(old, shared), _in_order(new, shared)


def largest_changes(pair: PairedScores) -> Flips:
    """Find the items that changed most, in each direction."""
    d = np.where(np.isnan(pair.d), 0.0, pair.d)
    order = np.argsort(-np.abs(d), kind="stable")

    def list_changes(indices: Sequence[int]) -> tuple[ItemChange, ...]:
        return tuple(
            ItemChange(
                sample_id=pair.sample_ids[i],
                before=float(pair.baseline_scores[i]),
                after=float(pair.candidate_scores[i]),
            )
            for i in indices[:N_CHANGES_LISTED]
        )

    return Flips(
        metric=pair.metric,
        n_better=int((d > 0).sum()),
        n_worse=int((d < 0).sum()),
        better=list_changes([int(i) for i in order if d[i] > 0]),
        worse=list_changes([int(i) for i in order if d[i] < 0]),
    )


# --- parts -----------------------------------------------------------------------------------


def unverified_notes(*runs: Run) -> Iterator[str]:
    """Yield a note for each run whose tables have no hashes."""
    for run in runs:
        if not run.result.tables:
            yield f"run {run.result.run_id[:7]}: {NOT_VERIFIED}"


def _notes(old: Run, new: Run, differing: DifferingItems) -> Iterator[str]:
    if differing:
        yield f"compared on the items that are the same in both runs; {differing.description}"
    early = [run for run in (old, new) if stopped_early(run)]
    for run in early:
        assert run.result.stopping is not None
        n_judged = " + ".join(f"{s.n_items:,} of {s.n_most:,}" for s in run.result.stopping.tasks)
        yield f"run {run.result.run_id[:7]} stopped early, after {n_judged} items"
    if early:
        yield (
            "compared on the items that both runs judged. A run stops when its candidate looks best "
            "or worst, so the differences are biased; intervals and p-values are not adjusted for "
            "this. Run both without 'stop_early' for an unbiased comparison; existing judgements are "
            "reused."
        )
    yield from unverified_notes(old, new)


def _in_order(column: GradeColumn, items: Sequence[str]) -> GradeColumn:
    """Limit the column to these items, in their order."""
    if column.sample_ids == tuple(items):
        return column
    index = {item: i for i, item in enumerate(column.sample_ids)}
    chosen = np.array([index[item] for item in items], dtype=np.intp)
    return replace(
        column,
        sample_ids=tuple(items),
        clusters=None if column.clusters is None else column.clusters[chosen],
        scores={model: scores[chosen] for model, scores in column.scores.items()},
        reasons={model: [reasons[i] for i in chosen] for model, reasons in column.reasons.items()},
        votes=column.votes and {model: votes[chosen] for model, votes in column.votes.items()},
        limits=column.limits
        and {m: (least[chosen], most[chosen]) for m, (least, most) in column.limits.items()},
        seeds={model: seeds[chosen] for model, seeds in column.seeds.items()},
    )


def _join_limits(
    old: GradeColumn, new: GradeColumn, labels: tuple[str, str]
) -> dict[str, Limits] | None:
    """Join what missing scores may be at worst and at best, where items have limits of their own."""
    if old.limits is None and new.limits is None:
        return None
    before, after = (column.limits_of(next(iter(column.scores))) for column in (old, new))
    return dict(zip(labels, (before, after), strict=True))


def _join_votes(
    old: GradeColumn, new: GradeColumn, labels: tuple[str, str]
) -> dict[str, Votes] | None:
    """Join the votes of both, where the same people judged both."""
    if old.votes is None or new.votes is None:
        return None
    (before,), (after,) = old.votes.values(), new.votes.values()
    return dict(zip(labels, (before, after), strict=True))


def _select_model(
    column: GradeColumn, name: str, scores: "np.ndarray", reasons: list[str | None]
) -> GradeColumn:
    """Limit the column to one model."""
    return GradeColumn(
        metric=column.metric,
        kind=column.kind,
        low=column.low,
        high=column.high,
        sample_ids=column.sample_ids,
        clusters=column.clusters,
        scores={name: scores},
        reasons={name: reasons},
        generation_failed={name: column.generation_failed[name]},
        votes=None if column.votes is None else {name: column.votes[name]},
        limits=None if column.limits is None else {name: column.limits[name]},
        seeds={model: seeds for model, seeds in column.seeds.items() if model == name},
    )


def _labels(old: Run, new: Run) -> tuple[str, str]:
    """Name the candidates, with their run ids if the names are equal.

    Raises:
        HarnessError: both are the same run.
    """
    if old.candidate != new.candidate:
        return old.candidate, new.candidate
    if old.result.run_id == new.result.run_id:
        raise HarnessError(
            f"both folders hold run {old.result.run_id}, so there is nothing to compare. Name two "
            "different runs."
        )
    return (
        f"{old.candidate} ({old.result.run_id[:7]})",
        f"{new.candidate} ({new.result.run_id[:7]})",
    )


def baseline_fingerprint(run: Run) -> str:
    """Return the fingerprint of the model that the run's candidate was compared with."""
    return run.result.fingerprints[run.result.plan.baseline]


def _any_scored(pair: PairedScores) -> bool:
    return pair.missing < pair.d.size
