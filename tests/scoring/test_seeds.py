"""Scores under several training seeds: which of them vary with the seed, and what that does to a bound."""

from dataclasses import replace

import numpy as np
import pytest

from harness.gate.claim_tests import evaluate_claim
from harness.scoring.columns import GradeColumn
from harness.scoring.paired import PairedScores, pair_scores, take_items, votes_by_seed
from tests.builders.paired_scores import claim_of

N, SEEDS = 50, 3
LABELS = np.tile(np.arange(1, SEEDS + 1), N)


def pair_of(*seeded: str, effects: tuple[float, ...] = (2.5, 0.5, 0.0)) -> PairedScores:
    """A baseline, and a candidate of that gain under each seed, on fifty items."""
    rng = np.random.default_rng(2)
    base, change = (np.repeat(rng.uniform(*ends, N), SEEDS) for ends in ((3, 7), (-0.5, 0.5)))
    column = GradeColumn(
        metric="m", kind="points", low=1.0, high=10.0,
        sample_ids=tuple(map(str, range(base.size))), clusters=np.repeat(np.arange(N), SEEDS),
        scores={"a": base, "b": base + change + np.tile(effects, N)},
        reasons={}, generation_failed={"a": 0, "b": 0}, seeds=dict.fromkeys(seeded, LABELS),
    )  # fmt: skip
    return pair_scores(column, "a")[0]


def test_every_value_is_a_vote_of_its_own_seed() -> None:
    votes = votes_by_seed(np.array([1.0, 2.0, 3.0]), np.array([4, 7, 4]))
    np.testing.assert_equal(votes, [[1, np.nan], [np.nan, 2], [3, np.nan]])


@pytest.mark.parametrize("seeded", [("a",), ("b",), ("a", "b")])
def test_a_difference_varies_with_the_seeds_of_either_model(seeded: tuple[str, ...]) -> None:
    pair = pair_of(*seeded)
    assert pair.seeds is not None
    assert (pair.own_seeds is not None) == ("b" in seeded)


def test_seeds_that_disagree_widen_a_bound_and_items_alone_do_not() -> None:
    claim = claim_of("superior")
    of_items = evaluate_claim(claim, replace(pair_of("b"), seeds=None), 0.05)
    of_seeds = evaluate_claim(claim, pair_of("b"), 0.05)
    assert of_items.bound_passed
    assert not of_seeds.bound_passed
    assert of_seeds.p_of_seen > 0.05
    assert of_seeds.estimate == pytest.approx(of_items.estimate)


def test_a_candidates_own_mean_does_not_vary_with_the_baselines_seeds() -> None:
    claim = claim_of("at_least", value=4.0)
    several = evaluate_claim(claim, pair_of("a"), 0.05)
    assert several.low == evaluate_claim(claim, replace(pair_of("a"), seeds=None), 0.05).low
    assert several.low > evaluate_claim(claim, pair_of("a", "b"), 0.05).low


def test_a_missing_score_is_at_its_worst_for_its_own_seed() -> None:
    """Lost answers of one seed alone are a difference between seeds."""
    pair = pair_of("b", effects=(1.0, 1.0, 1.0))
    lost = (LABELS == 2) & (np.arange(LABELS.size) < 60)
    gaps = replace(pair, d=np.where(lost, np.nan, pair.d), least=np.where(lost, -4.0, pair.d))
    spread = np.arange(LABELS.size) % 9 < 3  # as many, of every seed
    spread &= np.cumsum(spread) <= lost.sum()
    even = replace(pair, d=np.where(spread, np.nan, pair.d), least=np.where(spread, -4.0, pair.d))
    claim = claim_of("superior")
    one, all_alike = (evaluate_claim(claim, p, 0.05) for p in (gaps, even))
    assert one.estimate == pytest.approx(all_alike.estimate, abs=0.03)
    assert one.low < all_alike.low


def test_chosen_items_keep_their_seeds() -> None:
    chosen = take_items(pair_of("b"), LABELS == 2)
    assert chosen.seeds is not None
    assert set(chosen.seeds) == {2}
