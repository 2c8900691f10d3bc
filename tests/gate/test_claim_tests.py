"""What single claims need: equivalence, regression alarms, gaps, clusters, data that do not vary."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import Claim, Gate
from harness.gate.claim_tests import ClaimTest, evaluate_claim, items_needed
from harness.gate.decision import decide_gate
from harness.scoring.columns import PreferenceColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.stats.exact_tango import exact_tango_test
from harness.stats.paired_proportions import count_pairs, tango_interval, tango_test
from tests.builders.paired_scores import NAN, Scores, _pair, claim_of, points, spread, values

repeatable = settings(derandomize=True, deadline=None, max_examples=20)


def shares(baseline: Scores, candidate: Scores) -> PairedScores:
    return _pair(np.asarray(baseline), np.asarray(candidate), 0.0, 1.0, None)


def wins(scores: Scores) -> PairedScores:
    won = np.asarray(scores, dtype=np.float64)
    column = PreferenceColumn(
        metric="m",
        baseline="a",
        candidate="b",
        sample_ids=tuple(map(str, range(won.size))),
        clusters=None,
        by_order={"baseline_first": won, "candidate_first": won.copy()},
        reasons=[None] * won.size,
        generation_failed=0,
    )
    return pair_scores(column, "a")[0]


def swapped(pair: PairedScores) -> PairedScores:
    return replace(
        pair,
        d=-pair.d,
        least=-pair.greatest,
        greatest=-pair.least,
        baseline_scores=pair.candidate_scores,
        candidate_scores=pair.baseline_scores,
    )


def weigh(pair: PairedScores, kind: str, **options: float) -> ClaimTest:
    return evaluate_claim(claim_of(kind, **options), pair, 0.05)


def verdict(pair: PairedScores, kind: str, **options: float) -> str:
    gate = Gate(claims=(claim_of(kind, **options),), max_unscored=1.0)
    return decide_gate(gate, {"m": pair}).claims[0].verdict


def why(pair: PairedScores, kind: str, **options: float) -> str:
    return decide_gate(Gate(claims=(claim_of(kind, **options),)), {"m": pair}).claims[0].why


# --- equivalence -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "expected"),
    [(0.0, "pass"), (0.25, "inconclusive"), (-0.3, "inconclusive"), (0.6, "fail"), (-0.6, "fail")],
)
def test_equivalence_needs_both_bounds_within_the_margin(mean: float, expected: str) -> None:
    assert verdict(points(spread(300, mean)), "equivalent", margin=0.3) == expected


def test_its_p_value_is_the_larger_of_the_two_tests() -> None:
    from scipy import stats

    d = spread(400, 0.1)
    above = stats.ttest_1samp(d, -0.3, alternative="greater").pvalue
    below = stats.ttest_1samp(d, 0.3, alternative="less").pvalue
    found = weigh(points(d), "equivalent", margin=0.3)
    assert max(above, below) <= found.p_value < 0.01  # guarded against skew and unseen answers
    assert (found.boundary, found.upper_boundary) == (-0.3, 0.3)


def test_refuting_an_equivalence_has_two_chances_and_pays_for_both() -> None:
    """Beyond the margin at 5 %, but not at 2.5 %."""
    se = 1 / np.sqrt(300)
    d = points(spread(300, 0.3 + 1.8 * se))
    assert weigh(d, "equivalent", margin=0.3).low > 0.3
    assert verdict(d, "equivalent", margin=0.3) == "inconclusive"


def test_missing_judgements_count_against_an_equivalence_on_both_sides() -> None:
    d = np.r_[spread(290), np.full(10, NAN)]
    complete, gaps = points(spread(290)), points(d)
    assert verdict(complete, "equivalent", margin=0.2) == "pass"
    assert verdict(gaps, "equivalent", margin=0.2) == "inconclusive"
    found = weigh(gaps, "equivalent", margin=0.2)
    assert found.low < -0.2
    assert found.high > 0.2


def test_equal_answers_are_equivalent_and_no_answers_of_few_items_are() -> None:
    assert verdict(points([0.0] * 300), "equivalent", margin=0.3) == "pass"
    assert verdict(points([0.0] * 12), "equivalent", margin=0.3) == "inconclusive"
    assert verdict(points([0.0]), "equivalent", margin=0.3) == "inconclusive"


def test_a_constant_gain_beyond_the_margin_refutes_equivalence() -> None:
    assert verdict(points([2.0] * 300), "equivalent", margin=0.3) == "fail"


def test_few_items_show_no_equivalence_that_a_rare_disaster_would_break() -> None:
    d = points(spread(60) / 4)
    assert weigh(d, "equivalent", margin=0.3).p_of_seen < 0.001
    assert verdict(d, "equivalent", margin=0.3) == "inconclusive"
    assert "60 items cannot exclude answers at their worst" in why(d, "equivalent", margin=0.3)


def test_win_rates_are_equivalent_around_one_half() -> None:
    even = wins([0.0, 1.0, 0.5, 0.5] * 150)
    found = weigh(even, "equivalent", margin=0.1)
    assert (found.boundary, found.upper_boundary) == pytest.approx((0.4, 0.6))
    assert verdict(even, "equivalent", margin=0.1) == "pass"
    assert verdict(wins([1.0, 1.0, 0.5] * 100), "equivalent", margin=0.1) == "fail"


def test_shares_are_equivalent_by_the_score_test_of_either_margin() -> None:
    old, new = np.repeat([1.0, 0.0], [180, 20]), np.roll(np.repeat([1.0, 0.0], [184, 16]), 3)
    counts = count_pairs(old, new)
    found = weigh(shares(old, new), "equivalent", margin=0.1)
    assert (found.low, found.high) == pytest.approx(
        tango_interval(counts, confidence=0.9), abs=0.01
    )
    mirrored = count_pairs(new, old)
    assert found.p_value == max(exact_tango_test(c, -0.1) for c in (counts, mirrored))
    assert found.p_value > max(tango_test(c, -0.1) for c in (counts, mirrored))
    assert (found.p_value <= 0.05) is found.bound_passed


def test_clusters_that_repeat_one_another_do_not_show_an_equivalence() -> None:
    d = spread(120)
    alone = np.tile(d, 5)
    labels = [f"c{i}" for i in range(120)] * 5
    assert weigh(points(alone), "equivalent", margin=0.12).bound_passed
    assert not weigh(points(alone, clusters=labels), "equivalent", margin=0.12).bound_passed


def test_an_undecided_equivalence_says_how_many_items_would_show_it() -> None:
    pair, claim = points(spread(150)), claim_of("equivalent", margin=0.12)
    needed = items_needed(claim, pair, 0.05).at_estimate
    assert needed is not None
    assert not weigh(pair, "equivalent", margin=0.12).bound_passed
    assert weigh(points(spread(needed)), "equivalent", margin=0.12).bound_passed


# --- regression alarms -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "expected"), [(-0.5, "fail"), (-0.2, "inconclusive"), (0.1, "pass")]
)
def test_an_alarm_is_raised_silent_or_cleared(mean: float, expected: str) -> None:
    assert verdict(points(spread(300, mean)), "regression_alarm", margin=0.2) == expected


def test_without_a_margin_any_harm_that_is_shown_raises_it() -> None:
    assert verdict(points(spread(300, -0.2)), "regression_alarm") == "fail"
    assert verdict(points(spread(300, 0.0)), "regression_alarm") == "inconclusive"


def test_an_alarm_says_what_it_found() -> None:
    told = {mean: why(points(spread(300, mean)), "regression_alarm") for mean in (-0.5, 0.0, 0.5)}
    assert "raised" in told[-0.5]
    assert "harm is shown" in told[-0.5]
    assert "neither shown nor ruled out" in told[0.0]
    assert "cleared" in told[0.5]


def test_its_p_value_is_that_of_harm() -> None:
    from scipy import stats

    d = spread(400, -0.1)
    p_harm = stats.ttest_1samp(d, 0.0, alternative="less").pvalue
    found = weigh(points(d), "regression_alarm")
    assert found.p_value == pytest.approx(p_harm, rel=0.2)
    assert found.rejected is (found.p_value <= 0.05)


def test_lost_judgements_neither_raise_nor_clear_an_alarm() -> None:
    raised, cleared = spread(300, -0.2), spread(300, 0.2)
    assert verdict(points(raised), "regression_alarm") == "fail"
    assert verdict(points(cleared), "regression_alarm") == "pass"
    for d in (raised, cleared):
        assert verdict(points(np.r_[d, [NAN] * 15]), "regression_alarm") == "inconclusive"


def test_a_constant_loss_raises_the_alarm_once_there_are_items_enough() -> None:
    assert verdict(points([-1.0] * 300), "regression_alarm") == "fail"
    assert verdict(points([-1.0] * 4), "regression_alarm") == "inconclusive"


def test_shares_that_fall_raise_the_alarm() -> None:
    old, new = np.ones(200), np.repeat([1.0, 0.0], [185, 15])
    assert verdict(shares(old, new), "regression_alarm", margin=0.02) == "fail"
    assert verdict(shares(old, new), "regression_alarm", margin=0.15) == "pass"
    assert verdict(shares(old, new), "regression_alarm", margin=0.08) == "inconclusive"


# --- what holds of every claim ---------------------------------------------------------------

CLAIMS = (
    claim_of("superior"),
    claim_of("non_inferior", margin=0.5),
    claim_of("equivalent", margin=0.5),
    claim_of("at_least", value=5.0),
    claim_of("regression_alarm", margin=0.25),
)
differences = st.lists(values, min_size=1, max_size=110)
many = st.lists(values, min_size=100, max_size=110)  # below, bets are placed in an order


@repeatable
@given(many, st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(d, random):
    pair, shuffled = points(d), points(random.sample(d, len(d)))
    for claim in CLAIMS:
        here, there = (evaluate_claim(claim, each, 0.05) for each in (pair, shuffled))
        assert here[:6] == pytest.approx(there[:6], abs=1e-9)


@repeatable
@given(differences)
def test_swapped_models_are_as_equivalent_as_before(d):
    pair, claim = points(d), claim_of("equivalent", margin=0.5)
    here, there = (evaluate_claim(claim, each, 0.05) for each in (pair, swapped(pair)))
    assert here.estimate == pytest.approx(-there.estimate) or np.isnan(pair.d).any()
    assert (here.low, here.high) == pytest.approx((-there.high, -there.low))
    assert here.p_value == pytest.approx(there.p_value)
    assert (here.bound_passed, here.rejected) == (there.bound_passed, there.rejected)


@repeatable
@given(differences)
def test_an_alarm_is_raised_just_where_the_swapped_models_show_superiority(d):
    pair = points(d)
    raised = evaluate_claim(claim_of("regression_alarm", margin=0.25), pair, 0.05)
    shown = evaluate_claim(claim_of("superior", margin=0.25), swapped(pair), 0.05)
    assert raised.rejected is shown.bound_passed
    assert raised.p_value == pytest.approx(shown.p_value)


@repeatable
@given(differences)
def test_an_equivalence_implies_non_inferiority_at_its_margin(d):
    pair = points(d)
    same = evaluate_claim(claim_of("equivalent", margin=0.5), pair, 0.05)
    not_worse = evaluate_claim(claim_of("non_inferior", margin=0.5), pair, 0.05)
    assert not_worse.p_value <= same.p_value
    assert not_worse.bound_passed or not same.bound_passed


@repeatable
@given(differences)
def test_no_claim_holds_and_is_refuted_at_once(d):
    for claim in CLAIMS:
        found = evaluate_claim(claim, points(d), 0.05)
        assert not (found.bound_passed and found.rejected)
        assert 0 <= found.p_value <= 1
        assert found.low <= found.high


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.claim)
def test_a_single_cluster_decides_nothing(claim: Claim) -> None:
    pair = points(spread(40, 1.0), clusters=["c"] * 40)
    found = evaluate_claim(claim, pair, 0.05)
    assert not found.bound_passed
    assert not found.rejected


# --- small shares and unequal clusters -------------------------------------------------------


def test_a_few_items_that_all_differ_are_no_proof_of_a_better_share() -> None:
    """Tango's test alone passes at three wins of three, which chance gives one time in eight."""
    pair = shares([0.0] * 3, [1.0] * 3)
    assert weigh(pair, "superior").p_value == pytest.approx(1 / 8)
    assert verdict(pair, "superior") == "inconclusive"


