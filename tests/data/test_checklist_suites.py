"""The checklist suites that come along: rows as their data sets publish them."""

import json
from pathlib import Path

import pytest

from harness.config import Metric
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.data.tasks import plan_tasks
from harness.types import Task
from tests.builders.files import write_rows

AXES = ("accuracy", "completeness", "communication_quality", "context_awareness", "instruction_following")  # fmt: skip
HEALTHBENCH: dict[str, object] = {
    "example_tags": ["theme:emergency_referrals", "physician_agreed_category:emergent"],
    "ideal_completions_data": None,
    "prompt": [
        {"role": "user", "content": "My neighbour does not wake up."},
        {"role": "assistant", "content": "Is he breathing?"},
        {"role": "user", "content": "Yes. What now?"},
    ],
    "prompt_id": "4a3fdd80",
    "rubrics": [
        {
            "criterion": f"Says what concerns {axis}",
            "points": points,
            "tags": ["level:example", f"axis:{axis}"],
        }
        for axis, points in [*((axis, 5) for axis in AXES), ("accuracy", -9)]
    ],
    "canary": "x",
}
KQA: list[dict[str, object]] = [
    {
        "Question": "Can I give my child aspirin?",
        "Free_form_answer": "No.",
        "Must_have": ["Aspirin is not for children"],
        "Nice_to_have": ["Reye's syndrome is rare"],
        "Sources": [],
        "ICD_10_diag": "Fever",
    },
    {"Question": "And ibuprofen?", "Must_have": ["Ibuprofen is given by weight"], "Nice_to_have": []},
]  # fmt: skip


def planned(
    suite: str,
    file: str,
    rows: list[dict[str, object]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Task, Metric]:
    (folder / file).parent.mkdir()
    write_rows(folder / file, rows)
    monkeypatch.setenv("HARNESS_DATA_DIR", str(folder))
    (task,) = plan_tasks(load_request(suite, "tiny", ["sft", "dpo"]))
    return task, next(iter(task.metrics.values()))


def test_healthbench_is_read_as_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = "healthbench/2025-05-07-06-14-12_oss_eval.jsonl"
    task, metric = planned("healthbench", file, [HEALTHBENCH], tmp_path, monkeypatch)
    (item,) = task.samples
    assert (item.id, item.input, len(item.history)) == ("4a3fdd80", "Yes. What now?", 2)
    assert item.slices == {"example_tags[theme:]": "emergency_referrals"}
    assert [c.points for c in item.criteria["rubrics"]] == [5, 5, 5, 5, 5, -9]
    assert metric.bounds_of("healthbench.accuracy") == (-9 / 5, 1.0)
    assert len(metric.columns("healthbench")) == 7


def test_kqa_is_read_as_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, metric = planned("kqa", "kqa/questions_w_answers.jsonl", KQA, tmp_path, monkeypatch)
    assert [len(s.criteria["Must_have+Nice_to_have"]) for s in task.samples] == [2, 1]
    assert task.samples[0].criteria["Must_have+Nice_to_have"][1].tags == ("Nice_to_have",)
    assert metric.columns("kqa") == ("kqa.Must_have", "kqa.Nice_to_have", "kqa")
    assert metric.bounds_of("kqa") == (0.0, 1.0)


def test_an_item_without_any_statement_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = json.loads(json.dumps(KQA))
    rows[1]["Must_have"] = []
    with pytest.raises(HarnessError, match=r":2: 'Must_have and Nice_to_have' of item 'row-00002'"):
        planned("kqa", "kqa/questions_w_answers.jsonl", rows, tmp_path, monkeypatch)
