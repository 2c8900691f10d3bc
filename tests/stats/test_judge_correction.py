import numpy as np
import pytest

from harness.selftest.simulation import skewed
from harness.stats.distributions import normal_quantile, t_quantile
from harness.stats.judge_correction import (
    Labelled,
    corrected_lower_bound,
    corrected_mean,
    corrected_share,
)
from harness.stats.one_sided import one_sided_lower_bound
from harness.stats.vectors import Vector


def test_a_corrected_mean_is_that_of_ppi_python_but_for_degrees_of_freedom(golden):
    known = golden("ppi_mean")
    found = corrected_mean(known["Y"], known["Yhat"], known["Yhat_unlabeled"])
    low, high = known["ci95"]
    wider = t_quantile(0.025, 39) / normal_quantile(0.025) * np.sqrt(40 / 39)
    assert found.estimate == pytest.approx(known["point"], abs=0.001)
    assert found.interval.high - found.interval.low == pytest.approx(wider * (high - low), rel=0.01)


def test_a_corrected_share_is_that_of_double_sampling(golden):
    known = golden("double_sampling_binary")
    for case in known["cases"]:
        found = corrected_share(
            Labelled(case["tp"], case["fp"], case["fn"], case["tn"]),
            judge_yes_elsewhere=case["judge_pos_unlabelled"],
            n_elsewhere=case["n_unlabelled"],
        )
        assert found.estimate == pytest.approx(case["point"], abs=known["tol_point"])
        assert found.interval.low == pytest.approx(case["beta_mc_q025"], abs=known["tol_mc"])
        assert found.interval.high == pytest.approx(case["beta_mc_q975"], abs=known["tol_mc"])


def scores(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """People's scores, and those of a judge that is a point and a half too kind."""
    people = rng.normal(6.0, 2.0, n)
    return people, 0.7 * people + 3.3 + rng.normal(0, 1.0, n)


def test_a_biased_judge_is_corrected_on_average():
    rng = np.random.default_rng(4)
    found = []
    for _ in range(300):
        people, judge = scores(rng, 400)
        found.append(corrected_mean(people[:50], judge[:50], judge[50:]))
    assert np.mean([each.estimate for each in found]) == pytest.approx(6.0, abs=0.05)
    covered = np.mean([each.interval.low <= 6.0 <= each.interval.high for each in found])
    assert 0.91 <= covered <= 0.99


def test_a_correction_is_narrower_than_the_labels_alone():
    people, judge = scores(np.random.default_rng(1), 400)
    corrected = corrected_mean(people[:50], judge[:50], judge[50:])
    alone = corrected_mean(people[:50], judge[:50], judge[:0])
    assert corrected.se < 0.8 * alone.se
    assert alone.estimate == pytest.approx(people[:50].mean())


def test_a_judge_that_says_nothing_is_not_used():
    people, _ = scores(np.random.default_rng(1), 50)
    found = corrected_mean(people, np.full(50, 9.0), np.full(350, 9.0))
    assert found.weight == 0
    assert found.estimate == pytest.approx(people.mean())


def test_a_kind_judge_of_yes_and_no_is_corrected():
    # People say yes to 80 %; the judge also to half of the others.
    found = corrected_share(Labelled(80, 10, 0, 10), judge_yes_elsewhere=360, n_elsewhere=400)
    assert found.estimate == pytest.approx(0.8, abs=0.001)
    assert found.interval.low < 0.8 < found.interval.high < 0.9


def test_a_verdict_that_no_label_checks_leaves_the_share_open():
    found = corrected_share(Labelled(50, 0, 0, 0), judge_yes_elsewhere=50, n_elsewhere=100)
    assert found.interval.high - found.interval.low > 0.25


@pytest.mark.parametrize(
    ("people", "judge", "problem"),
    [([1.0], [1.0], "two labels"), ([1.0, 2.0], [1.0], "2 labels, but 1"),
     ([1.0, np.nan], [1.0, 2.0], "missing")],
)  # fmt: skip
def test_labels_that_correct_nothing_are_refused(people, judge, problem):
    with pytest.raises(ValueError, match=problem):
        corrected_mean(np.array(people), np.array(judge), np.array([1.0]))


# --- one-sided bounds ------------------------------------------------------------------------

NOBODY: Vector = np.empty(0)


def test_the_lower_bound_of_labels_alone_is_the_gates():
    y = np.random.default_rng(3).normal(2.0, 1.0, 400)
    low = corrected_lower_bound(y, y, NOBODY, least=y.mean() - 1e-9, alpha=0.05)
    assert low == pytest.approx(one_sided_lower_bound(y, alpha=0.05))


def test_labels_that_never_vary_do_not_exclude_worse_ones():
    ones = np.ones(50)
    low = corrected_lower_bound(ones, ones, np.ones(500), least=0.0, alpha=0.05)
    assert low == pytest.approx(0.05 ** (1 / 50))  # Clopper and Pearson's bound of 50 in 50


def test_a_judge_that_agrees_with_people_narrows_the_bound():
    rng = np.random.default_rng(4)
    people = rng.normal(2.0, 1.0, 1_000)
    noise = rng.normal(0.0, 1.0, 1_000)
    lows = [
        corrected_lower_bound(people[:100], j[:100], j[100:], least=1.9, alpha=0.05)
        for j in (people, people + noise, noise)
    ]
    assert lows == sorted(lows, reverse=True)


def test_items_of_one_source_count_together_in_the_bound():
    y = np.repeat(np.random.default_rng(5).normal(2.0, 1.0, 30), 10)
    of_items = corrected_lower_bound(y, y, NOBODY, least=-9.0, alpha=0.05)
    sources = np.repeat(np.arange(30), 10)
    of_sources = corrected_lower_bound(y, y, NOBODY, least=-9.0, alpha=0.05, clusters=sources)
    assert of_sources < of_items - 0.5


def test_one_label_bounds_nothing():
    one = np.ones(2)
    low = corrected_lower_bound(one, one, NOBODY, least=-9.0, alpha=0.05, clusters=np.zeros(2))
    assert low == -9.0


@pytest.mark.parametrize("n", [30, 60, 100])
def test_a_judge_that_gives_pairs_away_makes_no_bound_err_more_often_than_alpha(n: int):
    """Equal models, and a judge that gives a tenth of 500 pairs to the candidate."""
    rng, wrong, runs = np.random.default_rng(n), 0, 3_000
    for _ in range(runs):
        people = rng.choice([-0.5, 0.0, 0.5], p=[0.35, 0.3, 0.35], size=500)
        judge = np.where(rng.random(500) < 0.1, 0.5, people)
        wrong += corrected_lower_bound(people[:n], judge[:n], judge[n:], least=-0.5, alpha=0.05) > 0
    assert wrong / runs <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / runs)


def test_a_weight_that_is_fitted_to_its_own_labels_makes_no_bound_too_narrow():
    """Rare disasters among many small gains, mean 0, and a judge that adds half a point."""
    rng, wrong, runs, n = np.random.default_rng(7), 0, 5_000, 150
    for _ in range(runs):
        people = skewed(rng, 500)
        judge = np.clip(people + 0.5 + rng.normal(0.0, 1.0, 500), -9.0, 9.0)
        wrong += corrected_lower_bound(people[:n], judge[:n], judge[n:], least=-9.0, alpha=0.05) > 0
    assert wrong / runs <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / runs)
