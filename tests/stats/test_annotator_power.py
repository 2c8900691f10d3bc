"""How many annotators and items would do, held to simulated votes and to plain arithmetic."""

import numpy as np
import pytest

from harness.stats.annotator_means import two_way_mean
from harness.stats.annotator_power import (
    VoteDesign,
    VoteSpread,
    detectable_by_votes,
    fewest_votes,
    power_of_votes,
    vote_spread,
)
from harness.stats.power import minimum_detectable_effect

SPREAD = VoteSpread(items=0.08, annotators=0.01, rest=0.08)


def draw(rng: np.random.Generator, design: VoteDesign, mean: float = 0.0) -> np.ndarray:
    """Votes with exactly the variances of SPREAD."""
    m, n = design
    items = rng.normal(0, SPREAD.items**0.5, n)[:, None]
    leanings = rng.normal(0, SPREAD.annotators**0.5, m)[None, :]
    return mean + items + leanings + rng.normal(0, SPREAD.rest**0.5, (n, m))


@pytest.mark.parametrize("voted", [1.0, 0.5])
def test_the_variances_behind_votes_are_found_again(voted: float):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        votes = draw(rng, VoteDesign(6, 120))
        votes[rng.random(votes.shape) > voted] = np.nan
        found.append(vote_spread(votes))
    assert np.array(found).mean(axis=0) == pytest.approx(np.array(SPREAD), rel=0.08)


def test_annotators_who_share_no_item_tell_how_they_lean():
    rng = np.random.default_rng(3)
    votes = np.full((400, 2), np.nan)
    votes[:200, 0], votes[200:, 1] = rng.normal(0, 1, 200), rng.normal(2, 1, 200)
    found = vote_spread(votes)
    assert found.annotators == pytest.approx(2.0, abs=0.4)  # the variance of 0 and 2
    assert (found.items, found.rest) == (pytest.approx(1.0, abs=0.2), 0.0)


def test_one_annotator_tells_nothing_of_others():
    with pytest.raises(ValueError, match="how far annotators differ"):
        vote_spread(np.array([[1.0], [0.0], [1.0]]))


@pytest.mark.parametrize("design", [VoteDesign(3, 150), VoteDesign(6, 100), VoteDesign(12, 150)])
def test_the_power_is_that_of_the_test_that_decides(design: VoteDesign):
    """Of 1,500 simulated studies each; the standard error of a share of 0.8 is 0.010."""
    rng = np.random.default_rng(2)
    effect = detectable_by_votes(SPREAD, design)
    shown = 0
    for _ in range(1_500):
        found = two_way_mean(draw(rng, design, effect))
        shown += found.p_above(0.0) <= 0.05
    assert power_of_votes(SPREAD, effect, design) == pytest.approx(0.8)
    assert shown / 1_500 == pytest.approx(0.8, abs=0.06)


def test_without_leanings_and_noise_it_is_the_test_on_items():
    spread = VoteSpread(items=0.16, annotators=0.0, rest=0.0)
    found = detectable_by_votes(spread, VoteDesign(200, 200))
    assert found == pytest.approx(minimum_detectable_effect(0.4, 200, alternative="one-sided"))


def test_the_fewest_votes_show_it_and_one_item_fewer_does_not():
    found = fewest_votes(SPREAD, 0.1, least_items=20, most_items=500)
    assert found is not None
    m, n = found
    assert power_of_votes(SPREAD, 0.1, found) >= 0.8
    assert n == 20 or power_of_votes(SPREAD, 0.1, VoteDesign(m, n - 1)) < 0.8
    for others in range(2, 40):
        fewer = (m * n - 1) // others
        if 20 <= fewer <= 500:
            assert power_of_votes(SPREAD, 0.1, VoteDesign(others, fewer)) < 0.8


def test_no_number_of_items_makes_up_for_two_annotators():
    assert power_of_votes(SPREAD, 0.1, VoteDesign(2, 100_000)) < 0.3


def test_what_a_hundred_annotators_cannot_show_is_said():
    assert fewest_votes(SPREAD, 0.001, least_items=100, most_items=500) is None
