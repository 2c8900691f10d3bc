"""How many training seeds would decide a claim about recipes."""

import json
from pathlib import Path

import numpy as np
import pytest

from harness.gate.decision import decide_gate
from harness.planning.claims import AssumedTest
from harness.planning.seeds import two_way_power
from harness.selftest.seeds import SEED_SD, SUPERIOR, draw_seeds
from tests.builders.commands import harness_here
from tests.builders.seeds import write_seeded_world

HALF_A_POINT = AssumedTest(
    boundary=0.0, truth=0.5, sd=2.07, alpha=0.05, power=0.8, kind="mean", reach=9.0, room=9.0
)
OF_DIFFERENCE = SEED_SD * 2**0.5  # both models were trained


@pytest.mark.parametrize(("n_seeds", "power"), [(3, 0.50), (5, 0.83)])
def test_half_a_point_on_500_items_takes_five_seeds(n_seeds: int, power: float) -> None:
    assert two_way_power(HALF_A_POINT, 500, n_seeds, OF_DIFFERENCE) == pytest.approx(
        power, abs=0.05
    )


def test_items_that_show_nothing_are_not_helped_by_seeds() -> None:
    few = two_way_power(HALF_A_POINT, 30, 50, OF_DIFFERENCE)
    assert few < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [3, 5])
def test_the_power_is_that_of_the_gate(n_seeds: int) -> None:
    rng = np.random.default_rng(1)
    pairs = (draw_seeds(rng, 200, n_seeds, 0.5) for _ in range(400))
    passes = [decide_gate(SUPERIOR, {"m": p}, advise=False).verdict == "pass" for p in pairs]
    # Answers to one item under several seeds correlate one half, so that their mean spreads less.
    sd = 2.24 * ((1 + 1 / n_seeds) / 2) ** 0.5
    expected = two_way_power(HALF_A_POINT._replace(sd=sd), 200, n_seeds, OF_DIFFERENCE)
    assert np.mean(passes) == pytest.approx(expected, abs=0.08)


def test_plan_says_how_many_seeds_would_do(tmp_path: Path) -> None:
    write_seeded_world(tmp_path, n=150)
    command = ("plan", "small.yaml", "--profile", "seeds.yaml", "--models", "sft,dpo")
    forecast = json.loads(harness_here(*command, "--format", "json", cwd=tmp_path).stdout)
    (claim,) = forecast["seeds"]
    assert (claim["planned"], set(claim["power"])) == (3, {"3", "5", "10"})
    assert claim["power"]["3"] < claim["power"]["5"] < claim["power"]["10"]
    text = " ".join(harness_here(*command, cwd=tmp_path).stdout.split())
    assert "of the time with 3 seeds, as planned" in text


def test_plan_is_silent_on_seeds_where_nothing_is_trained(tmp_path: Path) -> None:
    write_seeded_world(tmp_path)
    done = harness_here("plan", "small.yaml", "--profile", "recorded.yaml", "--models", "sft,dpo",
                   "--format", "json", cwd=tmp_path)  # fmt: skip
    assert json.loads(done.stdout)["seeds"] == []
