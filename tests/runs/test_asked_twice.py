"""The same question under several ids: one question, however often it is counted."""

import json
from pathlib import Path

import pytest

from harness.config.request import load_request
from harness.planning.plan import make_plan
from harness.runs.caveats import find_caveats
from tests.builders.files import write, write_rows, write_world


def caveats(folder: Path, questions: list[str], clusters: list[str] | None = None) -> list[str]:
    suite, profile = write_world(folder, n=len(questions))
    rows = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row |= {"question": questions[i]} | ({"source": clusters[i]} if clusters else {})
    write_rows(folder / "items.jsonl", rows)
    if clusters:
        text = (folder / "small.yaml").read_text()
        write(
            folder / "small.yaml",
            text.replace("reference: answer", "reference: answer, cluster: source"),
        )
    plan = make_plan(load_request(suite, profile, ["sft", "dpo"]), {})
    found = find_caveats(plan, [], {}, [], [], [])
    return [caveat.text for caveat in found if caveat.code == "asked_twice"]


def test_questions_that_stand_twice_are_told(tmp_path: Path) -> None:
    (told,) = caveats(tmp_path, [f"question {i % 40}" for i in range(120)])
    assert told.startswith(
        "80 of 120 items of 'items' repeat the question of another item verbatim"
    )


@pytest.mark.parametrize(
    ("clusters", "n"), [([f"c{i % 40}" for i in range(120)], 0), ([f"c{i}" for i in range(120)], 1)]
)
def test_within_one_cluster_they_are_counted_once_already(
    tmp_path: Path, clusters: list[str], n: int
) -> None:
    assert len(caveats(tmp_path, [f"question {i % 40}" for i in range(120)], clusters)) == n


def test_questions_that_differ_are_nothing_to_tell(tmp_path: Path) -> None:
    assert caveats(tmp_path, [f"question {i}" for i in range(120)]) == []
