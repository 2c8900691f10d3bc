from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from harness.stats.bradley_terry import bradley_terry, expected_win_rate, find_cycles

repeatable = settings(derandomize=True, deadline=None, max_examples=30)

# American League 1987, wins of the row team over the column team in 13 games each (Agresti,
# Categorical Data Analysis, table 10.10), and what R's BradleyTerry2 gives for it, Baltimore being 0.
TEAMS = ("Baltimore", "Boston", "Cleveland", "Detroit", "Milwaukee", "New York", "Toronto")
WINS = {
    ("Milwaukee", "Detroit"): 7, ("Milwaukee", "Toronto"): 9, ("Milwaukee", "New York"): 7,
    ("Milwaukee", "Boston"): 7, ("Milwaukee", "Cleveland"): 9, ("Milwaukee", "Baltimore"): 11,
    ("Detroit", "Toronto"): 7, ("Detroit", "New York"): 5, ("Detroit", "Boston"): 11,
    ("Detroit", "Cleveland"): 9, ("Detroit", "Baltimore"): 9, ("Toronto", "New York"): 7,
    ("Toronto", "Boston"): 7, ("Toronto", "Cleveland"): 8, ("Toronto", "Baltimore"): 12,
    ("New York", "Boston"): 6, ("New York", "Cleveland"): 7, ("New York", "Baltimore"): 10,
    ("Boston", "Cleveland"): 7, ("Boston", "Baltimore"): 12, ("Cleveland", "Baltimore"): 6,
}  # fmt: skip
STRENGTHS = (0.0, 1.1077, 0.6839, 1.4364, 1.5814, 1.2476, 1.2945)


def games() -> tuple[list[int], list[int], list[float]]:
    rows = [
        (TEAMS.index(loser), TEAMS.index(winner), float(game < wins))
        for (winner, loser), wins in WINS.items()
        for game in range(13)
    ]
    first, second, scores = zip(*rows, strict=True)
    return list(first), list(second), list(scores)


def test_the_american_league_comes_out_as_in_print():
    first, second, scores = games()
    found = bradley_terry(first, second, scores, items=np.arange(len(scores)), n_models=7)
    assert found.log_strength == pytest.approx(STRENGTHS, abs=5e-5)


