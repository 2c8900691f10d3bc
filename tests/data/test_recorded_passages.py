"""Passages that recorded answers were given: how they are read, and judged."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import HarnessError
from harness.data.recorded_passages import read_passages
from tests.builders.commands import Done, harness_here
from tests.builders.files import write, write_rows


def test_texts_and_objects_are_passages_in_their_order() -> None:
    texts = read_passages(["Rest helps.", "Ice helps."], "f:1")
    named = read_passages('[{"id": "leaflet", "text": "Rest helps."}]', "f:1")
    assert [(p.rank, p.document, p.text) for p in (*texts, *named)] == [
        (1, "passage 1", "Rest helps."),
        (2, "passage 2", "Ice helps."),
        (1, "leaflet", "Rest helps."),
    ]
    assert read_passages([], "f:1") == ()


@pytest.mark.parametrize(
    "cell", [None, "", "Rest helps.", {"text": "Rest"}, [" "], [{"id": "a"}], [3]]
)
def test_what_is_no_list_of_texts_is_refused_with_its_place(cell: object) -> None:
    with pytest.raises(HarnessError, match=r"^f:1: .*passage"):
        read_passages(cell, "f:1")


SUITE = """\
suite: answered
data:
  source: {path: items.jsonl, fields: {id: id, input: question}}
metrics:
  grounded: {kind: grounded}
  cited: {kind: citation}
"""
PROFILE = """\
profile: there
models:
  old: {recorded: {path: items.jsonl, fields: {id: id, response: old, passages: none}}}
  new: {recorded: {path: items.jsonl, fields: {id: id, response: new, passages: contexts}}}
judges:
  default: {offline: consumer_health}
"""


def run(folder: Path, profile: str = PROFILE) -> Done:
    items: list[dict[str, Any]] = [
        {
            "id": f"q{n}",
            "question": "What helps a sprain?",
            "old": "Rest helps a sprain.",
            "none": [],
            "new": "Rest helps a sprained ankle [1]. Ice helps a sprained ankle [1].",
            "contexts": ["Rest helps a sprained ankle.", "Ice helps a sprained ankle."],
        }
        for n in range(12)
    ]
    write_rows(folder / "items.jsonl", items)
    write(folder / "suite.yaml", SUITE)
    write(folder / "there.yaml", profile)
    command = ("run", "suite.yaml", "--models", "old,new", "--profile", "there.yaml")
    return harness_here(*command, cwd=folder)


def test_recorded_answers_are_judged_against_the_passages_recorded_with_them(
    tmp_path: Path,
) -> None:
    done = run(tmp_path)
    assert done.returncode in {0, 1, 3}, done.stderr
    result = json.loads(next(tmp_path.rglob("results.json")).read_text())
    scores = {(s["metric"], s["model"]): s["mean"]["estimate"] for s in result["scores"]}
    assert scores == {
        ("grounded", "old"): 0.0,
        ("grounded", "new"): 1.0,
        ("cited", "old"): 0.0,
        ("cited", "new"): 0.5,
    }


def test_without_their_column_they_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, PROFILE.replace(", passages: none", ""))
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert (
        "recorded answers of 'old' are not known. Name their column in 'fields: {passages: …}'"
        in said
    )
