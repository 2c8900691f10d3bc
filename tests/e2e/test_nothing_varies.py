"""Runs in which nothing varies: their intervals have some width, as the gate's bounds have."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders.commands import harness_here
from tests.builders.recorded import write_rows

SUITE = """\
suite: even
data:
  slices: [ward]
  source: {path: items.jsonl, fields: {id: id, input: question%s}}
metrics:
  win: {kind: pairwise, asks: Which is better}
  rubric: {kind: rubric, scale: %s, criteria: [{name: safety, asks: Is it safe}]}
gate:
  claims:
    - {metric: win, claim: equivalent, margin: 0.4}
    - {metric: rubric.safety, claim: equivalent, margin: 0.4}
"""


def _intervals(value: object, path: str = "") -> Iterator[tuple[str, float, float]]:
    """Yield path and limits of every interval in a JSON value."""
    if isinstance(value, dict):
        if {"low", "high", "estimate"} <= value.keys():
            yield path, value["low"], value["high"]
        for key, inner in value.items():
            yield from _intervals(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _intervals(inner, f"{path}.{i}")


def _write(folder: Path, n: int, *, cluster: bool, scale: str, score: int) -> None:
    ids = [f"q{i}" for i in range(n)]
    write_rows(
        folder / "items.jsonl",
        [{"id": i, "question": f"May I {i}?", "case": f"c{k // 3}", "ward": "a"}
         for k, i in enumerate(ids)],
    )  # fmt: skip
    for model in ("old", "new"):
        write_rows(folder / f"{model}.jsonl", [{"id": i, "answer": f"{model} yes"} for i in ids])
    write_rows(folder / "wins.jsonl", [{"id": i, "winner": "tie"} for i in ids])
    write_rows(folder / "grades.jsonl", [{"id": i, "safety": score} for i in ids])
    suite = SUITE % (", cluster: case" if cluster else "", scale)
    (folder / "suite.yaml").write_text(suite)
    answers = "recorded: {path: %s.jsonl, fields: {id: id, response: answer}}"
    graded = "{path: grades.jsonl, fields: {id: id, safety: safety}}"
    ties = "path: wins.jsonl, order: %s, fields: {id: id, winner: winner}"
    (folder / "profile.yaml").write_text(
        f"profile: even\nmodels:\n  old: {{{answers % 'old'}}}\n  new: {{{answers % 'new'}}}\n"
        "judges:\n  default:\n    recorded:\n"
        f"      win: {{new: {{{ties % 'baseline_first'}}}}}\n"
        f"      rubric: {{old: {graded}, new: {graded}}}\n"
    )


@pytest.mark.parametrize(
    ("n", "cluster", "scale", "score"),
    [
        (100, False, "[1, 10]", 7),
        (40, False, "[1, 10]", 10),
        (40, False, "[0, 1]", 1),
        (36, True, "[1, 10]", 7),
        (36, True, "[0, 1]", 0),
        (1, False, "[1, 10]", 7),
    ],
)
def test_no_interval_of_a_result_has_width_zero(
    tmp_path: Path, n: int, cluster: bool, scale: str, score: int
) -> None:
    _write(tmp_path, n, cluster=cluster, scale=scale, score=score)
    done = harness_here(
        "run", "suite.yaml", "--models", "old,new", "--profile", "profile.yaml",
        "--format", "json", "--limit", str(n), cwd=tmp_path,
    )  # fmt: skip
    assert "folder" in done.stdout, done.stderr
    folder = tmp_path / json.loads(done.stdout)["folder"]
    found = list(_intervals(json.loads((folder / "results.json").read_text())))
    assert any(path.startswith(".comparisons.0.difference") for path, _, _ in found)
    assert [path for path, low, high in found if not low < high] == []


def test_yes_or_no_scores_are_not_called_saturated_nor_listed_twice(tmp_path: Path) -> None:
    _write(tmp_path, 40, cluster=False, scale="[0, 1]", score=1)
    done = harness_here(
        "run", "suite.yaml", "--models", "old,new", "--profile", "profile.yaml",
        "--limit", "40", "--format", "json", cwd=tmp_path,
    )  # fmt: skip
    folder = tmp_path / json.loads(done.stdout)["folder"]
    report = (folder / "report.md").read_text()
    assert "top tenth" not in report
    assert "| rubric.safety | 1.00" in report
    assert "| rubric.composite |" not in report
    assert "| Metric | Baseline | Candidate | Estimate |" in report
