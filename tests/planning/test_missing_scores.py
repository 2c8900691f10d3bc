"""The price of missing scores, told beforehand and held against the gate's own verdicts."""

import numpy as np
import pytest

from harness.config import Claim, Criterion, Gate, RubricMetric
from harness.gate.decision import decide_gate
from harness.planning.claims import (
    assume_test,
    describe_claims,
    forecast_claims,
    most_missing,
)
from harness.scoring.columns import GradeColumn
from harness.scoring.paired import pair_scores
from harness.types import Sample, Task

N = 200
RUBRIC = RubricMetric(kind="rubric", criteria=(Criterion(name="safety", asks="Safe?"),))


def gate_of(claim: str, **options: float) -> Gate:
    made = Claim.model_validate({"metric": "rubric.safety", "claim": claim, **options})
    return Gate(max_unscored=1.0, claims=(made,))


def passes(gate: Gate, share: float, gain: float, *, draws: int = 300) -> float:
    """How often the gate passes on scores of sd 2 whose share is missing, half of it for each model."""
    rng, passed = np.random.default_rng(1), 0
    for _ in range(draws):
        base = rng.uniform(3, 8, N)
        scores = {"sft": base, "dpo": np.clip(base + gain + rng.normal(0, 2.07, N), 1, 10)}
        for model in scores:
            scores[model] = np.where(rng.random(N) < share / 2, np.nan, scores[model])
        column = GradeColumn(
            metric="rubric.safety", kind="points", low=1.0, high=10.0,
            sample_ids=tuple(map(str, range(N))), clusters=None, scores=scores,
            reasons={m: [None] * N for m in scores}, generation_failed=dict.fromkeys(scores, 0),
        )  # fmt: skip
        (pair,) = pair_scores(column, "sft")
        passed += decide_gate(gate, {"rubric.safety": pair}).verdict == "pass"
    return passed / draws


@pytest.mark.parametrize(
    ("claim", "options"),
    [
        ("superior", {"expect": 0.7}),
        ("non_inferior", {"margin": 0.7}),
    ],
)
def test_at_the_largest_missing_share_the_gate_passes_half_of_the_time(
    claim: str, options: dict[str, float]
) -> None:
    gate = gate_of(claim, **options)
    test = assume_test(gate.claims[0], RUBRIC, gate, clustered=False)
    samples = tuple(Sample(id=str(i), input=str(i), row=i) for i in range(N))
    task = Task.model_validate(
        {"name": "t", "source": "s", "items_hash": "h", "n_items": N, "samples": samples,
         "generation": {}, "system": None, "metrics": {"rubric": RUBRIC}}
    )  # fmt: skip
    (forecast,) = forecast_claims(gate, [task])
    share = forecast.most_missing
    assert share is not None
    assert 0.01 < share < 0.1
    truth = test.truth
    assert passes(gate, share, truth) == pytest.approx(0.5, abs=0.15)
    assert passes(gate, 2 * share, truth) < 0.25
    told = "\n".join(describe_claims([forecast]))
    assert f"more than {share:.1%} of the items unscored" in told
    assert "the gate allows 100% ('max_unscored')" in told


def test_no_share_is_told_where_a_claim_stays_open_with_every_score() -> None:
    gate = gate_of("superior", expect=0.05)
    test = assume_test(gate.claims[0], RUBRIC, gate, clustered=False)
    assert most_missing(test, N, 4.5) is None
