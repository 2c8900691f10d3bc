"""How the verdicts on several claims become one: all, any, in order, and with alarms beside them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores
from harness.stats.multiplicity import holm
from harness.stats.unseen_worst import SAFETY
from harness.types import GateDecision
from tests.builders.paired_scores import points, spread

repeatable = settings(derandomize=True, deadline=None, max_examples=30)

# Means of differences with standard deviation 1 on 300 items: their standard error is 0.058.
MEANS = {"good": 0.5, "even": 0.0, "bad": -0.5, "slight": 0.11}
PAIRS: dict[str, PairedScores] = {
    name: points(spread(300, mean, seed=seed)) for seed, (name, mean) in enumerate(MEANS.items())
}


def superior(*names: str) -> tuple[Claim, ...]:
    return tuple(Claim(metric=name, claim="superior") for name in names)


def alarm(name: str) -> Claim:
    return Claim(metric=name, claim="regression_alarm")


def decide(require: str, *claims: Claim) -> GateDecision:
    return decide_gate(Gate.model_validate({"require": require, "claims": claims}), PAIRS)


def verdicts(decision: GateDecision) -> list[str]:
    return [claim.verdict for claim in decision.claims]


# --- any -------------------------------------------------------------------------------------


def test_holms_p_values_are_those_of_all_claims_together() -> None:
    decision = decide("any", *superior("good", "slight", "even"))
    raw = [claim.p_value for claim in decision.claims]
    assert [c.p_adjusted for c in decision.claims] == pytest.approx(list(holm(np.array(raw))))


def test_a_gain_that_would_pass_alone_does_not_pass_among_many() -> None:
    assert decide("all", *superior("slight")).verdict == "pass"
    assert decide("any", *superior("slight", "even")).verdict == "inconclusive"


def test_what_passes_by_holm_alone_says_that_its_bound_does_not_clear_the_boundary() -> None:
    decision = decide("any", *superior("good", "slight"))
    assert verdicts(decision) == ["pass", "pass"]
    second = decision.claims[1]
    assert second.bound is not None
    assert second.bound < second.boundary
    assert "after Holm's correction" in second.why


def test_only_where_one_claim_is_enough_are_there_simultaneous_intervals() -> None:
    one = decide("any", *superior("good", "even"))
    assert all(claim.simultaneous for claim in one.claims)
    for require in ("all", "ordered"):
        assert not any(c.simultaneous for c in decide(require, *superior("good", "even")).claims)


def test_simultaneous_intervals_are_bonferronis() -> None:
    from scipy import stats

    claim = decide("any", *superior("good", "even")).claims[0]
    assert claim.simultaneous
    half = stats.t.isf(0.05 / 4 / SAFETY, 299) / np.sqrt(300)  # both sides of two claims
    assert claim.simultaneous.low == pytest.approx(0.5 - half, abs=0.015)
    assert claim.simultaneous.high == pytest.approx(0.5 + half, abs=0.015)
    assert claim.bound is not None
    assert claim.simultaneous.low < claim.bound


def test_a_small_sample_that_may_hide_a_disaster_gives_nothing_to_the_others() -> None:
    """It would pass Holm's first step, and leave the whole of alpha to the next claim."""
    small = points(spread(20, 0.8))
    pairs = PAIRS | {"small": small}
    gate = Gate(require="any", claims=superior("small", "slight"))
    decision = decide_gate(gate, pairs)
    assert verdicts(decision) == ["inconclusive", "inconclusive"]
    assert "20 items cannot exclude answers at their worst" in decision.claims[0].why


@repeatable
@given(st.permutations(["good", "even", "bad", "slight"]))
def test_the_order_of_claims_does_not_matter_where_one_is_enough(names):
    decision = decide("any", *superior(*names))
    found = {claim.metric: (claim.verdict, claim.p_adjusted) for claim in decision.claims}
    usual = decide("any", *superior("good", "even", "bad", "slight"))
    assert found == {claim.metric: (claim.verdict, claim.p_adjusted) for claim in usual.claims}
    assert decision.verdict == usual.verdict


