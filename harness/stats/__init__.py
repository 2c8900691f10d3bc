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
from harness.stats.shapes import Alternative, Interval, Vector
from harness.stats.signflip import SignFlip, signflip_test

__all__ = [
    "Agreement",
    "Alternative",
    "BoundaryTest",
    "FilledDifferences",
    "FlipRate",
    "HodgesLehmann",
    "Icc",
    "Interval",
    "LengthControlled",
    "Level",
    "MeanDifference",
    "MeanMoments",
    "Missingness",
    "PairedCounts",
    "Sides",
    "SignFlip",
    "SignTest",
    "ThresholdSize",
    "ThresholdTest",
    "Unidentified",
    "VarianceComponents",
    "Vector",
    "Weights",
    "Wilcoxon",
    "benjamini_hochberg",
    "betting_interval",
    "betting_lower_bound",
    "betting_upper_bound",
    "clopper_pearson_interval",
    "cohen_kappa",
    "count_pairs",
    "design_effect",
    "differential_missingness",
    "exact_threshold_test",
    "fill_missing",
    "flip_rate",
    "gwet_ac1",
    "gwet_ac2",
    "hodges_lehmann",
    "holm",
    "icc_oneway",
    "krippendorff_alpha",
    "length_adjusted_difference",
    "length_controlled_win_rate",
    "manski_interval",
    "mcnemar_exact",
    "mcnemar_midp",
    "mean_above_test",
    "mean_below_test",
    "mean_difference",
    "mean_moments",
    "minimum_detectable_effect",
    "minimum_n_for_threshold",
    "newcombe_interval",
    "one_sided_lower_bound",
    "one_sided_upper_bound",
    "percent_agreement",
    "sample_size",
    "sample_size_paired_binary",
    "sample_size_proportion_threshold",
    "sign_test",
    "signflip_test",
    "t_test_power",
    "tango_interval",
    "tango_test",
    "tipping_point",
    "variance_components",
    "wilcoxon_test",
    "wilson_interval",
]
