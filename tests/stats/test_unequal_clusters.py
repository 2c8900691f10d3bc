"""Clusters of unequal size: few large ones are little evidence, however many small ones there are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.means import mean_difference, mean_moments
from harness.stats.one_sided import one_sided_lower_bound
from harness.stats.vectors import effective_clusters

repeatable = settings(derandomize=True, deadline=None, max_examples=40)


def test_clusters_of_one_size_count_each() -> None:
    assert effective_clusters(np.full(37, 4.0)) == pytest.approx(37)
    assert mean_moments(np.arange(12.0), clusters=np.arange(12) // 3).df == pytest.approx(3)


def test_a_cluster_of_half_of_the_items_leaves_a_handful() -> None:
    sizes = np.r_[500.0, np.ones(500)]
    assert effective_clusters(sizes) == pytest.approx(1000**2 / (500**2 + 500))


@repeatable
@given(st.lists(st.integers(1, 50), min_size=2, max_size=30))
def test_they_are_never_more_than_there_are(sizes: list[int]) -> None:
    found = effective_clusters(np.array(sizes, dtype=float))
    assert 1 <= found <= len(sizes) + 1e-9


def test_an_interval_that_rests_on_one_large_cluster_holds_zero() -> None:
    """The mean is the large cluster's, whose residuals are then 0: its variance cannot be seen."""
    d = np.r_[np.full(900, 1.0), np.random.default_rng(1).normal(0, 1, 100)]
    labels = np.r_[np.zeros(900), np.arange(1, 101)]
    found = mean_difference(d, clusters=labels)
    assert found.ci_low < 0 < found.ci_high


def test_skewness_that_few_large_clusters_have_not_shown_is_expected_of_them() -> None:
    rng = np.random.default_rng(2)
    means = -rng.exponential(1.0, 200)
    sizes = np.r_[np.full(190, 1), np.full(10, 20)]
    means[190:] = np.median(means)  # the large ones happen to be harmless
    found = mean_moments(np.repeat(means, sizes), clusters=np.repeat(np.arange(200), sizes))
    assert found.skewness_by_size < found.skewness
    assert found.skewness_by_size < -3


def test_among_clusters_of_one_size_nothing_changes() -> None:
    d, labels = np.random.default_rng(3).normal(0, 1, 400) ** 3, np.arange(400) // 4
    sums = mean_moments(d.reshape(100, 4).mean(axis=1))
    found = mean_moments(d, clusters=labels)
    assert (found.skewness_by_size, found.se) == pytest.approx((found.skewness, sums.se))
    assert one_sided_lower_bound(d, clusters=labels) == pytest.approx(
        one_sided_lower_bound(d.reshape(100, 4).mean(axis=1))
    )