def test_a_large_and_clear_gain_of_shares_passes_below_a_hundred_items() -> None:
    pair = shares([0.0] * 30 + [1.0] * 10, [1.0] * 40)
    assert verdict(pair, "superior") == "pass"
    assert verdict(swapped(pair), "superior") == "fail"


def test_many_items_of_one_source_are_not_many() -> None:
    d = np.r_[np.full(300, 1.0), spread(100)]
    names = ["big"] * 300 + [f"c{i}" for i in range(100)]
    assert verdict(points(d), "superior") == "pass"
    assert verdict(points(d, clusters=names), "superior") == "inconclusive"


@pytest.mark.parametrize("claim", ["superior", "regression_alarm"])
def test_a_cluster_that_outweighs_all_others_neither_passes_nor_fails(claim: str) -> None:
    names = ["big"] * 900 + [f"c{i}" for i in range(120)]
    for sign in (1, -1):
        d = np.r_[np.full(900, sign * 1.0), spread(120)]
        assert verdict(points(d, clusters=names), claim) == "inconclusive"


def test_few_clusters_that_would_pass_by_themselves_cannot_exclude_a_bad_one() -> None:
    """Thirty sources of twenty items, all of them a little better."""
    pair = points(spread(600, 0.3) / 3 + 0.2, clusters=[f"c{i // 20}" for i in range(600)])
    found = weigh(pair, "superior")
    assert found.p_of_seen < 0.001
    assert found.p_value > 0.05
    assert "30 clusters cannot exclude" in why(pair, "superior")


