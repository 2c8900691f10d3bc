import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.means import mean_difference
from harness.stats.multiplicity import holm
from harness.stats.one_sided import one_sided_lower_bound
from harness.stats.permutation import signflip_test
from harness.stats.wilcoxon import wilcoxon_test

repeatable = settings(derandomize=True, deadline=None, max_examples=40)
differences = st.lists(st.integers(-9, 9), min_size=2, max_size=40)
irregular = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=2, max_size=10)


@repeatable
@given(differences, st.randoms(use_true_random=False))
def test_order_of_items_does_not_matter(d, random):
    shuffled = random.sample(d, len(d))
    assert mean_difference(shuffled) == pytest.approx(mean_difference(d), nan_ok=True)
    assert signflip_test(shuffled) == signflip_test(d)
    assert one_sided_lower_bound(shuffled) == pytest.approx(one_sided_lower_bound(d))


@repeatable
@given(irregular, st.randoms(use_true_random=False))
def test_order_does_not_matter_to_monte_carlo_either(d, random):
    shuffled = random.sample(d, len(d))
    assert signflip_test(shuffled, resamples=99) == signflip_test(d, resamples=99)


@repeatable
@given(differences)
def test_swapping_models_flips_the_sign_and_keeps_the_p_value(d):
    swapped = [-value for value in d]
    here, there = mean_difference(d), mean_difference(swapped)
    assert (there.estimate, there.dominance) == pytest.approx((-here.estimate, -here.dominance))
    assert (there.ci_low, there.ci_high) == pytest.approx((-here.ci_high, -here.ci_low))
    assert signflip_test(swapped) == signflip_test(d)
    assert wilcoxon_test(swapped).p_value == pytest.approx(wilcoxon_test(d).p_value)


@repeatable
@given(differences, st.integers(2, 4))
def test_copied_items_in_clusters_do_not_narrow_the_interval(d, copies):
    labels = np.tile(np.arange(len(d)), copies)
    copied = mean_difference(np.tile(d, copies), clusters=labels)
    once = mean_difference(d)
    assert (copied.ci_low, copied.ci_high) == pytest.approx((once.ci_low, once.ci_high))
    flipped = signflip_test(np.tile(d, copies), clusters=labels)
    assert flipped.p_value == pytest.approx(signflip_test(d).p_value)


@repeatable
@given(differences)
def test_the_skew_guard_never_loosens_the_t_bound(d):
    result = mean_difference(d, confidence=0.9)
    assert one_sided_lower_bound(d) <= result.ci_low + 1e-9 or result.degenerate


@repeatable
@given(differences)
def test_sign_flips_leave_p_values_between_their_limits(d):
    p_value = signflip_test(d).p_value
    assert 2.0 ** -len(d) <= p_value <= 1
    both = [signflip_test(d, alternative=side).p_value for side in ("greater", "less")]
    assert sum(both) >= 1
    assert p_value <= 2 * min(both) + 1e-12


@repeatable
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjustment_only_raises_p_values(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values)).all()
    assert (adjusted <= 1).all()


@settings(derandomize=True, deadline=None, max_examples=10)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=7))
def test_exact_p_values_are_uniform_when_there_is_nothing_to_find(sizes):
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=len(sizes))))
    p_values = np.array([signflip_test(each * sizes).p_value for each in signs])
    for p in set(p_values):
        assert np.mean(p_values <= p + 1e-12) == pytest.approx(p)
