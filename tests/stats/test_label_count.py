"""The number of labels that is told is the number that does it."""

import numpy as np
import pytest

from harness.selftest.human import count_labelled, draw_judged_shares, draw_judged_wins
from harness.stats.annotator_power import labels_for_mean, labels_for_share
from harness.stats.judge_correction import corrected_mean, corrected_share

N = 500


def test_so_many_labels_bring_a_mean_to_the_half_width():
    rng = np.random.default_rng(1)
    people, judge = draw_judged_wins(rng)
    needed = labels_for_mean(people[:100], judge[:100], judge[100:], half_width=0.07)
    assert needed is not None
    low, high = corrected_mean(people[:needed], judge[:needed], judge[needed:]).interval
    assert (high - low) / 2 == pytest.approx(0.07, rel=0.1)


def test_so_many_labels_bring_a_share_to_the_half_width():
    rng = np.random.default_rng(2)
    people, judge = draw_judged_shares(rng)
    counts = count_labelled(people[:100], judge[:100])
    needed = labels_for_share(counts, float(judge.mean()), N, half_width=0.04)
    assert needed is not None
    low, high = corrected_share(
        count_labelled(people[:needed], judge[:needed]),
        judge_yes_elsewhere=int(judge[needed:].sum()),
        n_elsewhere=N - needed,
    ).interval
    assert (high - low) / 2 == pytest.approx(0.04, rel=0.15)


def test_a_half_width_beyond_all_items_has_no_number():
    people, judge = draw_judged_wins(np.random.default_rng(1))
    assert labels_for_mean(people[:50], judge[:50], judge[50:], half_width=0.001) is None
