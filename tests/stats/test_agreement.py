import json
import math
import os
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.agreement import (
    cohen_kappa,
    gwet_ac1,
    gwet_ac2,
    krippendorff_alpha,
    percent_agreement,
)

DATA = os.environ.get("HARNESS_DATA_DIR")
SCALE = range(1, 11)
GAP = math.nan
LEVELS = ("nominal", "ordinal", "interval", "ratio")

repeatable = settings(derandomize=True, deadline=None, max_examples=40)
pairs = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=20)
matrices = st.lists(
    st.tuples(*[st.sampled_from([1, 2, 3, 4, GAP])] * 3), min_size=2, max_size=15
).map(np.transpose)


@pytest.mark.parametrize("level", LEVELS)
def test_alpha_equals_krippendorffs_example(golden, level):
    reference = golden("agreement")
    ratings = np.array(reference["reliability"], dtype=float)
    expected = reference["krippendorff"][level]
    assert krippendorff_alpha(ratings, level=level).estimate == pytest.approx(expected, abs=1e-12)


def test_ac1_equals_irrcac_with_missing_ratings(golden):
    reference = golden("agreement")
    ratings, tol = np.array(reference["reliability"], dtype=float), reference["tol"]
    result = gwet_ac1(ratings, categories=range(1, 6))
    assert result.estimate == pytest.approx(reference["gwet_ac1"]["value"], abs=tol)
    assert result.se == pytest.approx(reference["gwet_ac1"]["se"], abs=tol)
    assert (result.ci_low, result.ci_high) == pytest.approx(
        tuple(reference["gwet_ac1"]["ci"]), abs=tol
    )
    assert result.n_items == 11


def test_ac2_equals_irrcac(golden):
    reference = golden("agreement")
    expected = reference["gwet_ac2_quadratic"]
    result = gwet_ac2([reference["judge"], reference["human"]], categories=SCALE)
    assert result.estimate == pytest.approx(expected["value"], abs=reference["tol"])
    assert (result.ci_low, result.ci_high) == pytest.approx(
        tuple(expected["ci"]), abs=reference["tol"]
    )


@pytest.mark.parametrize(
    ("weights", "name"), [("none", "unweighted"), ("linear", "linear"), ("quadratic", "quadratic")]
)
def test_kappa_equals_scikit_learn(golden, weights, name):
    reference = golden("agreement")
    result = cohen_kappa(reference["judge"], reference["human"], categories=SCALE, weights=weights)
    assert result.estimate == pytest.approx(reference["kappa"][name], abs=1e-12)


def test_kappa_interval_equals_statsmodels(golden):
    reference = golden("agreement")
    result = cohen_kappa(
        reference["judge"], reference["human"], categories=SCALE, weights="quadratic"
    )
    expected = tuple(reference["kappa_quadratic_ci"])
    assert (result.ci_low, result.ci_high) == pytest.approx(expected, abs=1e-12)


def test_a_rare_label_ruins_kappa_but_not_ac1(golden):
    reference = golden("agreement")["prevalence_paradox"]
    (both, a_only), (b_only, neither) = reference["table"]
    a = [0] * (both + a_only) + [1] * (b_only + neither)
    b = [0] * both + [1] * a_only + [0] * b_only + [1] * neither
    assert percent_agreement([a, b]).estimate == pytest.approx(reference["po"])
    assert cohen_kappa(a, b, categories=[0, 1]).estimate == pytest.approx(reference["cohen_kappa"])
    assert gwet_ac1([a, b], categories=[0, 1]).estimate == pytest.approx(reference["gwet_ac1"])


def test_kappa_by_hand_takes_words():
    # Agreement 35 / 50 = .7; by chance .5 * .6 + .5 * .4 = .5; so (.7 - .5) / .5 = .4.
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    result = cohen_kappa(a, b, categories=["yes", "no"])
    assert result.estimate == pytest.approx(0.4)
    assert result.n_items == 50


def test_percent_agreement_by_hand():
    # Three raters: all pairs, one pair of three, the one pair there is; no pair at all.
    ratings = [[1, 1, 2, 5], [1, 1, 2, GAP], [1, 3, GAP, GAP]]
    result = percent_agreement(ratings)
    assert result.estimate == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert result.n_items == 3
    assert 0 <= result.ci_low < result.estimate < result.ci_high == 1


