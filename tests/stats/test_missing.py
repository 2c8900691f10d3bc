import math

import numpy as np
import pytest

from harness.stats.means import mean_difference
from harness.stats.missing import fill_missing

GAP = math.nan


def test_gaps_are_filled_at_both_ends_and_the_rest_is_kept():
    filled = fill_missing([1, GAP, -2, GAP], low=-9, high=9)
    assert filled.adverse.tolist() == [1, -9, -2, -9]
    assert filled.favourable.tolist() == [1, 9, -2, 9]
    assert filled.n_missing == 2


def test_each_item_may_have_its_own_range():
    # The baseline scored 8 on the second item, so the candidate's 1-10 leaves -7..2.
    filled = fill_missing([1, GAP], low=[GAP, -7], high=[GAP, 2])
    assert filled.adverse.tolist() == [1, -7]
    assert filled.favourable.tolist() == [1, 2]


def test_without_gaps_nothing_changes():
    filled = fill_missing([1, 2, 3], low=-9, high=9)
    assert filled.n_missing == 0
    assert filled.adverse.tolist() == filled.favourable.tolist() == [1, 2, 3]


def test_hiding_the_candidates_disasters_cannot_look_like_a_gain():
    full = np.array([0.5] * 96 + [-8.0] * 4)
    judged = np.where(full < -4, GAP, full)
    assert np.nanmean(judged) == 0.5
    filled = fill_missing(judged, low=-9, high=9)
    low = mean_difference(filled.adverse).ci_low
    assert low < full.mean() < mean_difference(filled.favourable).ci_high
    assert low < 0


def test_impossible_ranges_are_refused():
    with pytest.raises(ValueError, match="low must not exceed high"):
        fill_missing([GAP], low=2, high=1)
    with pytest.raises(ValueError, match="low must not exceed high"):
        fill_missing([GAP], low=GAP, high=1)
    with pytest.raises(ValueError, match="one for each of the 2 items"):
        fill_missing([GAP, 1], low=[1, 2, 3], high=9)


def test_no_items_are_refused():
    with pytest.raises(ValueError, match="at least one item"):
        fill_missing([], low=-9, high=9)
