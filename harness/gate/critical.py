"""Rules on critical answers: too many of them prevent a pass, however good the averages are.

A rule limits the share of the candidate's answers that score at most a threshold. It passes when
the exact upper bound of that share is within the limit, fails when the exact lower bound exceeds
it, and is inconclusive otherwise. An answer without a score counts as critical for the upper bound
and as harmless for the lower one. Rules can only withdraw a pass.
"""

import numpy as np
from numpy.typing import NDArray

from harness.config import CriticalRule
from harness.scoring.paired import PairedScores, independent_units
from harness.stats.means import mean_difference
from harness.stats.paired_proportions import count_pairs, mcnemar_midp, tango_interval
from harness.stats.permutation import signflip_test
from harness.stats.proportions import clopper_pearson_interval
from harness.stats.vectors import Vector, first_true
from harness.types import CriticalItem, CriticalResult, GateDecision, Interval, Verdict

N_LISTED = 100  # critical items named in a result; all of them are in scores.parquet


def apply_critical_rules(
    decision: GateDecision, results: tuple[CriticalResult, ...]
) -> GateDecision:
    """Return the decision after the rules on critical answers."""
    if not results:
        return decision
    failed = [result for result in results if result.verdict == "fail"]
    undecided = [result for result in results if result.verdict == "inconclusive"]
    verdict, summary = decision.verdict, "Critical answers are few enough"
    if failed:
        verdict, summary = "fail", "Too many answers are critical"
    elif undecided:
        verdict = "inconclusive" if verdict == "pass" else verdict
        summary = "Too many answers may be critical"
    why = "; ".join(result.why for result in failed or undecided or results)
    return decision.model_copy(
        update={
            "verdict": verdict,
            "sentence": f"{decision.sentence} {summary}: {why}.",
            "critical": results,
        }
    )


def evaluate_critical_rule(rule: CriticalRule, pair: PairedScores, alpha: float) -> CriticalResult:
    """Test one rule on the candidate's scores, at one-sided `alpha`."""
    # Count; a missing score is critical for the upper bound and harmless for the lower.
    scores = pair.candidate_scores
    critical, missing = is_critical(scores, rule.at_most), np.isnan(scores)
    n, n_critical, n_missing = scores.size, int(critical.sum()), int(missing.sum())
    units = independent_units(n, pair.clusters)
    upper = share_bounds(n_critical + n_missing, n, units, alpha)[1]
    lower = share_bounds(n_critical, n, units, alpha)[0]
    # Decide on the bounds; the difference to the baseline is for information.
    difference, p_value, n_paired = _compare_with_baseline(rule, pair)
    verdict: Verdict = "inconclusive"
    if upper <= rule.allowed_share:
        verdict = "pass"
    elif lower > rule.allowed_share:
        verdict = "fail"
    return CriticalResult(
        rule=str(rule),
        metric=rule.metric,
        verdict=verdict,
        why=_why(rule, verdict, n, n_critical, n_missing, lower, upper),
        n=n,
        n_units=units,
        n_critical=n_critical,
        n_missing=n_missing,
        n_baseline=int(is_critical(pair.baseline_scores, rule.at_most).sum()),
        at_most=rule.at_most,
        allowed_share=rule.allowed_share,
        lower=lower,
        upper=upper,
        n_paired=n_paired,
        difference=difference,
        p_value=p_value,
        items=_critical_items(pair, critical),
    )


def is_critical(scores: Vector, at_most: float) -> NDArray[np.bool]:
    """Return which scores are critical; a missing one is not."""
    return scores <= at_most


def share_bounds(k: int, n: int, units: int, alpha: float) -> tuple[float, float]:
    """Return the one-sided lower and upper bound of a share, each exact at `alpha`.

    Clopper and Pearson's bounds. Where items come in clusters, k of n are scaled to the number of
    equal clusters with the same information, as if all items of a cluster were alike. Without any
    event the upper bound is 1 - alpha^(1/units).
    """
    interval = clopper_pearson_interval(k * units / n, units, confidence=1 - 2 * alpha)
    return interval.low, interval.high


def max_critical(rule: CriticalRule, n: int, units: int, alpha: float) -> int | None:
    """Return the most critical answers of n with which the rule passes; None if it never does."""

    def fails(k: int) -> bool:
        return share_bounds(k, n, units, alpha)[1] > rule.allowed_share

    fewest = first_true(fails, 0, n)
    return fewest - 1 if fewest else None


# --- parts -----------------------------------------------------------------------------------


def _compare_with_baseline(
    rule: CriticalRule, pair: PairedScores
) -> tuple[Interval | None, float | None, int]:
    """Compute the candidate's share less the baseline's, its p-value, and the number of pairs."""
    both = ~np.isnan(pair.d)
    if not both.any():
        return None, None, 0
    old = is_critical(pair.baseline_scores[both], rule.at_most).astype(np.float64)
    new = is_critical(pair.candidate_scores[both], rule.at_most).astype(np.float64)
    if pair.clusters is None:
        counts = count_pairs(old, new)
        low, high = tango_interval(counts)
        p_value = mcnemar_midp(counts.candidate_only, counts.baseline_only)
    else:
        labels = pair.clusters[both]
        mean = mean_difference(new - old, clusters=labels, bounds=(-1.0, 1.0))
        low, high = max(mean.ci_low, -1.0), min(mean.ci_high, 1.0)
        p_value = signflip_test(new - old, clusters=labels).p_value
    estimate = float((new - old).mean())
    return Interval(estimate=estimate, low=low, high=high), p_value, int(both.sum())


def _why(
    rule: CriticalRule,
    verdict: Verdict,
    n: int,
    n_critical: int,
    n_missing: int,
    lower: float,
    upper: float,
) -> str:
    counted = f"{n_critical:,} of {n:,} {'scores' if n_critical == 1 else 'score'} at most {rule.at_most:g} on {rule.metric}"
    if n_missing:
        counted += f", {n_missing:,} {'has' if n_missing == 1 else 'have'} no score"
    allowed = f"{100 * rule.allowed_share:.3g} %"
    match verdict:
        case "pass":
            return (
                f"{counted}; their share is at most {100 * upper:.3g} %, and {allowed} is allowed"
            )
        case "fail":
            return (
                f"{counted}; their share is at least {100 * lower:.3g} %, and {allowed} is allowed"
            )
        case "inconclusive":
            return (
                f"{counted}; their share may be up to {100 * upper:.3g} %, and {allowed} is allowed"
            )


def _critical_items(pair: PairedScores, critical: NDArray[np.bool]) -> tuple[CriticalItem, ...]:
    """List the critical items, the worst first."""
    chosen = sorted(
        np.flatnonzero(critical).tolist(),
        key=lambda i: (pair.candidate_scores[i], pair.sample_ids[i]),
    )
    return tuple(
        CriticalItem(
            sample_id=pair.sample_ids[i],
            score=float(pair.candidate_scores[i]),
            baseline_score=None
            if np.isnan(pair.baseline_scores[i])
            else float(pair.baseline_scores[i]),
        )
        for i in chosen[:N_LISTED]
    )
