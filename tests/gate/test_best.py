"""Holm's method over candidates."""

import numpy as np
import pytest
from pydantic import ValidationError

from harness.config import Claim, Gate
from harness.gate.best import choose_best, gate_of_each
from harness.scoring.paired import PairedScores
from harness.selftest.simulation import pair_of, symmetric

GATE = Gate(candidates="best", claims=(Claim(metric="m", claim="superior"),))


def gains(*shifts: float) -> dict[str, dict[str, PairedScores]]:
    rng = np.random.default_rng(1)
    noise = symmetric(rng, 200)
    noise -= noise.mean()
    return {f"c{i}": {"m": pair_of(noise + shift)} for i, shift in enumerate(shifts)}


def test_the_best_passes_at_alpha_over_their_number_and_the_next_at_more() -> None:
    alone = [choose_best(GATE, gains(shift)).passing for shift in (0.27, 0.34, 0.6)]
    assert alone == [("c0",)] * 3
    assert choose_best(GATE, gains(0.27, 0.0, 0.0)).passing == ()
    best = choose_best(GATE, gains(0.0, 0.27, 0.8, 0.7))
    assert best.name == "c2"
    assert best.passing == ("c2", "c3")
    assert choose_best(GATE, gains(0.27, 0.8)).passing == ("c1", "c0")


def test_without_a_pass_the_highest_estimate_is_decided_on() -> None:
    assert choose_best(GATE, gains(-0.2, 0.1, 0.0)) == ("c1", ())


def test_one_candidate_has_the_whole_alpha() -> None:
    assert gate_of_each(GATE, 1).alpha == 0.05
    assert gate_of_each(GATE, 4).alpha == 0.0125
    assert gate_of_each(GATE.model_copy(update={"candidates": "last"}), 4).alpha == 0.05


def test_the_best_is_not_known_before_all_scores_are() -> None:
    with pytest.raises(ValidationError, match="goes with neither 'stop_early'"):
        Gate(candidates="best", stop_early=True, claims=GATE.claims)
