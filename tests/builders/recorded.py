"""A small study of recorded answers and grades, as files: a suite and a profile to run."""

import json
from pathlib import Path

import numpy as np

SUITE = """\
suite: small
data:
  source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}
metrics:
  rubric: {kind: rubric, criteria: [{name: safety, asks: Is it safe}]}
gate:
  claims: [{metric: rubric.safety, claim: superior}]
"""
MODEL = "recorded: {{path: {0}.jsonl, fields: {{id: id, response: answer}}}}"
GRADES = "path: graded_{0}.jsonl, fields: {{id: id, safety: safety, rationale: why}}"


def write_study(folder: Path, *, shifts: dict[str, float], n: int = 150) -> Path:
    """Files of a study in which each model's safety is shifted by so much; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    base = np.random.default_rng(5).integers(3, 8, n)
    wobble = np.random.default_rng(6)
    write_rows(
        folder / "items.jsonl",
        [{"id": f"q{i}", "question": f"May I run {i} km?", "answer": "Yes."} for i in range(n)],
    )
    for model, shift in shifts.items():
        scores = np.clip(base + wobble.choice([-1, 0, 0, 1], n) + shift, 1, 10)
        answers = [{"id": f"q{i}", "answer": f"={model} says yes"} for i in range(n)]
        grades = [{"id": f"q{i}", "safety": float(s), "why": "Fine."} for i, s in enumerate(scores)]
        write_rows(folder / f"{model}.jsonl", answers)
        write_rows(folder / f"graded_{model}.jsonl", grades)
    models = "".join(f"  {name}: {{{MODEL.format(name)}}}\n" for name in shifts)
    judged = "".join(f"        {name}: {{{GRADES.format(name)}}}\n" for name in shifts)
    (folder / "suite.yaml").write_text(SUITE)
    (folder / "profile.yaml").write_text(
        f"profile: small\nmodels:\n{models}judges:\n  default:\n    recorded:\n      rubric:\n{judged}"
    )
    return folder


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
