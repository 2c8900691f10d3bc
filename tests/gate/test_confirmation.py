"""Verdicts on claims, tested again with the judge's scores corrected by people's labels."""

from dataclasses import replace

import numpy as np
import pytest

from harness.config import Claim, Gate
from harness.gate.confirmation import (
    ClaimLabels,
    confirm_claim,
    describe_unconfirmed,
    labels_of,
    withdraw_unconfirmed,
)
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores
from harness.selftest.simulation import pair_of
from harness.types import Confirmation, GateDecision, Verdict

BETTER = np.array([1.0, 2.0, 0.0, 1.0] * 75)  # the judge's differences on a scale from 1 to 10
SUPERIOR = Claim(metric="m", claim="superior")
ALARM = Claim(metric="m", claim="regression_alarm")


def confirm(
    claim: Claim, judged: np.ndarray, labels: np.ndarray
) -> tuple[GateDecision, Confirmation]:
    pair = pair_of(judged)
    gate = Gate(claims=(claim,))
    decision = decide_gate(gate, {"m": pair})
    found = confirm_claim(
        claim, decision.claims[0], pair, labels_of(labels), judge="judge", alpha=0.05
    )
    return decision, found


def test_labels_like_the_judges_scores_confirm_a_pass():
    _, found = confirm(SUPERIOR, BETTER, BETTER)
    assert (found.judged, found.corrected) == ("pass", "pass")
    assert found.estimate == pytest.approx(1.0)


def test_labels_of_part_of_the_items_move_the_estimate_of_all():
    labels = np.where(np.arange(300) < 200, BETTER - 2.0, np.nan)
    _, found = confirm(SUPERIOR, BETTER, labels)
    assert found.estimate == pytest.approx(-1.0)
    assert (found.corrected, found.n_labels) == ("fail", 200)


def test_two_labels_confirm_nothing():
    labels = np.where(np.arange(300) < 2, BETTER, np.nan)
    _, found = confirm(SUPERIOR, BETTER, labels)
    assert found.corrected == "inconclusive"


def test_an_undecided_claim_has_nothing_to_confirm():
    _, found = confirm(SUPERIOR, np.array([1.0, -1.0] * 150), BETTER)
    assert (found.judged, found.corrected, found.confirmed) == ("inconclusive", "pass", True)


def test_a_gap_of_the_judge_counts_at_its_worst_for_either_side():
    pair = pair_of(np.where(np.arange(300) < 150, np.nan, BETTER))
    pair = PairedScores(
        **{**vars(pair), "least": np.full(300, -9.0), "greatest": np.full(300, 9.0)}
    )
    passed = decide_gate(Gate(claims=(SUPERIOR,)), {"m": pair_of(BETTER)}).claims[0]
    labels = np.where(np.arange(300) < 20, BETTER, np.nan)
    found = confirm_claim(SUPERIOR, passed, pair, labels_of(labels), judge="judge", alpha=0.05)
    assert found.low < 0 < found.high


def unconfirmed(*claims: str) -> tuple[Confirmation, ...]:
    numbers = {"by_judge": 1, "by_labels": 0, "estimate": 0, "low": -1, "high": 1, "n": 9}
    return tuple(
        Confirmation(
            claim=c, column="m", judge="j", judged="pass", corrected="fail", n_labels=9, **numbers
        )
        for c in claims
    )


@pytest.mark.parametrize(
    ("require", "names", "verdict"),
    [
        ("all", ["a superior"], "inconclusive"),
        ("any", ["a superior"], "pass"),
        ("any", ["a superior", "b superior"], "inconclusive"),
        ("ordered", ["b superior"], "pass"),
        ("ordered", ["a superior"], "inconclusive"),
    ],
)
def test_a_gate_passes_as_far_as_its_confirmed_claims_do(
    require: str, names: list[str], verdict: Verdict
):
    claims = tuple(Claim(metric=m, claim="superior") for m in ("a", "b"))
    gate = Gate(claims=claims, require=require)  # type: ignore[arg-type]
    decision = decide_gate(gate, {"a": pair_of(BETTER), "b": pair_of(BETTER)})
    decision = decision.model_copy(update={"confirmations": unconfirmed(*names)})
    assert withdraw_unconfirmed(decision, gate).verdict == verdict


