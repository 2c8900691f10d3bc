"""Verdicts on claims, tested again with the judge's scores corrected by people's labels."""

import numpy as np
import pytest

from harness.config import Claim, Gate
from harness.gate.confirmation import confirm_claim, withdraw_unconfirmed
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores
from harness.selftest.simulation import pair_of
from harness.types import Confirmation, GateDecision, Verdict

BETTER = np.array([1.0, 2.0, 0.0, 1.0] * 75)  # the judge's differences on a scale from 1 to 10
SUPERIOR = Claim(metric="m", claim="superior")
ALARM = Claim(metric="m", claim="regression_alarm")


def confirm(
    claim: Claim, judged: np.ndarray, labels: np.ndarray
) -> tuple[GateDecision, Confirmation | None]:
    pair = pair_of(judged)
    gate = Gate(claims=(claim,))
    decision = decide_gate(gate, {"m": pair})
    found = confirm_claim(claim, decision.claims[0], pair, labels, judge="judge", alpha=0.05)
    return decision, found


def test_labels_like_the_judges_scores_confirm_a_pass():
    _, found = confirm(SUPERIOR, BETTER, BETTER)
    assert found is not None
    assert (found.judged, found.corrected) == ("pass", "pass")
    assert found.estimate == pytest.approx(1.0)


def test_labels_of_part_of_the_items_move_the_estimate_of_all():
    labels = np.where(np.arange(300) < 200, BETTER - 2.0, np.nan)
    _, found = confirm(SUPERIOR, BETTER, labels)
    assert found is not None
    assert found.estimate == pytest.approx(-1.0)
    assert (found.corrected, found.n_labels) == ("fail", 200)


def test_two_labels_confirm_nothing():
    labels = np.where(np.arange(300) < 2, BETTER, np.nan)
    _, found = confirm(SUPERIOR, BETTER, labels)
    assert found is not None
    assert found.corrected == "inconclusive"


def test_an_undecided_claim_has_nothing_to_confirm():
    _, found = confirm(SUPERIOR, np.array([1.0, -1.0] * 150), BETTER)
    assert found is not None
    assert (found.judged, found.corrected, found.confirmed) == ("inconclusive", "pass", True)


def test_a_gap_of_the_judge_counts_at_its_worst_for_either_side():
    pair = pair_of(np.where(np.arange(300) < 150, np.nan, BETTER))
    pair = PairedScores(
        **{**vars(pair), "least": np.full(300, -9.0), "greatest": np.full(300, 9.0)}
    )
    passed = decide_gate(Gate(claims=(SUPERIOR,)), {"m": pair_of(BETTER)}).claims[0]
    labels = np.where(np.arange(300) < 20, BETTER, np.nan)
    found = confirm_claim(SUPERIOR, passed, pair, labels, judge="judge", alpha=0.05)
    assert found is not None
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
