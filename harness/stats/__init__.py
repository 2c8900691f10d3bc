"""Paired statistics on plain vectors: numbers in, estimates, intervals and p-values out.

The item is the unit of every formula here (or the cluster of items that share a source), never
the judge call. d_i is the candidate's score less the baseline's. Nothing in this room reads a
file, and nothing is dropped.
"""

from harness.stats.agreement import (
    Agreement,
    Level,
    Weights,
    cohen_kappa,
    gwet_ac1,
    gwet_ac2,
    krippendorff_alpha,
    percent_agreement,
)
from harness.stats.betting import betting_interval, betting_lower_bound, betting_upper_bound
from harness.stats.bradley_terry import (
    NoStrengths,
    Strengths,
    bradley_terry,
    expected_win_rate,
    find_cycles,
)
from harness.stats.corrected import Corrected, Labelled, corrected_mean, corrected_share
from harness.stats.distributions import normal_quantile
from harness.stats.e_process import betting_e_values, confidence_sequence, sign_e_values
from harness.stats.group_sequential import (
    LEAST_STEP,
    conditional_power,
    futile_below,
    nominal_levels,
    obrien_fleming,
    survival,
)
from harness.stats.label_count import labels_for_mean, labels_for_share
from harness.stats.length_control import (
    LengthControlled,
    Unidentified,
    length_adjusted_difference,
    length_controlled_win_rate,
)
from harness.stats.missing import (
    FilledDifferences,
    fill_missing,
    manski_interval,
    tipping_point,
)
from harness.stats.missingness import Missingness, differential_missingness
from harness.stats.moments import MeanMoments, design_effect, mean_moments
from harness.stats.multiplicity import benjamini_hochberg, holm
from harness.stats.one_sided import (
    BoundaryTest,
    mean_above_test,
    mean_below_test,
    one_sided_lower_bound,
    one_sided_upper_bound,
)
from harness.stats.paired import MeanDifference, mean_difference
from harness.stats.paired_binary import (
    PairedCounts,
    count_pairs,
    mcnemar_exact,
    mcnemar_midp,
    newcombe_interval,
    tango_interval,
    tango_test,
)
from harness.stats.power import (
    Sides,
    ThresholdSize,
    minimum_detectable_effect,
    minimum_detectable_proportion,
    sample_size,
    sample_size_paired_binary,
    sample_size_proportion_threshold,
    t_test_power,
)
from harness.stats.proportions import (
    ThresholdTest,
    clopper_pearson_interval,
    exact_threshold_test,
    minimum_n_for_threshold,
    wilson_interval,
)
from harness.stats.rank import (
    HodgesLehmann,
    SignTest,
    Wilcoxon,
    hodges_lehmann,
    sign_test,
    wilcoxon_test,
)
from harness.stats.repeatability import (
    FlipRate,
    Icc,
    VarianceComponents,
    flip_rate,
    icc_oneway,
    variance_components,
)
from harness.stats.shapes import Alternative, Interval, Vector, effective_clusters
from harness.stats.signflip import SignFlip, signflip_test
from harness.stats.slope import Slope, slope
from harness.stats.two_way import TwoWayMean, Votes, mean_votes, two_way_mean
from harness.stats.two_way_size import (
    MOST_ANNOTATORS,
    VoteDesign,
    VoteSpread,
    detectable_by_votes,
    detectable_of_mean,
    fewest_votes,
    power_of_votes,
    vote_spread,
)

__all__ = [
    "LEAST_STEP",
    "MOST_ANNOTATORS",
    "Agreement",
    "Alternative",
    "BoundaryTest",
    "Corrected",
    "FilledDifferences",
    "FlipRate",
    "HodgesLehmann",
    "Icc",
    "Interval",
    "Labelled",
    "LengthControlled",
    "Level",
    "MeanDifference",
    "MeanMoments",
    "Missingness",
    "NoStrengths",
    "PairedCounts",
    "Sides",
    "SignFlip",
    "SignTest",
    "Slope",
    "Strengths",
    "ThresholdSize",
    "ThresholdTest",
    "TwoWayMean",
    "Unidentified",
    "VarianceComponents",
    "Vector",
    "VoteDesign",
    "VoteSpread",
    "Votes",
    "Weights",
    "Wilcoxon",
    "benjamini_hochberg",
    "betting_e_values",
    "betting_interval",
    "betting_lower_bound",
    "betting_upper_bound",
    "bradley_terry",
    "clopper_pearson_interval",
    "cohen_kappa",
    "conditional_power",
    "confidence_sequence",
    "corrected_mean",
    "corrected_share",
    "count_pairs",
    "design_effect",
    "detectable_by_votes",
    "detectable_of_mean",
    "differential_missingness",
    "effective_clusters",
    "exact_threshold_test",
    "expected_win_rate",
    "fewest_votes",
    "fill_missing",
    "find_cycles",
    "flip_rate",
    "futile_below",
    "gwet_ac1",
    "gwet_ac2",
    "hodges_lehmann",
    "holm",
    "icc_oneway",
    "krippendorff_alpha",
    "labels_for_mean",
    "labels_for_share",
    "length_adjusted_difference",
    "length_controlled_win_rate",
    "manski_interval",
    "mcnemar_exact",
    "mcnemar_midp",
    "mean_above_test",
    "mean_below_test",
    "mean_difference",
    "mean_moments",
    "mean_votes",
    "minimum_detectable_effect",
    "minimum_detectable_proportion",
    "minimum_n_for_threshold",
    "newcombe_interval",
    "nominal_levels",
    "normal_quantile",
    "obrien_fleming",
    "one_sided_lower_bound",
    "one_sided_upper_bound",
    "percent_agreement",
    "power_of_votes",
    "sample_size",
    "sample_size_paired_binary",
    "sample_size_proportion_threshold",
    "sign_e_values",
    "sign_test",
    "signflip_test",
    "slope",
    "survival",
    "t_test_power",
    "tango_interval",
    "tango_test",
    "tipping_point",
    "two_way_mean",
    "variance_components",
    "vote_spread",
    "wilcoxon_test",
    "wilson_interval",
]
