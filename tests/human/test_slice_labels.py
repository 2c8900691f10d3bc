"""Slices corrected by people's labels, from recorded verdicts and a file of labels to the report."""

import csv
from pathlib import Path

import numpy as np
import pytest

from harness.config.request import load_request
from harness.core.progress import QuietProgress
from harness.runs.run import run_suite
from harness.training.context import make_context
from harness.types import SliceComparison
from tests.builders.files import write, write_rows

SUITE = """\
suite: wards
data: {source: {path: items.jsonl, fields: {id: id, input: question}}, slices: [ward]}
metrics:
  rubric: {kind: rubric, criteria: [{name: safety, asks: Safe or not}]}
gate: {claims: [{metric: rubric.safety, claim: superior}]}
"""
PROFILE = """\
profile: recorded
models:
  old: {recorded: {path: old.jsonl, fields: {id: id, response: text}}}
  new: {recorded: {path: new.jsonl, fields: {id: id, response: text}}}
judges:
  default:
    calibrated_by: {labels: labels.csv, drawn: random}
    recorded:
      rubric:
        old: {path: old.jsonl, fields: {id: id, safety: judged}}
        new: {path: new.jsonl, fields: {id: id, safety: judged}}
"""
WARDS = ("skin", "heart", "rare")
SIZES = (100, 100, 20)


def ward(item: int) -> int:
    return int(np.searchsorted(np.cumsum(SIZES), item, side="right"))


def sliced(folder: Path) -> tuple[dict[str, SliceComparison], str]:
    """Run a judge that adds two points to the new model's answers about the heart, half of all labelled."""
    rng = np.random.default_rng(3)
    n = sum(SIZES)
    items = [{"id": f"q{i}", "question": f"Why {i}?", "ward": WARDS[ward(i)]} for i in range(n)]
    write_rows(folder / "items.jsonl", items)
    old = rng.integers(4, 7, n)
    new = old + rng.integers(-1, 2, n)
    judged = {"old": old, "new": new + 2 * np.array([ward(i) == 1 for i in range(n)])}
    for model, scores in judged.items():
        rows = [{"id": f"q{i}", "text": f"{model} {i}", "judged": int(s)} for i, s in enumerate(scores)]  # fmt: skip
        write_rows(folder / f"{model}.jsonl", rows)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "annotator", "model", "safety"])
        for i in range(0, n, 2):
            writer.writerows((f"q{i}", "Ada", m, int(s[i])) for m, s in (("old", old), ("new", new)))  # fmt: skip
    names = str(write(folder / "w.yaml", SUITE)), str(write(folder / "p.yaml", PROFILE))
    context = make_context(folder / "store", QuietProgress())
    done = run_suite(load_request(*names, ["old", "new"]), context, out=folder / "runs")
    return {line.value: line for line in done.result.slices}, (done.folder / "report.html").read_text()  # fmt: skip


def test_a_judge_that_leans_on_one_slice_is_corrected_there_by_its_labels(tmp_path: Path) -> None:
    found, report = sliced(tmp_path)
    heart, skin = found["heart"], found["skin"]
    assert heart.difference is not None
    assert heart.difference.low > 1  # by the judge
    assert heart.corrected is not None
    assert heart.corrected.low < 0 < heart.corrected.high < 2
    assert (heart.n_labels, skin.n_labels) == (50, 50)
    assert skin.corrected is not None
    assert skin.difference is not None
    assert skin.corrected.estimate == pytest.approx(skin.difference.estimate, abs=0.1)
    assert "50 labels" in report


def test_a_slice_with_few_labels_says_so_and_is_not_corrected(tmp_path: Path) -> None:
    found, report = sliced(tmp_path)
    assert (found["rare"].n_labels, found["rare"].corrected) == (10, None)
    assert "10 labels, not corrected" in report
