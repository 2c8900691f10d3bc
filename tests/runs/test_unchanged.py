"""How often an unchanged model passes a check, against checks of scores drawn anew."""

from dataclasses import replace

import numpy as np
import pytest

from harness.artifacts.run_folder import Run
from harness.runs.regression import bless_run, check_run
from harness.runs.unchanged import SIMULATIONS, describe_pass_rate, unchanged_pass_rate
from harness.scoring.columns import GradeColumn
from tests.builders.scored import N, grades, make_run, wins

COLUMNS = ("rubric.safety", "rubric.clarity", "rubric.tone", "rubric.truth")
REDRAWN = 300


def four_columns(seed: int) -> list[GradeColumn]:
    """Scores of two models that are equally good: an item's own level, and chance of sd 1.5."""
    rng, level = np.random.default_rng(seed), np.random.default_rng(0).normal(5.5, 1.0, N)
    return [
        replace(
            grades(),
            metric=name,
            scores={m: np.clip(level + rng.normal(0, 1.5, N), 1, 10) for m in ("sft", "dpo")},
        )
        for name in COLUMNS
    ]


def redraw(seed: int) -> Run:
    return make_run(*four_columns(seed), run_id=f"{seed:012}")


def test_the_rate_is_that_of_checks_on_scores_drawn_anew() -> None:
    margins = dict.fromkeys(COLUMNS, 0.45)
    first = redraw(1)
    told = unchanged_pass_rate(first, bless_run(first, margins=margins))
    # The same model is blessed once and checked once, on answers of their own each time.
    passed = [
        check_run(redraw(seed), bless_run(redraw(10**6 + seed), margins=margins)).decision.verdict
        == "pass"
        for seed in range(2, REDRAWN + 2)
    ]
    assert 0.05 < np.mean(passed) < 0.95
    assert told == pytest.approx(np.mean(passed), abs=0.12)


def test_wider_margins_pass_more_often() -> None:
    run = redraw(1)
    rates = [
        unchanged_pass_rate(run, bless_run(run, margins=dict.fromkeys(COLUMNS, margin)))
        for margin in (0.3, 0.6, 2.0)
    ]
    assert rates[0] < rates[1] < rates[2] == 1.0
    assert "Wider margins" in describe_pass_rate(rates[0])
    assert "Wider margins" not in describe_pass_rate(rates[2])
    assert "harness check --daily --unchanged" in describe_pass_rate(rates[2])


def test_win_rates_and_clusters_have_a_rate_too() -> None:
    clusters = np.array([f"c{i // 3}" for i in range(N)])
    run = make_run(replace(grades(), clusters=clusters), wins())
    margins = {"rubric.safety": 1.5, "win_rate": 0.3}
    rate = unchanged_pass_rate(run, bless_run(run, margins=margins))
    assert 0.5 < rate <= 1.0
    assert rate * SIMULATIONS == pytest.approx(round(rate * SIMULATIONS))