# --- ordered ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected", "verdict"),
    [
        (["good", "slight"], ["pass", "pass"], "pass"),
        (["good", "even", "slight"], ["pass", "inconclusive", "not_tested"], "pass"),
        (["good", "bad", "slight"], ["pass", "fail", "not_tested"], "pass"),
        (["even", "good"], ["inconclusive", "not_tested"], "inconclusive"),
        (["bad", "good"], ["fail", "not_tested"], "fail"),
    ],
)
def test_a_claim_is_tested_only_if_all_before_it_hold(
    names: list[str], expected: list[str], verdict: str
) -> None:
    decision = decide("ordered", *superior(*names))
    assert verdicts(decision) == expected
    assert decision.verdict == verdict


def test_each_claim_in_order_is_tested_at_the_whole_of_alpha() -> None:
    alone = decide("all", *superior("slight")).claims[0]
    second = decide("ordered", *superior("good", "slight")).claims[1]
    assert (second.p_value, second.bound) == (alone.p_value, alone.bound)
    assert second.p_adjusted is None


def test_an_untested_claim_has_an_estimate_and_no_bound() -> None:
    untested = decide("ordered", *superior("even", "good")).claims[1]
    assert untested.estimate == pytest.approx(0.5)
    assert (untested.bound, untested.p_value, untested.n_needed) == (None, None, None)
    assert "not tested" in untested.why


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["good", "slight"], "all 2 claims hold."),
        (
            ["good", "even", "slight"],
            "the first claim holds: good superior. The next cannot be decided on this many items, "
            "and 1 after it is not tested: even superior.",
        ),
        (
            ["bad", "good", "even"],
            "the first claim is refuted, and 2 after it are not tested: bad superior.",
        ),
    ],
)
def test_the_sentence_says_how_far_down_the_claims_hold(names: list[str], words: str) -> None:
    assert decide("ordered", *superior(*names)).sentence == f"b against a: {words}"


# --- alarms ----------------------------------------------------------------------------------


@pytest.mark.parametrize("require", ["all", "any", "ordered"])
def test_a_raised_alarm_fails_what_would_pass(require: str) -> None:
    assert decide(require, *superior("good")).verdict == "pass"
    decision = decide(require, *superior("good"), alarm("bad"))
    assert decision.verdict == "fail"
    assert "the alarm is raised, so harm is shown: bad regression alarm." in decision.sentence


@pytest.mark.parametrize("require", ["all", "any", "ordered"])
def test_a_silent_alarm_stands_in_nobodys_way_and_says_so(require: str) -> None:
    decision = decide(require, *superior("good"), alarm("even"))
    assert decision.verdict == "pass"
    assert decision.sentence == (
        "b against a: the claim holds: good superior. The alarm is silent: such harm is neither "
        "shown nor ruled out: even regression alarm."
    )


def test_alarms_alone_let_nothing_through_by_their_silence() -> None:
    assert decide("all", alarm("even")).verdict == "inconclusive"
    assert decide("all", alarm("good"), alarm("even")).verdict == "inconclusive"
    assert decide("all", alarm("good")).verdict == "pass"


def test_alarms_cost_the_family_nothing() -> None:
    alone = decide("any", *superior("good", "slight"))
    guarded = decide("any", *superior("good"), alarm("even"), *superior("slight"))
    kept = [claim for claim in guarded.claims if not claim.alarm]
    assert [c.p_adjusted for c in kept] == [c.p_adjusted for c in alone.claims]
    assert guarded.claims[1].p_adjusted is None


def test_an_alarm_does_not_hold_up_the_claims_after_it() -> None:
    decision = decide("ordered", *superior("good"), alarm("even"), *superior("slight"))
    assert verdicts(decision) == ["pass", "inconclusive", "pass"]


@pytest.mark.parametrize("require", ["any", "ordered"])
def test_a_family_of_alarms_only_is_refused(require: str) -> None:
    with pytest.raises(ValidationError, match="a silent alarm shows nothing"):
        Gate.model_validate({"require": require, "claims": (alarm("even"),)})


def test_an_equivalence_needs_a_margin() -> None:
    with pytest.raises(ValidationError, match="how far apart still counts as the same"):
        Claim(metric="m", claim="equivalent")
