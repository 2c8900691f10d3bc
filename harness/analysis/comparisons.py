"""Comparisons: candidate against baseline, item by item, one per column."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import get_args

import numpy as np

from harness.scoring.columns import (
    WIN,
    Clusters,
    GradeColumn,
    PreferenceColumn,
    ScoreColumn,
    winners_of,
)
from harness.scoring.paired import Mask, PairedScores, take_clusters, votes_by_seed
from harness.stats.agreement import Agreement, cohen_kappa
from harness.stats.agreement_repeats import Icc
from harness.stats.annotator_means import TwoWayMean, two_way_mean
from harness.stats.means import MeanDifference, design_effect, mean_difference
from harness.stats.missing import differential_missingness, fill_missing
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.paired_proportions import count_pairs, mcnemar_midp, tango_interval
from harness.stats.permutation import signflip_test
from harness.stats.power import minimum_detectable_effect
from harness.stats.proportions import wilson_interval
from harness.stats.vectors import Vector
from harness.stats.wilcoxon import wilcoxon_test
from harness.types import (
    Comparison,
    HygieneFlag,
    Interval,
    PairwiseDetail,
    Plan,
    SeedDifference,
    SeedSpread,
    Sensitivity,
    TestResult,
)

CEILING_SHARE = 0.6  # share of scores near the top of the scale above which it is saturated
UNEVEN_P = 0.05  # p-value below which judgements go missing more often for one of the models
Flagged = Mapping[str, Collection[HygieneFlag]]  # flags in either answer, by sample id


def compare_scores(column: ScoreColumn, pair: PairedScores, flagged: Flagged) -> Comparison:
    """Compare the paired scores: test, sensitivity to gaps, sensitivity to flagged answers.

    Raises:
        ValueError: not a single item has a difference.
    """
    # Test and intervals use the items with a difference; the missing ones are bounded.
    observed = ~np.isnan(pair.d)
    clusters = take_clusters(pair.clusters, observed)
    d = pair.d[observed]
    difference = mean_difference(d, clusters=clusters, bounds=pair.bounds)
    return Comparison(
        metric=pair.metric,
        baseline=pair.baseline,
        candidate=pair.candidate,
        n=difference.n,
        n_missing=pair.missing,
        n_clusters=None if clusters is None else difference.n_clusters,
        null=pair.null,
        difference=find_interval(pair, observed),
        se=difference.se if np.isfinite(difference.se) else None,
        baseline_mean=float(pair.baseline_scores[observed].mean()),
        candidate_mean=float(pair.candidate_scores[observed].mean()),
        test=main_test(pair, observed),
        secondary=_secondary_tests(pair, d),
        effect_size=difference.d_z if np.isfinite(difference.d_z) else None,
        dominance=difference.dominance,
        minimum_detectable=_minimum_detectable(d, clusters, difference),
        adverse=_filled_interval(pair, adverse=True),
        favourable=_filled_interval(pair, adverse=False),
        sensitivity=tuple(_sensitivity(pair, observed, flagged)),
        pairwise=_pairwise_detail(column) if isinstance(column, PreferenceColumn) else None,
        flags=tuple(_comparison_flags(pair, column, difference)),
        seeds=_seed_spread(pair, observed),
    )


# --- parts of a comparison -------------------------------------------------------------------


def find_interval(pair: PairedScores, chosen: Mask) -> Interval:
    """Compute the difference on the chosen items with its 95 % interval, on the metric's own scale."""
    mean = mean_difference(
        pair.d[chosen], clusters=take_clusters(pair.clusters, chosen), bounds=pair.bounds
    )
    low, high = mean.ci_low, mean.ci_high
    two_way = _find_two_way_mean(pair, chosen)
    if two_way is not None:
        low, high = two_way.interval()
    elif pair.kind == "share" and pair.clusters is None:
        counts = count_pairs(pair.baseline_scores[chosen], pair.candidate_scores[chosen])
        low, high = tango_interval(counts)
    low, high = max(low, pair.bounds[0]), min(high, pair.bounds[1])
    return Interval(estimate=mean.estimate + pair.null, low=low + pair.null, high=high + pair.null)


def find_own_interval(pair: PairedScores, chosen: Mask) -> Interval:
    """Compute the candidate's own mean on the chosen items with its 95 % interval."""
    scores, (least, greatest) = pair.candidate_scores[chosen], pair.score_bounds
    clusters = take_clusters(pair.clusters, chosen)
    if pair.kind == "share" and clusters is None:
        low, high = wilson_interval(float(scores.sum()), scores.size)
    else:
        mean = mean_difference(scores, clusters=clusters, bounds=pair.score_bounds)
        low, high = mean.ci_low, mean.ci_high
    two_way = _find_two_way_mean(pair, chosen, own=True)
    if two_way is not None:
        low, high = two_way.interval()
    return Interval(estimate=float(scores.mean()), low=max(low, least), high=min(high, greatest))


