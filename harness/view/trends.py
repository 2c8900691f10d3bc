"""Every claim over the runs of a suite, and where what was measured changed between two of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.config import Claim, metric_of
from harness.config.claim_kinds import CLAIM_KINDS
from harness.planning.plan_diff import diff_fields
from harness.types import ClaimResult, Plan, PlanChange, Task
from harness.view.workspace import Decided, RunEntry

MOST_RUNS = 100  # on a trend: the last ones
BASELINE = "baseline"


class TrendRun(NamedTuple):
    """A claim's result in one run, and what was changed since the run before; empty if nothing was."""

    entry: RunEntry
    models: tuple[str, ...]
    claim: ClaimResult
    changes: tuple[PlanChange, ...]


class Trend(NamedTuple):
    """One claim over the runs that decided on it, the oldest first."""

    claim: str
    metric: str
    runs: tuple[TrendRun, ...]


class ItemSet(NamedTuple):
    """The items that runs of a suite share: the key of an address, and a description."""

    key: str
    described: str


def suites_of(entries: Iterable[RunEntry]) -> list[str]:
    """Return the suites of which a run decided on claims, that of the last run first."""
    return list(
        dict.fromkeys(e.decided.plan.suite for e in entries if e.decided and e.decided.decision)
    )


def item_sets_of(entries: Iterable[RunEntry], suite: str) -> list[ItemSet]:
    """Return the item sets on which runs of the suite decided, that of the last run first."""
    plans = [e.decided.plan for e in entries if e.decided and e.decided.decision]
    sets = [_item_set(plan) for plan in plans if plan.suite == suite]
    return list(dict.fromkeys(sets))


def trends_of(entries: Iterable[RunEntry], suite: str, items: str = "") -> list[Trend]:
    """Return the trend of each claim of a suite; with `items`, the key of an item set, on those.

    Claims are told apart by their words, margin or value included. Entries come with the last run first.
    """
    runs: dict[str, list[TrendRun]] = {}
    before: dict[str, Mapping[str, str]] = {}
    chosen = [e for e in entries if e.decided and e.decided.plan.suite == suite]
    for entry in reversed([e for e in chosen if not items or _key_of(e) == items]):
        decided = entry.decided
        assert decided
        for stated, claim in _claims(decided):
            measured = _fields_of(claim.metric, stated, decided)
            earlier = before.get(claim.claim, measured)
            changes = () if earlier == measured else tuple(_diff(earlier, measured))
            before[claim.claim] = measured
            run = TrendRun(entry, decided.models, claim, changes)
            runs.setdefault(claim.claim, []).append(run)
    return [
        Trend(claim, found[-1].claim.metric, tuple(found[-MOST_RUNS:]))
        for claim, found in runs.items()
    ]


def _diff(earlier: Mapping[str, str], measured: Mapping[str, str]) -> Iterator[PlanChange]:
    for field, before, now in diff_fields(earlier, measured):
        yield PlanChange(field=field, before=before, now=now)


def _claims(decided: Decided) -> Iterator[tuple[Claim, ClaimResult]]:
    """Yield the claims that the gate stated with their results, which are in the same order."""
    if decided.plan.gate and decided.decision:
        yield from zip(decided.plan.gate.claims, decided.decision.claims, strict=False)


def _fields_of(column: str, stated: Claim, decided: Decided) -> dict[str, str]:
    """Return what a claim's estimate depends on, apart from the candidate, by field."""
    plan, metric = decided.plan, metric_of(column)
    tasks = [task.name for task in plan.tasks if metric in task.metrics]
    fields = {
        field: value
        for field, value in decided.measured.items()
        if field.partition(" of ")[2] in (*tasks, metric) or field == f"metric {metric}"
    }
    if not CLAIM_KINDS[stated.claim].own_mean:
        fingerprint = decided.fingerprints.get(plan.baseline, "")
        fields[BASELINE] = f"{plan.baseline} ({fingerprint[:12]})"
    return fields


def _key_of(entry: RunEntry) -> str:
    return _item_set(entry.decided.plan).key if entry.decided else ""


def _item_set(plan: Plan) -> ItemSet:
    parts = [_describe(task) for task in plan.tasks]
    return ItemSet("-".join(task.items_hash[:8] for task in plan.tasks), "; ".join(parts))


def _describe(task: Task) -> str:
    return f"{task.n_distinct:,} items of {task.name} ({task.items_hash[:8]})"


def changes_of(runs: Sequence[TrendRun]) -> Iterator[tuple[int, TrendRun]]:
    """Yield the runs before which the measurement changed, numbered from 1; the first shown is none."""
    changed = [run for run in runs[1:] if run.changes]
    yield from enumerate(changed, start=1)
