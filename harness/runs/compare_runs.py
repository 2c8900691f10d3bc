"""Finished runs, read back: compared with each other, or held to one that was blessed.

    harness compare runs/a runs/b        the candidates of two runs, item by item
    harness bless runs/a                 a baseline file for CI
    harness check runs/b --baseline baseline.json

Only like is compared with like: the same items, prompts, decoding, metrics and judges. Whatever
differs is named, and nothing is compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.comparisons import compare_scores
from harness.artifacts.run_folder import Run
from harness.core.errors import HarnessError
from harness.planning.plan_diff import diff_fields, measurement_fields
from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.stats.annotator_means import Votes
from harness.types import Flips, ItemChange, Plan, RunComparison

N_FLIPS = 10  # items named each way


def compare_runs(old: Run, new: Run) -> RunComparison:
    """Compare the candidates of two runs on the items that both judged.

    Raises:
        HarnessError: the runs did not measure the same; names what differs.
    """
    require_comparable(old.result.plan, new.result.plan)
    labels = _labels(old, new)
    columns = {c.metric: own for c in old.columns if (own := scores_of_run(c, old)) is not None}
    pairs: list[tuple[GradeColumn, PairedScores]] = []
    skipped: list[str] = []
    for column in new.columns:
        before, after = columns.get(column.metric), scores_of_run(column, new)
        if before is None or after is None:
            continue  # another pair's win rate
        if isinstance(column, PreferenceColumn) and baseline_fingerprint(
            old
        ) != baseline_fingerprint(new):
            skipped.append(f"{column.metric}: the two win rates are against different baselines")
            continue
        if ended_early(old) or ended_early(new):
            before, after = shared_items(before, after)
        if not before.sample_ids:
            skipped.append(f"{column.metric}: no item was judged in both runs")
            continue
        joined = join_scores(before, after, labels)
        pairs.append((joined, pair_scores(joined, labels[0])[0]))
    return RunComparison(
        old=labels[0],
        new=labels[1],
        comparisons=tuple(
            compare_scores(column, pair, {}) for column, pair in pairs if _any_scored(pair)
        ),
        flips=tuple(largest_changes(pair) for _, pair in pairs if _any_scored(pair)),
        skipped=tuple(skipped),
        notes=tuple(_notes(old, new)),
    )


def require_comparable(old: Plan, new: Plan) -> None:
    """Let nothing pass that did not measure the same.

    Raises:
        HarnessError: says in what the plans differ.
    """
    for field, before, after in diff_fields(measurement_fields(old), measurement_fields(new)):
        raise HarnessError(
            f"the runs differ in {field}: {before} before, {after} now. Only like is compared with "
            "like: run the same suite and profile on both models."
        )


def scores_of_run(column: ScoreColumn, run: Run) -> GradeColumn | None:
    """Take the scores of the run's candidate from the column; None where it has none.

    Its win rate is the one against the run's baseline.
    """
    name = run.candidate
    if isinstance(column, GradeColumn):
        return _only(column, name, column.scores[name], column.reasons[name])
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
    )


def join_scores(old: GradeColumn, new: GradeColumn, labels: tuple[str, str]) -> GradeColumn:
    """Join two models' columns on the same items, in the order of the old one, which comes first.

    Raises:
        HarnessError: the items are not the same.
    """
    if set(old.sample_ids) != set(new.sample_ids):
        raise HarnessError(f"{old.metric}: the two runs hold different items.")
    new = _in_order(new, old.sample_ids)
    (before,), (after,) = old.scores.values(), new.scores.values()
    (why_before,), (why_after,) = old.reasons.values(), new.reasons.values()
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
        reasons=dict(zip(labels, (why_before, why_after), strict=True)),
        generation_failed=dict(zip(labels, (failed_before, failed_after), strict=True)),
        votes=_join_votes(old, new, labels),
    )


def ended_early(run: Run) -> bool:
    """Return whether the run left items unjudged because its verdict was certain."""
    return run.result.stopping is not None and run.result.stopping.early


def shared_items(old: GradeColumn, new: GradeColumn) -> tuple[GradeColumn, GradeColumn]:
    """Limit both columns to the items that both hold, in the order of the old one."""
    there = set(new.sample_ids)
    shared = [item for item in old.sample_ids if item in there]
    return _in_order(old, shared), _in_order(new, shared)


def largest_changes(pair: PairedScores) -> Flips:
    """Find the items that changed most, in each direction."""
    d = np.where(np.isnan(pair.d), 0.0, pair.d)
    order = np.argsort(-np.abs(d), kind="stable")

    def named(chosen: Sequence[int]) -> tuple[ItemChange, ...]:
        return tuple(
            ItemChange(
                sample_id=pair.sample_ids[i],
                before=float(pair.baseline_scores[i]),
                after=float(pair.candidate_scores[i]),
            )
            for i in chosen[:N_FLIPS]
        )

    return Flips(
        metric=pair.metric,
        n_better=int((d > 0).sum()),
        n_worse=int((d < 0).sum()),
        better=named([int(i) for i in order if d[i] > 0]),
        worse=named([int(i) for i in order if d[i] < 0]),
    )


# --- parts -----------------------------------------------------------------------------------


def _notes(old: Run, new: Run) -> Iterator[str]:
    early = [run for run in (old, new) if ended_early(run)]
    for run in early:
        assert run.result.stopping is not None
        counted = " + ".join(f"{s.n_items:,} of {s.n_most:,}" for s in run.result.stopping.tasks)
        yield f"run {run.result.run_id[:7]} ended early, after {counted} items"
    if early:
        yield (
            "compared on the items that both runs judged. A run ends where its candidate looks best "
            "or worst, so the differences are biased, and neither intervals nor p-values allow for "
            "it. Run both without 'stop_early' for an unbiased comparison: what was judged is not "
            "asked again."
        )


def _in_order(column: GradeColumn, items: Sequence[str]) -> GradeColumn:
    """Limit the column to these items, in their order."""
    if column.sample_ids == tuple(items):
        return column
    place = {item: i for i, item in enumerate(column.sample_ids)}
    chosen = np.array([place[item] for item in items], dtype=np.intp)
    return replace(
        column,
        sample_ids=tuple(items),
        clusters=None if column.clusters is None else column.clusters[chosen],
        scores={model: scores[chosen] for model, scores in column.scores.items()},
        reasons={model: [why[i] for i in chosen] for model, why in column.reasons.items()},
        votes=column.votes and {model: votes[chosen] for model, votes in column.votes.items()},
    )


def _join_votes(
    old: GradeColumn, new: GradeColumn, labels: tuple[str, str]
) -> dict[str, Votes] | None:
    """Join the votes of both, where the same people judged both."""
    if old.votes is None or new.votes is None:
        return None
    (before,), (after,) = old.votes.values(), new.votes.values()
    return dict(zip(labels, (before, after), strict=True))


def _only(
    column: GradeColumn, name: str, scores: "np.ndarray", reasons: list[str | None]
) -> GradeColumn:
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
    )


def _labels(old: Run, new: Run) -> tuple[str, str]:
    """Name the candidates, by their runs too where the names are the same.

    Raises:
        HarnessError: it is one run twice.
    """
    if old.candidate != new.candidate:
        return old.candidate, new.candidate
    if old.result.run_id == new.result.run_id:
        raise HarnessError(
            f"both are run {old.result.run_id}: the same models on the same plan, with nothing to "
            "compare."
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
