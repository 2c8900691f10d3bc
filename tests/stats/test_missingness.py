import pytest

from harness.stats.missing import differential_missingness
from harness.stats.paired_proportions import PairedCounts


def test_judgements_missing_for_one_model_only():
    # 9 against 1 discordant items: p = 2 (1 + 10) / 2^10.
    baseline = [True] + [False] * 99
    candidate = [False] + [True] * 9 + [False] * 90
    result = differential_missingness(baseline, candidate)
    assert (result.baseline, result.candidate) == pytest.approx((0.01, 0.09))
    assert result.difference == pytest.approx(0.08)
    assert result.p_value == pytest.approx(22 / 1024)
    assert 0 < result.ci_low < 0.08 < result.ci_high
    assert result.counts == PairedCounts(both=0, candidate_only=9, baseline_only=1, neither=90)


def test_items_missing_for_both_models_say_nothing_about_the_difference():
    result = differential_missingness([1, 1, 0, 0], [1, 1, 0, 0])
    assert (result.baseline, result.candidate, result.difference) == (0.5, 0.5, 0)
    assert result.p_value == 1
    assert result.ci_low < 0 < result.ci_high


def test_nothing_missing_still_has_an_interval():
    result = differential_missingness([0] * 40, [0] * 40)
    assert (result.difference, result.p_value) == (0, 1)
    assert -0.1 < result.ci_low < 0 < result.ci_high < 0.1


def test_swapping_models_mirrors_the_difference():
    a, b = [1, 0, 0, 0, 1, 0], [0, 0, 1, 1, 1, 1]
    here, there = differential_missingness(a, b), differential_missingness(b, a)
    assert there.difference == -here.difference
    assert there.p_value == here.p_value
    assert (there.ci_low, there.ci_high) == pytest.approx((-here.ci_high, -here.ci_low))


def test_scores_are_no_missing_indicators():
    with pytest.raises(ValueError, match="0 and 1 only"):
        differential_missingness([7, 8], [1, 0])
    with pytest.raises(ValueError, match="has 2 items"):
        differential_missingness([True, False], [True])