def _find_two_way_mean(pair: PairedScores, chosen: Mask, *, own: bool = False) -> TwoWayMean | None:
    """Compute the mean with annotators, or training seeds, as a source of uncertainty.

    It is of the differences, or of the candidate's `own` scores. None for one annotator, or where
    nothing varies.
    """
    votes, seeds = (pair.own_votes, pair.own_seeds) if own else (pair.votes, pair.seeds)
    if seeds is not None:
        votes = votes_by_seed(pair.candidate_scores if own else pair.d, seeds)
    if votes is None or not chosen.any():
        return None
    mean = two_way_mean(votes[chosen], clusters=take_clusters(pair.clusters, chosen))
    return mean if mean.n_annotators > 1 and mean.se > 0 else None


def _seed_spread(pair: PairedScores, observed: Mask) -> SeedSpread | None:
    """Compute each training seed's mean difference and their spread; None without seeds."""
    if pair.seeds is None:
        return None
    means = [
        SeedDifference(
            seed=int(seed),
            n=int(chosen.sum()),
            difference=float(pair.d[chosen].mean()) + pair.null,
            baseline_mean=float(pair.baseline_scores[chosen].mean()),
            candidate_mean=float(pair.candidate_scores[chosen].mean()),
        )
        for seed in np.unique(pair.seeds[observed])
        for chosen in [observed & (pair.seeds == seed)]
    ]
    sd = float(np.std([mean.difference for mean in means], ddof=1)) if len(means) > 1 else None
    return SeedSpread(seeds=tuple(means), sd=sd)


def _filled_interval(pair: PairedScores, *, adverse: bool) -> Interval | None:
    if not pair.missing:
        return None
    filled = fill_missing(pair.d, low=pair.least, high=pair.greatest)
    d = filled.adverse if adverse else filled.favourable
    mean = mean_difference(d, clusters=pair.clusters, bounds=pair.bounds)
    low, high = max(mean.ci_low, pair.bounds[0]), min(mean.ci_high, pair.bounds[1])
    return Interval(estimate=mean.estimate + pair.null, low=low + pair.null, high=high + pair.null)


def _sensitivity(pair: PairedScores, observed: Mask, flagged: Flagged) -> Iterator[Sensitivity]:
    """Yield the difference without any flagged item, then without each kind of flag present."""
    kinds = [flag for flag in get_args(HygieneFlag) if any(flag in f for f in flagged.values())]
    for kind in ("any_flag", *kinds) if kinds else ():
        clean = observed & np.array(
            [not has_flag(flagged.get(sample_id, ()), kind) for sample_id in pair.sample_ids]
        )
        yield Sensitivity(
            without=kind,
            n=int(clean.sum()),
            difference=find_interval(pair, clean) if clean.any() else None,
        )


def has_flag(flags: Collection[HygieneFlag], kind: str) -> bool:
    """Return whether the answers to an item have the flag; "any_flag" means any at all."""
    return bool(flags) if kind == "any_flag" else kind in flags


def main_test(pair: PairedScores, observed: Mask) -> TestResult:
    """Run the two-sided test of no difference on the observed items."""
    clusters = take_clusters(pair.clusters, observed)
    two_way = _find_two_way_mean(pair, observed)
    if two_way is not None:
        p_value = 2 * min(two_way.p_above(0.0), two_way.p_below(0.0), 0.5)
        others = "annotators" if pair.seeds is None else "training seeds"
        return TestResult(name=f"two-way cluster-robust t, items and {others}", p_value=p_value)
    if pair.kind == "share" and clusters is None:
        counts = count_pairs(pair.baseline_scores[observed], pair.candidate_scores[observed])
        p_value = mcnemar_midp(counts.candidate_only, counts.baseline_only)
        return TestResult(name="McNemar mid-p", p_value=p_value)
    test = signflip_test(pair.d[observed], clusters=clusters)
    method = "exact" if test.method == "exact" else f"{test.resamples:,} resamples"
    unit = "" if clusters is None else ", whole clusters"
    return TestResult(name=f"paired sign-flip ({method}{unit})", p_value=test.p_value)


def _secondary_tests(pair: PairedScores, d: Vector) -> tuple[TestResult, ...]:
    """Run Wilcoxon's test of symmetry about zero, which never decides a gate."""
    if pair.kind != "points" or pair.clusters is not None or not d.any():
        return ()
    test = wilcoxon_test(d)
    return (TestResult(name=f"Wilcoxon-Pratt ({test.method}), symmetry", p_value=test.p_value),)


def _minimum_detectable(d: Vector, clusters: Clusters, difference: MeanDifference) -> float | None:
    if difference.degenerate or difference.n < 3:
        return None
    effective = (
        difference.n if clusters is None else difference.n / design_effect(d, clusters=clusters)
    )
    if effective <= 1:
        return None
    return minimum_detectable_effect(float(d.std(ddof=1)), effective)


