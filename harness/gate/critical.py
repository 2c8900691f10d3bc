"""The veto: however good the averages are, too many critical answers are no pass.

A rule says how many of the candidate's answers may score so low. It holds when the exact upper
bound of their share is within what is allowed, is broken when the exact lower bound exceeds it,
and is undecided otherwise. An answer without a score counts as critical for the first and as
harmless for the second. Rules can only take a pass away.
"""

import numpy as np
from numpy.typing import NDArray

from harness.config import CriticalRule
from harness.scoring.paired import PairedScores, independent_units
from harness.stats.means import mean_difference
from harness.stats.paired_proportions import count_pairs, mcnemar_midp, tango_interval
from harness.stats.permutation import signflip_test
from harness.stats.proportions import clopper_pearson_interval
from harness.types import CriticalItem, CriticalResult, GateDecision, Interval, Verdict

N_LISTED = 100  # critical items named in a result; all of them are in scores.parquet


def apply_critical_rules(decision: GateDecision, found: tuple[CriticalResult, ...]) -> GateDecision:
    """The decision as it stands after the rules on critical answers."""
    if not found:
        return decision
    broken = [result for result in found if result.verdict == "fail"]
    unsure = [result for result in found if result.verdict == "inconclusive"]
    verdict, said = decision.verdict, "Critical answers are few enough"
    if broken:
        verdict, said = "fail", "Too many answers are critical"
    elif unsure:
        verdict = "inconclusive" if verdict == "pass" else verdict
        said = "Too many answers may be critical"
    why = "; ".join(result.why for result in broken or unsure or found)
    return decision.model_copy(
        update={
            "verdict": verdict,
            "sentence": f"{decision.sentence} {said}: {why}.",
            "critical": found,
        }
    )


def evaluate_critical_rule(rule: CriticalRule, pair: PairedScores, alpha: float) -> CriticalResult:
    """What the candidate's scores say of one rule, at one-sided `alpha`."""
    scores = pair.candidate_scores
    critical, missing = scores <= rule.at_most, np.isnan(scores)
    n, n_critical, n_missing = scores.size, int(critical.sum()), int(missing.sum())
    units = independent_units(n, pair.clusters)
    upper = share_bounds(n_critical + n_missing, n, units, alpha)[1]
    lower = share_bounds(n_critical, n, units, alpha)[0]
    difference, p_value, n_paired = _against_baseline(rule, pair)
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
        n_baseline=int((pair.baseline_scores <= rule.at_most).sum()),
        at_most=rule.at_most,
        allowed_share=rule.allowed_share,
        lower=lower,
        upper=upper,
        n_paired=n_paired,
        difference=difference,
        p_value=p_value,
        items=_items(pair, critical),
    )


def share_bounds(k: int, n: int, units: int, alpha: float) -> tuple[float, float]:
    """One-sided lower and upper bound of a share, each exact at `alpha` (Clopper-Pearson).

    Where items come in clusters, k of n are scaled to as many equal clusters as tell as much, as if
    all items of a cluster said the same. Without any event the upper bound is 1 - alpha^(1/units).
    """
    found = clopper_pearson_interval(k * units / n, units, confidence=1 - 2 * alpha)
    return found.low, found.high


def max_critical(rule: CriticalRule, n: int, units: int, alpha: float) -> int | None:
    """The most critical answers of n with which the rule is still shown to hold; None for none."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        holds = share_bounds(middle, n, units, alpha)[1] <= rule.allowed_share
        low, high = (middle, high) if holds else (low, middle)
    return None if low < 0 else low


# --- parts -----------------------------------------------------------------------------------


def _against_baseline(
    rule: CriticalRule, pair: PairedScores
) -> tuple[Interval | None, float | None, int]:
    """The candidate's share less the baseline's, paired; its p-value; and on how many items."""
    both = ~np.isnan(pair.d)
    if not both.any():
        return None, None, 0
    old = (pair.baseline_scores[both] <= rule.at_most).astype(np.float64)
    new = (pair.candidate_scores[both] <= rule.at_most).astype(np.float64)
    if pair.clusters is None:
        counts = count_pairs(old, new)
        low, high = tango_interval(counts)
        p_value = mcnemar_midp(counts.candidate_only, counts.baseline_only)
    else:
        labels = pair.clusters[both]
        found = mean_difference(new - old, clusters=labels, bounds=(-1.0, 1.0))
        low, high = max(found.ci_low, -1.0), min(found.ci_high, 1.0)
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
    counted = f"{n_critical:,} of {n:,} score at most {rule.at_most:g} on {rule.metric}"
    if n_missing:
        counted += f", {n_missing:,} have no score"
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


def _items(pair: PairedScores, critical: NDArray[np.bool]) -> tuple[CriticalItem, ...]:
    """The critical items, the worst first."""
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
