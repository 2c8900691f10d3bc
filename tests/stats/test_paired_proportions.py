import numpy as np
import pytest

from harness.stats.paired_proportions import (
    PairedCounts,
    count_pairs,
    mcnemar_exact,
    mcnemar_midp,
    tango_interval,
)


@pytest.mark.parametrize("case", [0, 1])
def test_mcnemar_equals_r_and_fagerland(golden, case):
    data = golden("mcnemar")["cases"][case]
    b, c = data["table"][0][1], data["table"][1][0]
    assert mcnemar_exact(b, c) == pytest.approx(data["expected"]["exact_p"], abs=1e-9)
    assert mcnemar_midp(b, c) == pytest.approx(data["expected"]["midp"], abs=1e-9)


@pytest.mark.parametrize("case", [0, 1, 2])
def test_the_interval_equals_the_published_formula(golden, case):
    data = golden("paired_proportion_ci")["cases"][case]
    counts = PairedCounts(*np.ravel(data["table"]).tolist())
    assert counts.risk_difference == pytest.approx(data["diff"])
    assert tango_interval(counts) == pytest.approx(tuple(data["tango"]), abs=1e-6)


def test_even_split_loses_half_the_observed_chance():
    assert mcnemar_exact(2, 2) == 1
    assert mcnemar_midp(2, 2) == pytest.approx(1 - 0.5 * 6 / 16)


def test_no_discordant_pairs_give_p_one():
    assert mcnemar_exact(0, 0) == mcnemar_midp(0, 0) == 1


def test_pairs_are_counted_by_model():
    counts = count_pairs(baseline=[1, 0, 0, 1, 0, 0], candidate=[1, 1, 1, 0, 0, 1])
    assert counts == PairedCounts(both=1, candidate_only=3, baseline_only=1, neither=1)
    assert counts.risk_difference == pytest.approx(2 / 6)


def test_swapping_models_mirrors_the_interval():
    low, high = tango_interval(PairedCounts(59, 6, 16, 80))
    swapped = tango_interval(PairedCounts(59, 16, 6, 80))
    assert swapped == pytest.approx((-high, -low))


def test_one_sided_success_keeps_the_interval_inside_its_range():
    low, high = tango_interval(PairedCounts(0, 12, 0, 0))
    assert 0 < low < 1
    assert high == pytest.approx(1)


def test_tango_ends_are_where_the_score_test_turns():
    # The loss chance of greatest likelihood is found by search here, by formula there.
    counts = PairedCounts(30, 9, 4, 17)
    for end in tango_interval(counts):
        losses = np.linspace(max(0, -end), (1 - end) / 2, 200_001)[1:-1]
        tied = counts.both + counts.neither
        likelihood = 9 * np.log(losses + end) + 4 * np.log(losses)
        likelihood += tied * np.log(1 - 2 * losses - end)
        loss = losses[likelihood.argmax()]
        z = (9 - 4 - 60 * end) / np.sqrt(60 * (2 * loss + end - end**2))
        assert abs(z) == pytest.approx(1.959964, abs=1e-3)


def test_pairs_need_zeros_and_ones_of_one_length():
    with pytest.raises(ValueError, match="0 and 1 only"):
        count_pairs([0, 2], [1, 1])
    with pytest.raises(ValueError, match="has 2 items"):
        count_pairs([0, 1], [1])


def test_no_items_are_refused():
    with pytest.raises(ValueError, match="not all zero"):
        tango_interval(PairedCounts(0, 0, 0, 0))


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="cannot be negative"):
        mcnemar_midp(-1, 3)