def _pairwise_detail(column: PreferenceColumn) -> PairwiseDetail:
    # Wins, ties and losses, by the mean over the orders.
    scores = np.array([column.by_order[order] for order in column.orders])
    judged = ~np.isnan(scores).any(axis=0)
    means = scores[:, judged].mean(axis=0)
    single = len(column.orders) == 1 and column.votes is None
    first_share = column.first_share
    if first_share is None:
        first_share = float(_first_shown_scores(column).mean())
    # The effect of the order, where both were judged.
    effect = position_p = consistency = kappa = wins_in_both = losses_in_both = None
    if len(column.orders) > 1:
        u = (column.by_order["candidate_first"] - column.by_order["baseline_first"])[judged]
        mean = mean_difference(
            u, clusters=take_clusters(column.clusters, judged), bounds=(-1.0, 1.0)
        )
        effect = Interval(estimate=mean.estimate, low=mean.ci_low, high=mean.ci_high)
        position_p = signflip_test(u, clusters=take_clusters(column.clusters, judged)).p_value
        consistency = float((u == 0).mean())
        by_order = winners_of(scores[:, judged])
        wins_in_both, losses_in_both = (
            int((by_order == win).all(axis=0).sum()) for win in (WIN["candidate"], WIN["baseline"])
        )
        kappa = as_interval(cohen_kappa(*by_order, categories=sorted(WIN.values())))
    return PairwiseDetail(
        wins=int((means > 0.5).sum()),
        ties=int((means == 0.5).sum()),
        losses=int((means < 0.5).sum()),
        first_share=first_share,
        position_effect=effect,
        position_p=position_p,
        consistency=consistency,
        single_order=single,
        wins_in_both=wins_in_both,
        losses_in_both=losses_in_both,
        order_kappa=kappa,
    )


def as_interval(agreement: Agreement | Icc) -> Interval | None:
    """Make an interval; None where a coefficient cannot be estimated, as where nothing varies."""
    low, high = agreement.ci_low, agreement.ci_high
    if np.isnan([agreement.estimate, low, high]).any():
        return None
    return Interval(estimate=agreement.estimate, low=low, high=high)


def _first_shown_scores(column: PreferenceColumn) -> Vector:
    """Score 1 where the first-shown answer won and 0.5 for ties, over all verdicts that were read."""
    candidate_first = column.by_order["candidate_first"]
    baseline_first = 1 - column.by_order["baseline_first"]
    scores: Vector = np.concatenate([candidate_first, baseline_first])
    return scores[~np.isnan(scores)]


def _comparison_flags(
    pair: PairedScores, column: ScoreColumn, difference: MeanDifference
) -> Iterable[str]:
    if difference.degenerate:
        yield "degenerate"
    if isinstance(column, GradeColumn) and pair.missing:
        gaps = np.isnan(pair.baseline_scores), np.isnan(pair.candidate_scores)
        p_value = differential_missingness(*gaps).p_value
        if p_value < UNEVEN_P:
            yield f"missing_unevenly:{p_value:.3g}"
    if isinstance(column, GradeColumn) and column.kind == "points" and _has_a_rare_top(column):
        top = column.high - 0.1 * column.usual_range
        for model in (pair.baseline, pair.candidate):
            values = column.scores[model]
            if float((values[~np.isnan(values)] >= top).mean()) > CEILING_SHARE:
                yield f"saturated:{model}"


def _has_a_rare_top(column: GradeColumn) -> bool:
    """Return whether the best score is praise: not one of two, nor a 0 that says that no harm was found."""
    values = np.concatenate([scores[~np.isnan(scores)] for scores in column.scores.values()])
    only_ends = bool(np.isin(values, (column.low, column.high)).all())
    return column.high > 0 and not (column.high - column.low <= 1 and only_ends)


def adjust_exploratory(comparisons: Sequence[Comparison], plan: Plan) -> tuple[Comparison, ...]:
    """Adjust the p-values of all comparisons outside the gate by Benjamini and Hochberg.

    The family is every pair of models on every column that no claim is about, so what looks like
    a finding among many is a chance one in at most alpha of the cases, on average.
    """
    outside = [c for c in comparisons if not _is_claimed(c, plan)]
    if not outside:
        return tuple(comparisons)
    adjusted = iter(benjamini_hochberg(np.array([c.test.p_value for c in outside])))
    return tuple(
        c if _is_claimed(c, plan) else c.model_copy(update={"p_exploratory": float(next(adjusted))})
        for c in comparisons
    )


def _is_claimed(comparison: Comparison, plan: Plan) -> bool:
    claimed = {claim.metric for claim in plan.gate.claims} if plan.gate else set()
    return (
        comparison.metric in claimed and (comparison.baseline, comparison.candidate) == plan.gated
    )
