"""Caveats on comparisons: what turns their conclusion, or hides behind it."""

from collections.abc import Iterable, Iterator

from harness.config import ChoiceMetric, metric_of
from harness.types import Caveat, Comparison, Interval, Plan, SensitivityTable, SliceComparison

SLICE_ALPHA = 0.05  # adjusted p-value up to which a worse slice is a caveat


def comparison_caveats(comparison: Comparison) -> Iterator[Caveat]:
    """Yield what qualifies one comparison: flagged answers, missing scores, the order of pairs."""
    yield from _flag_caveats(comparison)
    yield from _score_caveats(comparison)
    yield from _order_caveats(comparison)


def _flag_caveats(comparison: Comparison) -> Iterator[Caveat]:
    """Warn if the conclusion changes without the items that have a flagged answer."""
    difference, null = comparison.difference, comparison.null
    sign = "" if null else "+"  # a win rate is its own difference
    unflagged = next((s.difference for s in comparison.sensitivity), None)
    if unflagged is not None and _side(unflagged, null) != _side(difference, null):
        yield Caveat(
            code="flags_matter",
            text=f"{comparison.metric}: without the items with a flagged answer, the conclusion on "
            f"'{comparison.candidate}' changes ({'win rate' if null else 'difference'} "
            f"{unflagged.estimate:{sign}.3f} instead of {difference.estimate:{sign}.3f}).",
        )


def _score_caveats(comparison: Comparison) -> Iterator[Caveat]:
    """Warn of missing scores, and of scores at the top of the scale."""
    metric = comparison.metric
    if comparison.n_missing:
        yield Caveat(
            code="unscored",
            text=f"{metric}: no score for '{comparison.candidate}' or its baseline on "
            f"{comparison.n_missing} of {comparison.n + comparison.n_missing} items; the gate counts "
            "them at their worst.",
        )
    for flag in comparison.flags:
        if flag.startswith("missing_unevenly:"):
            yield Caveat(
                code="missing_unevenly",
                text=f"{metric}: judgements are missing more often for one of '{comparison.candidate}' "
                f"and '{comparison.baseline}' than for the other (p = {flag.partition(':')[2]}), so the "
                "remaining items are not a fair comparison.",
            )
        if flag.startswith("saturated:"):
            yield Caveat(
                code="saturated",
                text=f"{metric}: more than 60 % of the scores of '{flag.partition(':')[2]}' are in "
                "the top tenth of the scale, so differences between good answers cannot be seen.",
            )


def _order_caveats(comparison: Comparison) -> Iterator[Caveat]:
    """Warn of pairs judged in one order only, and of an effect of the order."""
    detail = comparison.pairwise
    if detail is not None and detail.single_order:
        yield Caveat(
            code="single_order",
            text=f"{comparison.metric}: every pair was shown in one order only, so a preference for a "
            "position cannot be separated from a preference for a model.",
        )
    if detail is not None and detail.position_p is not None and detail.position_p < 0.05:
        yield Caveat(
            code="position_effect",
            text=f"{comparison.metric}: the judge's verdict on '{comparison.candidate}' against "
            f"'{comparison.baseline}' depends on the order of the answers "
            f"(p = {detail.position_p:.3g}).",
        )


def _side(interval: Interval, null: float) -> int:
    """Return 1 above the null value, -1 below it, 0 if the interval contains it."""
    return int(interval.low > null) - int(interval.high < null)


def unlike_readable_caveats(plan: Plan, comparisons: Iterable[Comparison]) -> Iterator[Caveat]:
    """Report choices that one model states more often than another, whatever it knows."""
    for comparison in comparisons:
        name = metric_of(comparison.metric)
        is_choice = isinstance(plan.metrics.get(name), ChoiceMetric) and comparison.metric != name
        interval = comparison.difference
        if is_choice and interval is not None and (interval.low > 0 or interval.high < 0):
            yield Caveat(
                code="unlike_readable",
                text=f"{name}: '{comparison.candidate}' states an option on "
                f"{comparison.candidate_mean:.1%} of the items and '{comparison.baseline}' on "
                f"{comparison.baseline_mean:.1%}. Answers without one count as wrong, so that the "
                "difference in accuracy is in part one of form and not of knowledge.",
            )


def sensitivity_caveats(tables: Iterable[SensitivityTable]) -> Iterator[Caveat]:
    """Yield a caveat for each claim that another analysis turns from pass to fail or back."""
    opposite = {"pass": "fail", "fail": "pass"}
    for table in tables:
        decided, *others = table.rows
        opposite_verdict = opposite.get(decided.verdict or "")
        reversed_rows = [
            row for row in others if opposite_verdict and row.verdict == opposite_verdict
        ]
        if reversed_rows:
            n = len(reversed_rows)
            analyses = f"{n} other analyses reverse" if n > 1 else "another analysis reverses"
            yield Caveat(
                code="counting_matters",
                text=f"{table.claim}: {analyses} this verdict ({opposite_verdict} instead of "
                f"{decided.verdict}).",
            )


def slice_caveats(slices: Iterable[SliceComparison]) -> Iterator[Caveat]:
    """Yield the slices on which the candidate is worse, with p-values adjusted for their number."""
    for line in slices:
        if line.difference is None or line.p_adjusted is None or line.p_adjusted > SLICE_ALPHA:
            continue
        if line.difference.estimate < line.null:
            sign = "" if line.null else "+"  # a win rate is its own difference
            p = f"p = {line.p_adjusted:.2g}" if line.p_adjusted >= 0.0001 else "p < 0.0001"
            yield Caveat(
                code="worse_on_a_slice",
                text=f"{line.metric}: '{line.candidate}' is worse on the slice {line.slice} = "
                f"{line.value} ({line.difference.estimate:{sign}.3g} on {line.n} items, {p} adjusted "
                f"for {line.n_tests} slice tests).",
            )