# --- unseen answers, and which rule decides ---------------------------------------------------


def test_a_pass_says_what_would_turn_it() -> None:
    claim = claim_of("superior")
    result = decide_gate(Gate(claims=(claim,)), {"m": points(spread(200, 0.5))}).claims[0]
    assert result.unseen is not None
    assert result.unseen.turns_at == pytest.approx(0.5 / 9.5)
    assert result.unseen.not_excluded == pytest.approx(1 - 0.05 ** (1 / 200))
    undecided = decide_gate(Gate(claims=(claim,)), {"m": points(spread(200))}).claims[0]
    assert undecided.unseen is None


def test_mostly_ties_and_small_gains_pass_only_where_a_rare_disaster_would_have_shown() -> None:
    gains = np.repeat([0.0, 1.0], [95, 5])
    assert weigh(points(gains), "superior").p_of_seen < 0.05
    assert verdict(points(gains), "superior") == "inconclusive"
    assert verdict(points(np.tile(gains, 8)), "superior") == "pass"


def test_a_threshold_near_the_ceiling_allows_for_the_bottom_of_the_scale() -> None:
    pair = _pair(np.full(100, 9.0), np.repeat([10.0, 9.0], [60, 40]), 1.0, 10.0, None)
    assert weigh(pair, "at_least", value=9.5).p_of_seen < 0.05
    assert verdict(pair, "at_least", value=9.5) == "inconclusive"


def test_a_decision_names_its_rule() -> None:
    pairs = {"m": points(spread(200, 0.5))}
    named = {
        guarantee: decide_gate(
            Gate.model_validate({"claims": (claim_of("superior"),), "guarantee": guarantee}), pairs
        )
        for guarantee in ("approximate", "distribution_free")
    }
    assert named["approximate"].rule == "unseen_worst"
    assert named["distribution_free"].rule == "distribution_free"
    first, second = (named[g].claims[0] for g in named)
    assert first.bound is not None
    assert second.bound is not None
    assert second.bound < first.bound
    assert second.unseen is None


def test_a_gate_without_the_option_states_what_it_stated_before() -> None:
    assert "guarantee" not in Gate(claims=(claim_of("superior"),)).model_dump()
