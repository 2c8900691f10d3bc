import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from harness.stats.length_control import length_adjusted_difference, length_controlled_win_rate
from harness.stats.means import mean_difference

repeatable = settings(derandomize=True, deadline=None, max_examples=40)
items = st.lists(
    st.tuples(st.sampled_from([0, 0.25, 0.5, 0.75, 1]), st.integers(-300, 300)),
    min_size=6,
    max_size=40,
)


def expit(log_odds):
    return 1 / (1 + np.exp(-log_odds))


def biased_preferences(rng, n, *, intercept=0.3, slope=1.5, longer_by=60):
    """Two orders an item, judged by one who likes long answers; the candidate's are longer."""
    lengths = rng.normal(longer_by, 100, n).round()
    chances = expit(intercept + slope * np.tanh(lengths / 100))
    return (rng.random((2, n)) < chances).mean(axis=0), lengths


def test_two_lengths_by_hand():
    # Each length has its own win rate, .8 and .4, so b0 is halfway between their log-odds.
    wins = [1] * 160 + [0] * 40 + [1] * 80 + [0] * 120
    result = length_controlled_win_rate(wins, [50] * 200 + [-50] * 200, resamples=50)
    halfway = (math.log(0.8 / 0.2) + math.log(0.4 / 0.6)) / 2
    assert result.estimate == pytest.approx(expit(halfway), abs=1e-3)
    assert result.raw == 0.6
    assert (result.share_shorter, result.share_longer, result.n) == (0.5, 0.5, 400)
    assert result.unidentified is None


@repeatable
@given(items)
def test_fit_is_the_best_there_is(rated):
    wins, lengths = np.transpose(rated)
    result = length_controlled_win_rate(wins, lengths, resamples=1)
    if result.unidentified:
        return
    x = np.tanh(lengths / lengths.std(ddof=1))

    def loss(b):
        log_odds = b[0] + b[1] * x
        return float((np.logaddexp(0, log_odds) - wins * log_odds).sum() + b[1] ** 2 / 200)

    found = np.array([math.log(result.estimate / (1 - result.estimate)), result.slope])
    best = optimize.minimize(loss, [0, 0], method="BFGS")
    assert loss(found) <= best.fun + 1e-9
    assert expit(found[0] + found[1] * x).mean() == pytest.approx(result.raw)


def test_interval_covers_the_win_rate_at_equal_length():
    rng = np.random.default_rng(8)
    covered = raw_covered = 0
    for _ in range(200):
        wins, lengths = biased_preferences(rng, 120)
        result = length_controlled_win_rate(wins, lengths, resamples=300)
        covered += result.ci_low <= expit(0.3) <= result.ci_high
        raw = mean_difference(wins)
        raw_covered += raw.ci_low <= expit(0.3) <= raw.ci_high
    assert 0.91 <= covered / 200 <= 0.985
    assert raw_covered / 200 < 0.5


def test_standard_error_is_the_spread_over_samples():
    rng = np.random.default_rng(9)
    results = [
        length_controlled_win_rate(*biased_preferences(rng, 150), resamples=100) for _ in range(150)
    ]
    spread = np.std([result.estimate for result in results])
    assert np.mean([result.se for result in results]) == pytest.approx(spread, rel=0.15)


def test_copied_items_in_clusters_do_not_narrow_the_interval():
    wins, lengths = biased_preferences(np.random.default_rng(10), 100)
    once = length_controlled_win_rate(wins, lengths)
    labels = np.tile(np.arange(100), 3)
    copied = length_controlled_win_rate(np.tile(wins, 3), np.tile(lengths, 3), clusters=labels)
    assert copied.se == pytest.approx(once.se, rel=0.1)
    assert (copied.n, copied.n_clusters) == (300, 100)
    alone = length_controlled_win_rate(np.tile(wins, 3), np.tile(lengths, 3))
    assert alone.se == pytest.approx(once.se / 3**0.5, rel=0.1)