def test_an_alarm_that_labels_do_not_confirm_is_no_reason_to_pass():
    gate = Gate(claims=(SUPERIOR.model_copy(update={"metric": "a"}), ALARM))
    decision = decide_gate(gate, {"a": pair_of(BETTER), "m": pair_of(-BETTER)})
    assert decision.verdict == "fail"
    decision = decision.model_copy(update={"confirmations": unconfirmed(str(ALARM))})
    assert withdraw_unconfirmed(decision, gate).verdict == "inconclusive"


def test_a_silent_alarm_that_labels_raise_leaves_no_pass():
    gate = Gate(claims=(SUPERIOR.model_copy(update={"metric": "a"}), ALARM))
    silent = pair_of(np.array([1.0, -1.0] * 150))
    decision = decide_gate(gate, {"a": pair_of(BETTER), "m": silent})
    assert decision.verdict == "pass"
    found = confirm_claim(
        ALARM, decision.claims[1], silent, labels_of(-BETTER), judge="judge", alpha=0.05
    )
    decision = decision.model_copy(update={"confirmations": (found,)})
    assert withdraw_unconfirmed(decision, gate).verdict == "inconclusive"
    assert "the alarm is silent, but corrected" in describe_unconfirmed(found)


def test_a_silent_alarm_that_labels_leave_silent_needs_nothing():
    silent = np.array([1.0, -1.0] * 150)
    found = confirm(ALARM, silent, silent)[1]
    assert (found.corrected, found.confirmed) == ("inconclusive", True)


def test_after_an_unconfirmed_claim_of_an_ordered_family_nothing_is_tested():
    claims = tuple(Claim(metric=m, claim="superior") for m in ("a", "b", "c"))
    gate = Gate(claims=claims, require="ordered")
    decision = decide_gate(gate, {m: pair_of(BETTER) for m in ("a", "b", "c")})
    decision = decision.model_copy(update={"confirmations": unconfirmed("b superior")})
    verdicts = [claim.verdict for claim in withdraw_unconfirmed(decision, gate).claims]
    assert verdicts == ["pass", "inconclusive", "not_tested"]


def test_an_equivalence_is_refuted_at_half_of_alpha_as_the_gate_refutes_it():
    same = Claim(metric="m", claim="equivalent", margin=0.5)
    pair, failed = pair_of(BETTER), decide_gate(Gate(claims=(same,)), {"m": pair_of(BETTER)})
    at = {
        alpha: confirm_claim(
            SUPERIOR if one_sided else same,
            failed.claims[0],
            pair,
            labels_of(BETTER),
            judge="judge",
            alpha=alpha,
        )
        for alpha, one_sided in ((0.05, False), (0.025, True))
    }
    assert failed.verdict == "fail"
    assert at[0.05].low == at[0.025].low


def test_what_nobody_could_tell_counts_at_its_worst_for_either_side():
    untold = np.arange(300) < 60
    labels = ClaimLabels(
        np.where(untold, -9.0, BETTER), np.where(untold, 9.0, BETTER), given=~untold
    )
    passed = decide_gate(Gate(claims=(SUPERIOR,)), {"m": pair_of(BETTER)}).claims[0]
    found = confirm_claim(SUPERIOR, passed, pair_of(BETTER), labels, judge="judge", alpha=0.05)
    assert found.low < 0 < found.high
    assert (found.corrected, found.n_labels) == ("inconclusive", 240)
    assert found.by_labels == pytest.approx(1.0)


def test_few_labels_that_confirm_nothing_say_that_they_are_few():
    labels = np.where(np.arange(300) < 20, BETTER, np.nan)
    few, many = (confirm(SUPERIOR, BETTER, given)[1] for given in (labels, BETTER - 1.0))
    assert "fewer than 100 labels confirm only a large difference" in describe_unconfirmed(few)
    assert "fewer than 100" not in describe_unconfirmed(many)


def test_a_win_rate_is_no_difference_and_has_no_sign():
    wins = replace(
        pair_of(np.tile([0.5, 0.5, 0.5, -0.5], 75), (-0.5, 0.5)), kind="preference", null=0.5
    )
    passed = decide_gate(Gate(claims=(SUPERIOR,)), {"m": wins}).claims[0]
    found = confirm_claim(SUPERIOR, passed, wins, labels_of(-wins.d), judge="judge", alpha=0.05)
    assert "judge finds 0.750 on 300 items" in describe_unconfirmed(found)