def simulated(n: int, seed: int, strengths=(0.0, 0.4, 0.9)):
    """Every pair on every item, with an item effect that all its pairs share."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(0, 1.0, (n, len(strengths)))
    rows = [
        (i, j, rng.random() < expected_win_rate(strengths[j] + taste[item, j], strengths[i] + taste[item, i]), item)
        for item in range(n)
        for i in range(len(strengths))
        for j in range(i + 1, len(strengths))
    ]  # fmt: skip
    first, second, scores, items = (list(column) for column in zip(*rows, strict=True))
    return first, second, np.array(scores, dtype=float), items


def test_two_models_have_the_log_odds_of_their_win_rate():
    scores = np.array([1, 1, 0.5, 0, 1, 0.5, 1, 0], dtype=float)
    ones = np.ones(8, dtype=int)
    found = bradley_terry(0 * ones, ones, scores, items=np.arange(8), n_models=2)
    rate = scores.mean()
    assert found.log_strength[1] == pytest.approx(np.log(rate / (1 - rate)))


def test_a_star_of_comparisons_says_what_the_direct_win_rates_say():
    first, second = [0] * 12, [1, 2] * 6
    scores = np.array([1, 0, 1, 1, 0, 0, 1, 1, 0.5, 1, 1, 0.5])
    found = bradley_terry(first, second, scores, items=np.arange(12) // 2, n_models=3)
    for model in (1, 2):
        direct = scores[np.array(second) == model].mean()
        assert expected_win_rate(found.log_strength[model]) == pytest.approx(direct)


def test_copied_judgements_of_the_same_items_do_not_narrow_the_interval():
    first, second, scores, items = simulated(60, 1)
    once = bradley_terry(first, second, scores, items=items, n_models=3)
    thrice = bradley_terry(first * 3, second * 3, np.tile(scores, 3), items=items * 3, n_models=3)
    assert thrice.se == pytest.approx(once.se)


def test_intervals_cover_though_pairs_share_their_items():
    hits = []
    for seed in range(300):
        first, second, scores, items = simulated(120, seed, strengths=(0.0, 0.0, 0.0))
        found = bradley_terry(first, second, scores, items=items, n_models=3)
        hits.append((found.low[1:] <= 0) & (found.high[1:] >= 0))
    assert np.mean(hits) > 0.92


@repeatable
@given(st.permutations(range(90)), st.integers(0, 5))
def test_neither_the_order_of_pairs_nor_which_side_is_named_first_matters(order, seed):
    first, second, scores, items = (np.array(column) for column in simulated(30, seed))
    here = bradley_terry(first, second, scores, items=items, n_models=3)
    shuffled = bradley_terry(
        second[order], first[order], 1 - scores[order], items=items[order], n_models=3
    )
    assert shuffled.log_strength == pytest.approx(here.log_strength)
    assert shuffled.se == pytest.approx(here.se)


@repeatable
@given(st.integers(0, 20))
def test_swapping_winners_and_losers_flips_the_signs(seed):
    first, second, scores, items = simulated(30, seed)
    here = bradley_terry(first, second, scores, items=items, n_models=3)
    there = bradley_terry(first, second, 1 - scores, items=items, n_models=3)
    assert there.log_strength == pytest.approx(-here.log_strength)
    assert there.low == pytest.approx(-here.high)


def test_a_model_that_never_lost_has_no_finite_strength():
    found = bradley_terry(
        [0, 0, 1, 1], [1, 2, 2, 0], [1, 1, 1, 0.5], items=[1, 2, 3, 4], n_models=3
    )
    assert found.unidentified == "one group of models never lost to the rest"
    assert np.isnan(found.log_strength).all()


def test_models_that_never_met_cannot_be_ranked():
    found = bradley_terry([0, 0, 2, 2], [1, 1, 3, 3], [1, 0, 1, 0], items=[1, 2, 3, 4], n_models=4)
    assert found.unidentified == "some models were never compared, not even through others"


def test_a_cycle_is_found_in_either_direction():
    nan = np.nan
    rates = np.array([[nan, 0.4, 0.6], [0.6, nan, 0.4], [0.4, 0.6, nan]])  # [i, j]: j against i
    assert find_cycles(rates) == [(0, 1, 2)]
    assert find_cycles(rates.T) == [(0, 2, 1)]
    rates[0, 2], rates[2, 0] = 0.4, 0.6
    assert find_cycles(rates) == []


# --- against an independent fit --------------------------------------------------------------


def tournament(n_models: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Wins, ties and losses; a third of the pairs of models never met."""
    rng = np.random.default_rng(seed)
    strengths = rng.normal(0, 0.7, n_models)
    pairs = list(combinations(range(n_models), 2))
    ring = [(i, i + 1) for i in range(n_models - 1)]
    met = [pair for pair in pairs if pair in ring or rng.random() < 0.5]
    first, second = np.repeat(np.array(met), 40, axis=0).T
    chance = 1 / (1 + np.exp(strengths[first] - strengths[second]))
    wins = (rng.random(first.size) < chance).astype(float)
    scores = np.where(rng.random(first.size) < 0.25, 0.5, wins)
    return first, second, scores, np.tile(np.arange(40), len(met))


@pytest.mark.parametrize("n_models", range(3, 9))
@pytest.mark.parametrize("seed", [1, 2])
def test_strengths_maximise_the_likelihood_with_ties_as_half_wins(n_models: int, seed: int) -> None:
    first, second, scores, items = tournament(n_models, seed)

    def unlikelihood(free: np.ndarray) -> float:
        log_odds = np.append(0.0, free)[second] - np.append(0.0, free)[first]
        return float(np.sum(np.logaddexp(0, log_odds) - scores * log_odds))

    best = optimize.minimize(unlikelihood, np.zeros(n_models - 1), method="BFGS", tol=1e-12)
    found = bradley_terry(first, second, scores, items=items, n_models=n_models)
    assert found.unidentified is None
    assert found.log_strength[1:] == pytest.approx(best.x, abs=1e-4)
    assert unlikelihood(found.log_strength[1:]) <= best.fun + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(("n_models", "n"), [(3, 50), (3, 200), (5, 100)])
def test_clustered_intervals_cover_as_often_as_they_say(n_models: int, n: int) -> None:
    """Every pair on every item, with tastes of the items that all its pairs share."""
    strengths = tuple(np.linspace(0, 0.9, n_models))

    def fit(n_items: int, seed: int):
        first, second, scores, items = simulated(n_items, seed, strengths)
        return bradley_terry(first, second, scores, items=items, n_models=n_models)

    truth = fit(20_000, 0).log_strength[-1]
    found = [fit(n, seed) for seed in range(1, 1001)]
    covered = np.mean([each.low[-1] <= truth <= each.high[-1] for each in found])
    print(f"{n_models} models, {n} items: {covered:.3f} of 1,000 intervals cover")
    assert covered >= 0.95 - 2.6 * 0.0069


def test_a_model_that_always_ties_has_no_interval() -> None:
    first, second = [0, 0] * 20, [1, 2] * 20
    scores = [0.5, 1.0, 0.5, 0.0] * 10
    fitted = bradley_terry(first, second, scores, items=np.repeat(np.arange(20), 2), n_models=3)
    assert np.isnan([fitted.low[1], fitted.high[1]]).all()
    assert fitted.low[2] < 0 < fitted.high[2]