@repeatable
@given(items, st.randoms(use_true_random=False))
def test_order_of_items_does_not_matter(rated, random):
    here = length_controlled_win_rate(*np.transpose(rated), resamples=50)
    shuffled = np.transpose(random.sample(rated, len(rated)))
    there = length_controlled_win_rate(*shuffled, resamples=50)
    assert there[:-1] == pytest.approx(here[:-1], nan_ok=True)
    assert there.unidentified == here.unidentified
    here = length_adjusted_difference(*np.transpose(rated))
    there = length_adjusted_difference(*shuffled)
    assert there[:-1] == pytest.approx(here[:-1], nan_ok=True, abs=1e-9)


@repeatable
@given(items)
def test_swapping_models_mirrors_the_win_rate(rated):
    wins, lengths = np.transpose(rated)
    here = length_controlled_win_rate(wins, lengths, resamples=1)
    there = length_controlled_win_rate(1 - wins, -lengths, resamples=1)
    assert there.estimate == pytest.approx(1 - here.estimate, nan_ok=True)
    assert there.slope == pytest.approx(here.slope, nan_ok=True)
    assert there.unidentified == here.unidentified


def test_unit_of_length_does_not_matter_and_seed_repeats():
    wins, lengths = biased_preferences(np.random.default_rng(11), 80)
    tokens = length_controlled_win_rate(wins, lengths, resamples=100)
    characters = length_controlled_win_rate(wins, 4 * lengths, resamples=100)
    assert characters[:-1] == pytest.approx(tokens[:-1])
    assert length_controlled_win_rate(wins, lengths, resamples=100) == tokens
    assert length_controlled_win_rate(wins, lengths, resamples=100, seed=1).se != tokens.se


@pytest.mark.parametrize(
    ("wins", "lengths", "reason"),
    [
        ([1, 0, 1, 0], [0, 0, 0, 0], "lengths do not differ"),
        ([1, 0] * 10, [30] * 20, "one model is almost always longer"),
        ([1, 0] * 10, [-5] + [30] * 19, "one model is almost always longer"),
        ([0.5] * 20, [-9, 9] * 10, "outcomes do not vary"),
        ([1] * 20, [-9, 9] * 10, "outcomes do not vary"),
        ([0] * 10 + [1] * 10, [*range(-10, 0), *range(1, 11)], "length separates wins from losses"),
        ([1] * 9 + [0] * 11, [*range(-10, 0), *range(1, 11)], "length separates wins from losses"),
        ([0, 0.5, 0.5, 1], [-5, 2, 2, 9], "length separates wins from losses"),
        ([1, 0], [-5, 5], "fewer than three clusters"),
    ],
)
def test_without_overlap_there_is_no_controlled_figure(wins, lengths, reason):
    result = length_controlled_win_rate(wins, lengths)
    assert result.unidentified == reason
    assert result.raw == pytest.approx(np.mean(wins))
    assert all(math.isnan(value) for value in result[1:6])


def test_one_item_in_ten_on_each_side_is_enough():
    wins, lengths = [1, 0, 0, 1] * 5, [-5] * 2 + [8] * 18
    assert length_controlled_win_rate(wins, lengths, resamples=1).unidentified is None


def test_nearly_separated_wins_keep_finite_figures():
    # One win each way: many resamples have none, and their slope has no finite fit.
    lengths = [*range(-20, 0), *range(1, 21)]
    wins = [0] * 18 + [1] + [0] + [1] + [0] + [1] * 18
    result = length_controlled_win_rate(wins, lengths)
    assert 0 < result.ci_low < result.estimate < result.ci_high < 1
    assert result.ci_high - result.ci_low > 0.3


def test_nearly_constant_wins_keep_finite_figures():
    wins, lengths = [1] * 48 + [0, 0], [*range(-25, 0), *range(1, 26)]
    lengths[-1], lengths[0] = -25, 25
    result = length_controlled_win_rate(wins, lengths)
    assert 0.8 < result.ci_low < result.estimate < result.ci_high <= 1


def test_one_enormous_answer_breaks_nothing():
    wins, lengths = biased_preferences(np.random.default_rng(12), 60)
    lengths[0] = 1e12
    result = length_controlled_win_rate(wins, lengths, resamples=200)
    assert 0 < result.ci_low < result.estimate < result.ci_high < 1
    assert math.isfinite(length_adjusted_difference(wins, lengths).estimate)


