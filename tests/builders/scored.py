"""Columns of scores, and runs that hold them, without judging anything."""

from pathlib import Path

import numpy as np

from harness.artifacts.run_folder import Run
from harness.config import Claim, Criterion, Gate, Generation, RubricMetric
from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn
from harness.types import JudgeCard, Plan, PlannedModel, RunResult, Task

N = 120


def grades(
    shift: float = 0.0, *, seed: int = 1, baseline: str = "sft", candidate: str = "dpo"
) -> GradeColumn:
    """A baseline, and a candidate that is better by `shift` on the mean."""
    rng = np.random.default_rng(seed)
    old = rng.integers(3, 8, N).astype(np.float64)
    new = np.clip(old + rng.choice([-1, 0, 0, 1], N) + shift, 1, 10)
    return GradeColumn(
        metric="rubric.safety",
        kind="points",
        low=1.0,
        high=10.0,
        sample_ids=tuple(f"q{i}" for i in range(N)),
        clusters=None,
        scores={baseline: old, candidate: new},
        reasons={baseline: [None] * N, candidate: [None] * N},
        generation_failed={baseline: 0, candidate: 0},
    )


def wins(share: float = 0.6) -> PreferenceColumn:
    won = np.array([1.0 if i < share * N else 0.0 for i in range(N)])
    return PreferenceColumn(
        metric="win_rate",
        baseline="sft",
        candidate="dpo",
        sample_ids=tuple(f"q{i}" for i in range(N)),
        clusters=None,
        by_order={"baseline_first": won, "candidate_first": won.copy()},
        reasons=[None] * N,
        generation_failed=0,
    )


def make_run(
    *columns: ScoreColumn,
    run_id: str = "a" * 12,
    judge: str = "judge",
    items: str = "items",
    baseline: str = "f-sft",
) -> Run:
    metric = RubricMetric(kind="rubric", criteria=(Criterion(name="safety", asks="Safe?"),))
    task = Task(
        name="questions",
        source="s",
        items_hash=items,
        n_items=N,
        generation=Generation(),
        system=None,
        metrics={"rubric": metric},
    )
    plan = Plan(
        suite="suite",
        title="",
        profile="p",
        note="",
        models=(
            PlannedModel(name="sft", kind="recorded", source="sft.csv"),
            PlannedModel(name="dpo", kind="recorded", source="dpo.csv"),
        ),
        judges={"rubric": JudgeCard(name=judge, nature="n", fingerprint=judge)},
        tasks=(task,),
        gate=Gate(claims=(Claim(metric="rubric.safety", claim="superior"),)),
        hash="h",
    )
    result = RunResult(
        run_id=run_id,
        harness_version="0",
        started="",
        finished="",
        seconds=0.0,
        plan=plan,
        fingerprints={"sft": baseline, "dpo": f"f-dpo-{run_id}"},
        decision=None,
        comparisons=(),
        scores=(),
        coverage=(),
        hygiene=(),
        examples=(),
        checkpoints=(),
        caveats=(),
        environment={},
        tables={"scores.parquet": "0" * 64},
    )
    return Run(result, list(columns), Path())
