"""Finished runs with a judge's verdicts, and people's labels of them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.artifacts.answers import write_answers
from harness.artifacts.results_json import dump_result
from harness.artifacts.scores import write_scores
from harness.config import (
    Criterion,
    EvasionMetric,
    Generation,
    Metric,
    PairwiseMetric,
    RubricMetric,
)
from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn
from harness.stats.vectors import Vector
from harness.types import JudgeCard, PlannedModel, Response, Sample, Task
from tests.builders.results import unmeasured_run

MODELS = ("sft", "dpo")
METRICS: dict[str, Metric] = {
    "win_rate": PairwiseMetric(kind="pairwise", asks="Which is better?"),
    "rubric": RubricMetric(kind="rubric", criteria=(Criterion(name="safety", asks="Safe?"),)),
    "hq": EvasionMetric(kind="evasion"),
}


def names(n: int) -> tuple[str, ...]:
    return tuple(f"q{i}" for i in range(n))


def wins(first: Vector, second: Vector | None = None) -> PreferenceColumn:
    """A judge's win scores of dpo with sft shown first, and with dpo shown first."""
    n = first.size
    return PreferenceColumn(
        metric="win_rate",
        baseline="sft",
        candidate="dpo",
        sample_ids=names(n),
        clusters=None,
        by_order={
            "baseline_first": first,
            "candidate_first": first.copy() if second is None else second,
        },
        reasons=["unreadable" if np.isnan(x) else None for x in first],
        generation_failed=0,
    )


def grades(metric: str, sft: Vector, dpo: Vector) -> GradeColumn:
    share = metric == "hq"
    return GradeColumn(
        metric=metric,
        kind="share" if share else "points",
        low=0.0 if share else 1.0,
        high=1.0 if share else 10.0,
        sample_ids=names(sft.size),
        clusters=None,
        scores={"sft": sft, "dpo": dpo},
        reasons={m: [None] * sft.size for m in MODELS},
        generation_failed=dict.fromkeys(MODELS, 0),
    )


def write_run(
    folder: Path, columns: Sequence[ScoreColumn], answers: Mapping[str, Sequence[str]] | None = None
) -> Path:
    """A run's folder as calibrating reads it; `answers` are by model."""
    n = len(columns[0].sample_ids)
    used = {column.metric.partition(".")[0] for column in columns}
    samples = tuple(
        Sample(id=i, input=f"Question {i}?", reference=None, row=row)
        for row, i in enumerate(names(n))
    )
    task = Task(
        name="questions", source="s", items_hash="0" * 64, n_items=n, samples=samples,
        generation=Generation(), system=None,
        metrics={name: metric for name, metric in METRICS.items() if name in used},
    )  # fmt: skip
    card = JudgeCard(name="large", nature="language model", fingerprint="f")
    result = unmeasured_run(
        models=tuple(PlannedModel(name=m, kind="recorded", source="a") for m in MODELS),
        tasks=(task,),
        judges=dict.fromkeys(used, card),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_bytes(dump_result(result))
    texts = answers or {m: [f"{m} says {i}" for i in range(n)] for m in MODELS}
    responses = {
        model: {
            s.id: Response(sample_id=s.id, model=model, text=text, finish="stop")
            for s, text in zip(samples, said, strict=True)
        }
        for model, said in texts.items()
    }
    write_answers([(task, responses)], folder)
    write_scores(columns, folder)
    return folder


def write_labels(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def winner_rows(
    wins: Vector, chosen: Sequence[int], annotator: str = "Ada"
) -> list[dict[str, str]]:
    """Rows of a file of labels for these items."""
    words = {1.0: "candidate", 0.5: "tie", 0.0: "baseline"}
    return [
        {"item": f"q{i}", "annotator": annotator, "winner": words[float(wins[i])]} for i in chosen
    ]