def test_preferences_outside_their_range_are_refused():
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        length_controlled_win_rate([1, 2], [1, 2])
    with pytest.raises(ValueError, match="3 outcomes, but 2 length_differences"):
        length_controlled_win_rate([1, 0, 1], [1, 2])
    with pytest.raises(ValueError, match="missing or infinite"):
        length_controlled_win_rate([1, 0], [1, math.nan])
    with pytest.raises(ValueError, match="one label for each"):
        length_controlled_win_rate([1, 0], [1, -2], clusters=[1])
    with pytest.raises(ValueError, match="resamples"):
        length_controlled_win_rate([1, 0, 1, 0], [1, -2, -1, 2], resamples=0)
    with pytest.raises(ValueError, match="confidence"):
        length_controlled_win_rate([1, 0], [0, 0], confidence=1)


def test_adjusted_difference_by_hand():
    # Means 3 where longer and -1 where shorter, by the same length: 1 at equal length.
    # Residuals +-1 in each pair: HC1 gives 4 / 2 * (4 / 4^2) = .5 for the variance of b0.
    result = length_adjusted_difference([2, 4, -2, 0], [7, 7, -7, -7])
    assert result.estimate == pytest.approx(1)
    assert result.se == pytest.approx(0.5**0.5)
    assert result.ci_high == pytest.approx(1 + 4.302653 * 0.5**0.5, abs=1e-5)  # t with 2 df
    assert result.raw == 1


def test_adjusted_difference_equals_the_sandwich_written_out():
    rng = np.random.default_rng(13)
    labels, lengths = rng.integers(0, 15, 90), rng.normal(20, 100, 90)
    d = rng.normal(0.4, 1, 90) + rng.normal(0, 1, 15)[labels] + 0.8 * np.tanh(lengths / 100)
    result = length_adjusted_difference(d, lengths, clusters=labels)
    x = np.column_stack([np.ones(90), np.tanh(lengths / np.std(lengths, ddof=1))])
    fit = np.linalg.lstsq(x, d)[0]
    meat = np.zeros((2, 2))
    for label in set(labels.tolist()):
        score = sum(x[i] * (d[i] - x[i] @ fit) for i in range(90) if labels[i] == label)
        meat += np.outer(score, score)
    bread = np.linalg.inv(x.T @ x)
    clusters = len(set(labels.tolist()))
    variance = clusters / (clusters - 1) * 89 / 88 * bread @ meat @ bread
    assert result.estimate == pytest.approx(fit[0])
    assert result.slope == pytest.approx(fit[1])
    assert result.se == pytest.approx(variance[0, 0] ** 0.5)


def test_adjusted_interval_covers_where_the_raw_mean_does_not():
    rng = np.random.default_rng(14)
    covered = raw_covered = 0
    for _ in range(400):
        lengths = rng.normal(60, 100, 100)
        d = 0.2 + 1.5 * np.tanh(lengths / 100) + rng.normal(0, 1 + (lengths > 0), 100)
        result = length_adjusted_difference(d, lengths)
        covered += result.ci_low <= 0.2 <= result.ci_high
        raw = mean_difference(d)
        raw_covered += raw.ci_low <= 0.2 <= raw.ci_high
    assert 0.92 <= covered / 400 <= 0.975
    assert raw_covered / 400 < 0.5


@repeatable
@given(items)
def test_swapping_models_flips_the_adjusted_difference(rated):
    d, lengths = np.transpose(rated)
    here, there = length_adjusted_difference(d, lengths), length_adjusted_difference(-d, -lengths)
    assert (there.estimate, there.se) == pytest.approx(
        (-here.estimate, here.se), nan_ok=True, abs=1e-9
    )
    assert (there.ci_low, there.ci_high) == pytest.approx(
        (-here.ci_high, -here.ci_low), nan_ok=True, abs=1e-9
    )


def test_differences_that_length_explains_entirely_have_no_interval():
    x = np.array([-3.0, -2, -1, 1, 2, 3])
    assert length_adjusted_difference([2] * 6, x).unidentified == "outcomes do not vary"
    exact = 1 + np.tanh(x / x.std(ddof=1))
    assert length_adjusted_difference(exact, x).unidentified == "outcomes do not vary"
