"""Two to eight runs side by side: what each decided on every claim, and how their plans differ."""

from collections.abc import Sequence
from typing import NamedTuple

from harness.planning.plan_diff import ITEMS_OF, diff_fields
from harness.types import ClaimResult, CriticalResult
from harness.view.workspace import Decided, RunEntry

FEWEST, MOST = 2, 8


class ClaimRow(NamedTuple):
    """One claim, or rule on critical answers, and its result in each run; None where a run did not state it."""

    claim: str
    metric: str
    results: tuple[ClaimResult | CriticalResult | None, ...]


class FieldRow(NamedTuple):
    """A field in which the plans differ, and its value in each run."""

    field: str
    values: tuple[str, ...]


class SideBySide(NamedTuple):
    """Runs side by side, in the order in which they were named.

    `comparable` is whether all measured the same, so that `harness compare` may compare two of them item
    by item; `same_items` whether all were on the same items.
    """

    entries: tuple[RunEntry, ...]
    runs: tuple[Decided, ...]
    claims: tuple[ClaimRow, ...]
    differences: tuple[FieldRow, ...]
    same_items: bool
    comparable: bool


def lay_side_by_side(entries: Sequence[RunEntry]) -> SideBySide:
    """Lay runs side by side that can all be read."""
    runs = [entry.decided for entry in entries if entry.decided]
    differences = _differences(runs)
    first, *others = [run.measured for run in runs]
    return SideBySide(
        entries=tuple(entries),
        runs=tuple(runs),
        claims=tuple(_claim_rows(runs)),
        differences=tuple(differences),
        same_items=not any(row.field.startswith(ITEMS_OF) for row in differences),
        comparable=not any([*diff_fields(first, other)] for other in others),
    )


def _claim_rows(runs: Sequence[Decided]) -> list[ClaimRow]:
    results = [_results_by_words(run) for run in runs]
    rows = []
    for words in dict.fromkeys(words for of_run in results for words in of_run):
        found = tuple(of_run.get(words) for of_run in results)
        metric = next(result.metric for result in found if result)
        rows.append(ClaimRow(words, metric, found))
    return rows


def _results_by_words(run: Decided) -> dict[str, ClaimResult | CriticalResult]:
    """Return what a run decided on each claim, and then on each rule on critical answers."""
    if run.decision is None:
        return {}
    claims = {claim.claim: claim for claim in run.decision.claims}
    return claims | {f"critical: {rule.rule}": rule for rule in run.decision.critical}


def _differences(runs: Sequence[Decided]) -> list[FieldRow]:
    """Return the fields in which a plan differs from the first, with every run's value."""
    first, *others = [run.claimed for run in runs]
    differing = [{f: (a, b) for f, a, b in diff_fields(first, other)} for other in others]
    rows = []
    for field in dict.fromkeys(field for of_run in differing for field in of_run):
        own = next(of_run[field][0] for of_run in differing if field in of_run)
        values = [own, *(of_run[field][1] if field in of_run else own for of_run in differing)]
        rows.append(FieldRow(field, tuple(values)))
    return rows
