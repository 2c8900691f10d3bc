"""Result files of simple-evals and promptfoo, and AlpacaEval's weighted preferences."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.artifacts.scores import read_scores
from harness.core.errors import HarnessError
from harness.interop.importing import import_records
from harness.scoring.columns import GradeColumn
from tests.builders.commands import harness_here
from tests.builders.foreign_logs import (
    all_results,
    annotation_row,
    answers_of,
    import_logs,
    promptfoo_file,
    promptfoo_row,
    rows_of,
    save,
    scores_of,
)

# --- AlpacaEval ------------------------------------------------------------------------------


def test_weighted_preferences_are_kept_as_published(tmp_path: Path) -> None:
    rows = [annotation_row(i, p) for i, p in enumerate([1.98, 1.25, 0, None])]
    found = import_logs(tmp_path, annotations=rows)
    assert found.metrics == ("preference", "win_rate")
    assert list(scores_of(tmp_path, "new_1", "preference").values()) == [1.98, 1.25, 1.5, None]
    assert set(scores_of(tmp_path, "ref", "preference").values()) == {1.5}
    assert "- 1\n    - 2\n" in (tmp_path / "study" / "suite.yaml").read_text()
    winners = rows_of(tmp_path / "study" / "preferences" / "new_1.jsonl")
    assert [row["winner"] for row in winners] == ["candidate", "baseline", "tie", None]
    assert any("discrete win rate" in note for note in found.notes)


@pytest.mark.parametrize("unreadable", [None, "2", 7, [1], float("nan")])
def test_a_preference_that_cannot_be_read_is_no_weight(tmp_path: Path, unreadable: Any) -> None:
    found = import_logs(tmp_path, a=[annotation_row(0, 2.0), annotation_row(1, unreadable)])
    assert found.metrics == ("win_rate",)
    assert not any("eighted" in note for note in found.notes)


def test_a_note_on_every_file_is_given_once(tmp_path: Path) -> None:
    rows = [annotation_row(0, 2.0)]
    found = import_logs(tmp_path, a=rows, b=[annotation_row(0, 1.0, generator_2="other")])
    assert sum("random order" in note for note in found.notes) == 1
    assert (tmp_path / "study" / "profile.yaml").read_text().count("random") == 1


# --- simple-evals ----------------------------------------------------------------------------


def test_conversations_of_simple_evals_are_items(tmp_path: Path) -> None:
    files = [
        save(tmp_path / f"mmlu_{model}_20250513_101010_allresults.json", all_results(scores))
        for model, scores in (("gpt-4o", [1.0, 0.0]), ("o3_high", [1.0, 1.0]))
    ]
    found = import_records(files, tmp_path / "study")
    assert (found.models, found.metrics) == (("gpt-4o", "o3_high"), ("score",))
    assert rows_of(tmp_path / "study" / "items.jsonl")[1]["reference"] == "1 & 1"
    assert list(answers_of(tmp_path, "o3_high").values()) == ["it is 0", "it is 1"]
    assert list(scores_of(tmp_path, "gpt-4o", "score").values()) == [1.0, 0.0]


def test_healthbench_has_its_scores_and_reasons_in_the_metadata(tmp_path: Path) -> None:
    graded = [{"criterion": "Names 911", "criteria_met": True, "explanation": "it does"}]
    details = [{"score": s, "prompt_id": "p1", "rubric_items": graded} for s in (-0.25, 0.5)]
    data = all_results([1.0, 1.0], metadata={"example_level_metadata": details})
    data["convos"] = data["convos"][:1] * 2
    import_logs(tmp_path, a=data)
    assert scores_of(tmp_path, "a", "score") == {"p1": -0.25, "p1#2": 0.5}
    assert rows_of(tmp_path / "study" / "items.jsonl")[1]["cluster"] == "p1"
    (first, _) = rows_of(tmp_path / "study" / "scores" / "a.jsonl")
    assert first["words"] == "[True] Names 911: it does"


HEALTHBENCH = [
    {"criterion": "Names 911", "points": 7, "tags": ["axis:accuracy"], "criteria_met": True},
    {"criterion": "Asks for age", "points": 3, "tags": [], "criteria_met": False},
    {"criterion": "Gives a dose", "points": -6, "tags": [], "criteria_met": True},
]


def healthbench(*met: bool | None) -> dict[str, Any]:
    graded = [c | {"criteria_met": m} for c, m in zip(HEALTHBENCH, met, strict=True)]
    details = [{"score": 0.1, "prompt_id": f"p{i}", "rubric_items": graded} for i in range(2)]
    return all_results([1.0, 1.0], metadata={"example_level_metadata": details})


def test_healthbench_verdicts_on_criteria_become_a_checklist(tmp_path: Path) -> None:
    a, b = healthbench(True, False, True), healthbench(True, True, None)
    assert import_logs(tmp_path, a=a, b=b).metrics == ("checklist",)
    (item, _) = rows_of(tmp_path / "study" / "items.jsonl")
    assert [c["points"] for c in item["rubrics"]] == [7, 3, -6]
    (first, _) = rows_of(tmp_path / "study" / "criteria" / "b.jsonl")
    assert first == {"id": "p0", "met": [True, True, None], "reason": None}


def test_an_imported_checklist_gives_the_scores_that_were_published(tmp_path: Path) -> None:
    import_logs(tmp_path, a=healthbench(True, False, True), b=healthbench(True, True, False))
    study = tmp_path / "study"
    done = harness_here(
        "run", "suite.yaml", "--profile", "profile.yaml", "--models", "a,b", cwd=study
    )
    assert done.returncode == 0, done.stderr
    found = {c.metric: c for c in read_scores(next(study.rglob("scores.parquet")).parent)}
    column = found["checklist"]
    assert isinstance(column, GradeColumn)
    assert column.scores["a"].tolist() == [0.1, 0.1]
    assert column.scores["b"].tolist() == [1.0, 1.0]


def test_criteria_that_differ_between_files_leave_the_scores_alone(tmp_path: Path) -> None:
    other = healthbench(True, False, True)
    other["metadata"]["example_level_metadata"][0]["rubric_items"][0]["points"] = 5
    found = import_logs(tmp_path, a=healthbench(True, False, True), b=other)
    assert found.metrics == ("score",)
    assert found.left_out["criteria that differ between files"] == 2


def test_a_bad_request_is_no_answer_of_the_model(tmp_path: Path) -> None:
    data = all_results([0.0, 1.0])
    data["convos"][0][1]["content"] = "No response (bad request)."
    found = import_logs(tmp_path, a=data)
    assert sorted(scores_of(tmp_path, "a", "score").values(), key=str) == [1.0, None]
    assert list(answers_of(tmp_path, "a").values()) == [None, "it is 1"]
    assert found.left_out == {"bad request: no answer and no score": 1}


def test_totals_point_to_the_file_that_has_the_answers(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="_allresults"):
        import_logs(tmp_path, a={"is_correct": 1.0, "score:std": 0.0, "score": 1.0})


# --- promptfoo -------------------------------------------------------------------------------


def test_providers_of_promptfoo_are_models(tmp_path: Path) -> None:
    rows = [promptfoo_row(i, p, passed=i != 1) for i in range(3) for p in ("openai:a", "openai:b")]
    found = import_logs(tmp_path, results=promptfoo_file(rows))
    assert (found.models, found.n_items) == (("openai_a", "openai_b"), 3)
    assert found.metrics == ("pass", "score", "tone")
    assert scores_of(tmp_path, "openai_b", "pass") == {"test-0": 1.0, "test-1": 0.0, "test-2": 1.0}
    item = rows_of(tmp_path / "study" / "items.jsonl")[0]
    assert item == {"id": "test-0", "input": "Answer: 0?", "reference": "4"}


def test_lines_of_promptfoo_are_read_too(tmp_path: Path) -> None:
    file = save(tmp_path / "r.jsonl", [promptfoo_row(0, "a"), promptfoo_row(0, "b")])
    assert import_records([file], tmp_path / "study").models == ("a", "b")


CSV_HEAD = ["question", "city", "[openai:a] Say it", "Status", "Score", "Named Scores", "Grader Reason",
            "Comment", "[openai:b] Say it", "Status", "Score", "Named Scores", "Grader Reason",
            "Comment"]  # fmt: skip
CSV_ROWS = [
    ["How?", "Bonn", "So,\n=1", "PASS", "1.00", '{"tone":0.5}', "fine", "", "No.", "FAIL", "0.25", "",
     "not equal", ""],
    ["Why?", "Köln", "Because", "FAIL", "0.00", "", "No", "", "HTTP 500", "ERROR", "0.00", "", "", ""],
]  # fmt: skip


def save_csv(path: Path, *rows: list[str]) -> str:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(rows)
    return str(path)


def test_promptfoos_csv_is_read(tmp_path: Path) -> None:
    found = import_records([save_csv(tmp_path / "r.csv", CSV_HEAD, *CSV_ROWS)], tmp_path / "study")
    assert found.models == ("openai_a", "openai_b")
    assert answers_of(tmp_path, "openai_a") == {"test-0": "So,\n=1", "test-1": "Because"}
    assert answers_of(tmp_path, "openai_b") == {"test-0": "No.", "test-1": None}
    assert scores_of(tmp_path, "openai_b", "score") == {"test-0": 0.25, "test-1": None}
    assert scores_of(tmp_path, "openai_a", "pass") == {"test-0": 1.0, "test-1": 0.0}
    assert rows_of(tmp_path / "study" / "items.jsonl")[1]["input"] == "question: Why?\ncity: Köln"
    assert any("two digits" in note for note in found.notes)


def test_promptfoos_csv_of_older_versions_is_read(tmp_path: Path) -> None:
    cells = [
        "[PASS] (1.00, tone: 0.50)\n\nSo it is.\n\nTwice.\n\nPass Reason: All assertions passed",
        "[FAIL] (0.25)\n\nNo.\n\nFail Reason: not equal",
        "[PASS] (1.00)\n\nYes.",
    ]
    rows = [[f"{i}?", cell] for i, cell in enumerate(cells)]
    file = save_csv(tmp_path / "r.csv", ["question", "[openai:a] Say it"], *rows)
    import_records([file], tmp_path / "study")
    assert answers_of(tmp_path, "openai_a") == {
        "test-0": "So it is.\n\nTwice.", "test-1": "No.", "test-2": "Yes.",
    }  # fmt: skip
    assert scores_of(tmp_path, "openai_a", "score") == {"test-0": 1, "test-1": 0.25, "test-2": 1}


@pytest.mark.parametrize("rows", [[], [["a", "b"], ["1", "2"]], [["q", "[note] x"], ["1", "2"]]])
def test_another_csv_is_none_of_the_formats(tmp_path: Path, rows: list[list[str]]) -> None:
    with pytest.raises(HarnessError, match="is none of"):
        import_records([save_csv(tmp_path / "r.csv", *rows)], tmp_path / "study")


def test_promptfoos_yaml_is_read_as_its_json(tmp_path: Path) -> None:
    asked = {"question": "12:30", "day": "2025-01-02", "ok": "yes"}
    rows = [promptfoo_row(i, p, vars=asked | {"i": i}) for i in range(2) for p in ("a", "b")]
    for row in rows:
        row["prompt"]["raw"] = "12:30 no"
    data = promptfoo_file(rows)
    (tmp_path / "json").mkdir()
    import_logs(tmp_path / "json", results=data)
    plain = json.dumps(data, indent=1).replace('"12:30"', "12:30").replace('"yes"', "yes")
    plain = plain.replace('"2025-01-02"', "2025-01-02")
    (tmp_path / "r.yaml").write_text(plain)  # JSON is YAML, and these are texts there
    import_records([str(tmp_path / "r.yaml")], tmp_path / "study")
    for name in ("items.jsonl", "answers/a.jsonl", "scores/b.jsonl"):
        expected = (tmp_path / "json" / "study" / name).read_text()
        assert (tmp_path / "study" / name).read_text() == expected


def test_aliases_of_yaml_are_read_unless_they_explode(tmp_path: Path) -> None:
    shared = yaml.safe_dump(promptfoo_file([promptfoo_row(0, p) for p in ("a", "b")]))
    row = promptfoo_row(0, "a")
    twice = yaml.safe_dump({"results": {"results": [row, row | {"provider": "b"}]}})
    for n, text in enumerate((shared, twice)):
        (tmp_path / f"{n}.yml").write_text(text)
        assert import_records([str(tmp_path / f"{n}.yml")], tmp_path / f"s{n}").models == ("a", "b")
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    (tmp_path / "bomb.yaml").write_text("\n".join(["l0: &l0 [x]", *levels]))
    with pytest.raises(HarnessError, match="aliases stand for more than"):
        import_records([str(tmp_path / "bomb.yaml")], tmp_path / "study")


def test_prompts_are_compared_where_there_are_several(tmp_path: Path) -> None:
    rows = [
        promptfoo_row(0, "a", prompt={"raw": f"{label}: 0?", "label": label})
        for label in ("short", "long")
    ]
    found = import_logs(tmp_path, results=promptfoo_file(rows))
    assert found.models == ("a_short", "a_long")
    assert rows_of(tmp_path / "study" / "items.jsonl")[0]["input"] == "0?"


def test_an_error_is_a_gap_and_a_failed_assertion_a_score(tmp_path: Path) -> None:
    error = {"failureReason": 2, "error": "HTTP 429", "response": None}
    rows = [promptfoo_row(0, "a", passed=False, error="not equal"), promptfoo_row(1, "a"),
            promptfoo_row(2, "a", passed=False, **error)]  # fmt: skip
    found = import_logs(tmp_path, results=promptfoo_file(rows))
    assert scores_of(tmp_path, "a", "pass") == {"test-0": 0.0, "test-1": 1.0, "test-2": None}
    failure = rows_of(tmp_path / "study" / "answers" / "a.jsonl")[2]["failure"]
    assert failure == "ended in an error: HTTP 429"
    assert found.left_out == {"ended in an error: no answer and no score": 1}


def test_repeated_tests_are_answers_to_one_item(tmp_path: Path) -> None:
    again = {"vars": {"question": "0?"}, "prompt": {"raw": "Answer: 0?", "label": "x"}}
    rows = [promptfoo_row(0, "a", **again), promptfoo_row(7, "a", **again)]
    import_logs(tmp_path, results=promptfoo_file(rows))
    items = rows_of(tmp_path / "study" / "items.jsonl")
    assert [(item["id"], item["cluster"]) for item in items] == [
        ("test-0", "test-0"), ("test-0#2", "test-0"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "grading",
    [{"reason": "No assertions"}, {"reason": "x", "metadata": {"graderError": True}}],
)
def test_what_no_assertion_decided_has_no_score(tmp_path: Path, grading: dict[str, Any]) -> None:
    rows = [promptfoo_row(0, "a", gradingResult=grading)]
    assert import_logs(tmp_path, results=promptfoo_file(rows)).metrics == ("win_rate",)


def test_results_without_numbers_are_joined_by_their_variables(tmp_path: Path) -> None:
    rows = [promptfoo_row(i, p) for p in ("a", "b") for i in (0, 1, 1)]
    for row in rows:
        del row["testIdx"], row["promptIdx"], row["failureReason"]
    found = import_logs(tmp_path, results={"version": 2, "results": rows, "table": {}})
    assert (found.models, found.n_items) == (("a", "b"), 3)
    items = rows_of(tmp_path / "study" / "items.jsonl")
    assert len({item["cluster"] for item in items}) == 2
