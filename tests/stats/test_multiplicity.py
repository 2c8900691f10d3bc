import numpy as np
import pytest

from harness.stats.multiplicity import benjamini_hochberg, holm


@pytest.mark.parametrize(("adjust", "name"), [(holm, "holm"), (benjamini_hochberg, "BH")])
def test_adjusted_p_values_equal_r(golden, adjust, name):
    data = golden("multipletests")
    adjusted = adjust(data["p"])
    assert adjusted == pytest.approx(np.array(data["adjusted"][name]), abs=data["tol"])
    assert (adjusted <= 0.05).sum() == data["rejected_at_05"][name]


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_answers_come_in_the_order_asked(adjust):
    p = np.array([0.2, 0.01, 0.04, 0.04])
    order = [2, 0, 3, 1]
    assert adjust(p[order]) == pytest.approx(adjust(p)[order])


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_a_single_test_is_left_alone(adjust):
    assert adjust([0.03]) == pytest.approx([0.03])


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_no_p_values_and_impossible_ones_are_refused(adjust):
    with pytest.raises(ValueError, match="p_values is empty"):
        adjust([])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        adjust([0.5, 1.2])