def test_percent_agreement_of_two_raters_has_wilsons_interval():
    # 81 of 263: Newcombe 1998, Statistics in Medicine 17:857.
    result = percent_agreement([[1] * 263, [1] * 81 + [2] * 182])
    assert (result.ci_low, result.ci_high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_ac2_with_two_categories_is_ac1():
    ratings = [[0, 1, 1, 0, 1], [0, 1, 0, 0, 1], [1, 1, 0, 0, GAP]]
    assert gwet_ac2(ratings, categories=[0, 1]) == gwet_ac1(ratings, categories=[0, 1])


def test_near_misses_count_for_more_with_weights():
    a, b = [1, 2, 3, 4, 5] * 4, [2, 2, 3, 5, 5] * 4
    plain, linear, quadratic = (
        cohen_kappa(a, b, categories=range(1, 6), weights=kind).estimate
        for kind in ("none", "linear", "quadratic")
    )
    assert plain < linear < quadratic < 1
    linear_ac2 = gwet_ac2([a, b], categories=range(1, 6), weights="linear").estimate
    assert gwet_ac1([a, b], categories=range(1, 6)).estimate < linear_ac2


@repeatable
@given(matrices, st.sampled_from(LEVELS))
def test_alpha_equals_its_definition(ratings, level):
    estimate = krippendorff_alpha(ratings, level=level, resamples=1).estimate
    assert estimate == pytest.approx(alpha_by_definition(ratings, level), nan_ok=True)


def alpha_by_definition(ratings: np.ndarray, level: str) -> float:
    """One less the mean distance within items over that between any two paired ratings."""
    items = [[x for x in item if not math.isnan(x)] for item in ratings.T]
    items = [item for item in items if len(item) > 1]
    pool = [x for item in items for x in item]

    def distance(x: float, y: float) -> float:
        low, high = min(x, y), max(x, y)
        if level == "nominal":
            return float(x != y)
        if level == "interval":
            return (x - y) ** 2
        if level == "ratio":
            return ((x - y) / (x + y)) ** 2
        between = sum(low <= z <= high for z in pool)
        return (between - (pool.count(x) + pool.count(y)) / 2) ** 2 if x != y else 0.0

    within = sum(
        distance(x, y) / (len(item) - 1) for item in items for x, y in permutations(item, 2)
    )
    between = sum(distance(x, y) for x, y in permutations(pool, 2))
    return 1 - (len(pool) - 1) * within / between if between else math.nan


@repeatable
@given(matrices, st.randoms(use_true_random=False))
def test_order_of_raters_and_items_does_not_matter(ratings, random):
    raters, items = (random.sample(range(size), size) for size in ratings.shape)
    shuffled = ratings[raters][:, items]
    for coefficient in (
        percent_agreement,
        lambda x: gwet_ac1(x, categories=range(1, 5)),
        lambda x: gwet_ac2(x, categories=range(1, 5)),
        lambda x: krippendorff_alpha(x, level="ordinal", resamples=50),
    ):
        assert coefficient(shuffled) == pytest.approx(coefficient(ratings), nan_ok=True)


@repeatable
@given(pairs, st.sampled_from(["none", "linear", "quadratic"]))
def test_kappa_does_not_care_who_is_who_nor_which_end_is_up(rated, weights):
    a, b = np.transpose(rated)
    here = cohen_kappa(a, b, categories=range(1, 5), weights=weights)
    swapped = cohen_kappa(b, a, categories=range(1, 5), weights=weights)
    upended = cohen_kappa(5 - a, 5 - b, categories=range(1, 5), weights=weights)
    assert swapped == pytest.approx(here, nan_ok=True)
    assert upended == pytest.approx(here, nan_ok=True)


@repeatable
@given(matrices, st.permutations([1, 2, 3, 4]))
def test_new_names_change_nothing_for_nominal_coefficients(ratings, names):
    renamed = np.choose(np.nan_to_num(ratings).astype(int), [GAP, *names])
    assert percent_agreement(renamed) == pytest.approx(percent_agreement(ratings), nan_ok=True)
    ours, theirs = (gwet_ac1(x, categories=range(1, 5)) for x in (ratings, renamed))
    assert theirs == pytest.approx(ours, nan_ok=True)
    ours, theirs = (krippendorff_alpha(x, level="nominal", resamples=1) for x in (ratings, renamed))
    assert theirs.estimate == pytest.approx(ours.estimate, nan_ok=True)


@repeatable
@given(matrices)
def test_ordinal_alpha_knows_only_the_order_and_interval_alpha_no_unit(ratings):
    for level, changed in (("ordinal", ratings**3), ("interval", 32 - 1.8 * ratings)):
        here = krippendorff_alpha(ratings, level=level, resamples=50)
        there = krippendorff_alpha(changed, level=level, resamples=50)
        assert there.estimate == pytest.approx(here.estimate, nan_ok=True)


@repeatable
@given(matrices)
def test_coefficients_stay_within_their_range(ratings):
    for result in (
        percent_agreement(ratings),
        gwet_ac1(ratings, categories=range(1, 5)),
        gwet_ac2(ratings, categories=range(1, 5)),
    ):
        assert math.isnan(result.estimate) or -1 <= result.estimate <= 1 + 1e-12
        if not math.isnan(result.ci_low):
            assert result.ci_low - 1e-12 <= result.estimate <= result.ci_high + 1e-12


def test_one_rating_for_all_leaves_kappa_and_alpha_undefined():
    same = [7] * 12
    assert math.isnan(cohen_kappa(same, same, categories=SCALE).estimate)
    assert math.isnan(krippendorff_alpha([same, same], level="ordinal").estimate)
    assert gwet_ac1([same, same], categories=SCALE).estimate == 1
    assert percent_agreement([same, same]).estimate == 1


def test_perfect_agreement_claims_no_interval_of_width_nought():
    scores = [1, 5, 9, 10, 10, 3]
    kappa = cohen_kappa(scores, scores, categories=SCALE, weights="quadratic")
    results = [
        kappa,
        gwet_ac2([scores, scores], categories=SCALE),
        krippendorff_alpha([scores, scores], level="interval"),
    ]
    assert [result.estimate for result in results] == pytest.approx([1, 1, 1])
    assert [result.se for result in results] == [0, 0, 0]
    assert all(math.isnan(end) for result in results for end in result[2:4])
    assert percent_agreement([scores, scores]).ci_low == pytest.approx(0.6097, abs=1e-4)


def test_raters_who_never_meet_have_no_agreement():
    apart = [[1, 2, GAP], [GAP, GAP, 3]]
    for result in (
        percent_agreement(apart),
        gwet_ac1(apart, categories=[1, 2, 3]),
        krippendorff_alpha(apart, level="nominal"),
        krippendorff_alpha([[GAP], [GAP]], level="nominal"),
    ):
        assert math.isnan(result.estimate)
        assert result.n_items == 0


def test_alpha_resting_on_one_odd_item_has_no_interval():
    # A third of the resamples miss it and hold one value only.
    result = krippendorff_alpha([[1] * 20 + [2], [1] * 20 + [2]], level="nominal")
    assert result.estimate == 1
    result = krippendorff_alpha([[1] * 20 + [2], [1] * 21], level="nominal")
    assert result.estimate == pytest.approx(0)
    assert math.isnan(result.ci_low)


def test_alpha_interval_narrows_with_items_and_repeats_with_the_seed():
    rng = np.random.default_rng(3)
    truth = rng.integers(1, 11, 400)
    ratings = np.clip(truth + rng.integers(-2, 3, (3, 400)), 1, 10)
    few = krippendorff_alpha(ratings[:, :50], level="ordinal")
    many = krippendorff_alpha(ratings, level="ordinal")
    assert many.ci_low < many.estimate < many.ci_high
    assert (few.ci_high - few.ci_low) / (many.ci_high - many.ci_low) == pytest.approx(
        8**0.5, rel=0.4
    )
    assert krippendorff_alpha(ratings, level="ordinal") == many
    assert krippendorff_alpha(ratings, level="ordinal", seed=1).ci_low != many.ci_low


def test_ac1_standard_error_is_the_spread_over_samples():
    rng = np.random.default_rng(4)
    results = []
    for _ in range(400):
        truth = rng.random(80) < 0.85
        ratings = truth ^ (rng.random((2, 80)) < 0.08)
        results.append(gwet_ac1(ratings, categories=[0, 1])[:2])
    estimates, errors = np.transpose(results)
    assert np.mean(errors) == pytest.approx(np.std(estimates), rel=0.1)


def test_what_is_no_rating_matrix_is_refused():
    with pytest.raises(ValueError, match="at least two raters"):
        krippendorff_alpha([[1, 2, 3]], level="nominal")
    with pytest.raises(ValueError, match="at least two raters"):
        percent_agreement([1, 2, 3])
    with pytest.raises(ValueError, match="infinite"):
        percent_agreement([[1, math.inf], [1, 2]])
    with pytest.raises(ValueError, match="cannot be negative"):
        krippendorff_alpha([[-1, 2], [1, 2]], level="ratio")
    with pytest.raises(ValueError, match="resamples"):
        krippendorff_alpha([[1, 2], [1, 2]], level="ratio", resamples=0)


def test_ratings_off_the_scale_are_refused():
    with pytest.raises(ValueError, match="holds 11, which is not in categories"):
        gwet_ac2([[11, 2], [1, 2]], categories=SCALE)
    with pytest.raises(ValueError, match="b holds None, which is not in categories"):
        cohen_kappa(["1", "2"], ["1", None], categories=["1", "2"])
    with pytest.raises(ValueError, match="two or more different"):
        gwet_ac1([[1, 1], [1, 1]], categories=[1])


def test_kappa_needs_pairs():
    with pytest.raises(ValueError, match="a has 2 items, but b has 1"):
        cohen_kappa([1, 2], [1], categories=[1, 2])
    with pytest.raises(ValueError, match="at least one item"):
        cohen_kappa([], [], categories=[1, 2])


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="HARNESS_DATA_DIR is not set")
@pytest.mark.parametrize("judge", ["GPT-4", "PaLM2"])
@pytest.mark.parametrize("part", ["LLMBar/Natural", "LLMBar/Adversarial/Neighbor"])
def test_recorded_verdicts_agree_with_gold_as_counted_here(part, judge):
    for swap in (False, True):
        chosen = llmbar_verdicts(part, judge, swap=swap)
        rows = [row for row in chosen.values() if row["winner"]]
        gold, said = ([str(row[key]) for row in rows] for key in ("label", "winner"))
        n, same = len(rows), sum(g == s for g, s in zip(gold, said, strict=True))
        p, q = gold.count("1") / n, said.count("1") / n
        by_chance = p * q + (1 - p) * (1 - q)
        common = (p + q) / 2
        gwet_chance = 2 * common * (1 - common)
        ratings = np.array([gold, said], dtype=float)
        assert percent_agreement(ratings).estimate == pytest.approx(same / n)
        kappa = cohen_kappa(gold, said, categories=["1", "2"]).estimate
        assert kappa == pytest.approx((same / n - by_chance) / (1 - by_chance))
        ac1 = gwet_ac1(ratings, categories=[1, 2]).estimate
        assert ac1 == pytest.approx((same / n - gwet_chance) / (1 - gwet_chance))


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="HARNESS_DATA_DIR is not set")
@pytest.mark.parametrize("judge", ["GPT-4", "ChatGPT", "Falcon"])
@pytest.mark.parametrize("part", ["LLMBar/Natural", "LLMBar/Adversarial/Neighbor"])
def test_consistency_over_orders_is_the_one_llmbar_published(part, judge):
    published = json.loads(
        Path(DATA or "", "LLMBar", part, f"{judge}__Vanilla__statistics.json").read_text()
    )
    first, second = (llmbar_verdicts(part, judge, swap=swap) for swap in (False, True))
    a, b = ([rows[i]["winner"] for i in sorted(first)] for rows in (first, second))
    kappa = cohen_kappa(a, b, categories=["1", "2"]).estimate
    assert kappa == pytest.approx(published["kappa_agreement"], abs=1e-12)
    same = percent_agreement(np.array([a, b], dtype=float)).estimate
    assert f"{100 * same:.1f}" == f"{float(published['equal'].split()[-1][:-1]):.1f}"


def llmbar_verdicts(part: str, judge: str, *, swap: bool) -> dict[int, dict]:
    with Path(DATA or "", "LLMBar/raw_verdicts.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    wanted = (part, judge, "Vanilla", swap)
    return {
        row["idx"]: row
        for row in rows
        if (row["set"], row["judge"], row["strategy"], row["swap"]) == wanted
    }
