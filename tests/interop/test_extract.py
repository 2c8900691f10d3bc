"""What is given out of a run: CSV that no spreadsheet runs, and logs that Inspect reads."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.answers import ANSWERS_FILE, write_answers
from harness.artifacts.csv_export import escape_formula, write_csv_files
from harness.artifacts.judgements import write_judgements
from harness.artifacts.parquet import string_array, write_parquet
from harness.artifacts.run_folder import Run
from harness.config import PairwiseMetric
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.data.tasks import plan_tasks
from harness.interop.importing import import_records
from harness.interop.inspect_export import write_inspect_logs
from harness.runs.run import run_suite
from harness.training.context import make_context
from harness.types import Grade, JudgeCard, Preference, Response, Sample
from harness.types.judgements import JudgeRound
from tests.builders.recorded import write_rows, write_study
from tests.builders.scored import N, grades, make_run, wins
from tests.builders.sealed import write_whole_run

WHEN = "2026-01-02T03:04:05+00:00"
CARD = JudgeCard(name="large", nature="n", fingerprint="f")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with its tables; one score is missing, one answer too, and one text is a formula."""
    import pyarrow as pa

    column = grades()
    column.scores["dpo"][3] = np.nan
    column.reasons["dpo"][3] = "refused: no"
    rows = [(f"q{i}", model) for i in range(N) for model in ("sft", "dpo")]
    texts = [None if row == ("q5", "dpo") else f"=cmd({row[0]})" for row in rows]
    table = {
        "task": string_array(["questions"] * len(rows)),
        "sample_id": string_array([key for key, _ in rows]),
        "model": string_array([model for _, model in rows]),
        "input": string_array([f"{key}?" for key, _ in rows]),
        "reference": string_array([None] * len(rows)),
        "text": string_array(texts),
        "reason": string_array([None] * len(rows)),
    }
    write_parquet(pa.table(table), tmp_path / ANSWERS_FILE)
    grade = Grade(
        sample_id="q1", model="dpo", metric="rubric", values={"safety": 7.0}, rationale="-fine"
    )
    pair = Preference(
        sample_id="q1", baseline="sft", candidate="dpo", metric="win_rate",
        order="baseline_first", winner="candidate", rationale="warmer",
    )  # fmt: skip
    write_judgements([JudgeRound(CARD, 0, [grade]), JudgeRound(CARD, 0, [pair])], tmp_path)
    made = make_run(column, wins())
    (task,) = made.result.plan.tasks
    metrics = task.metrics | {"win_rate": PairwiseMetric(kind="pairwise", asks="Better?")}
    plan = made.result.plan.model_copy(
        update={"tasks": (task.model_copy(update={"metrics": metrics}),)}
    )
    known: dict[str, object] = {"plan": plan, "started": WHEN, "finished": WHEN}
    made = made._replace(folder=tmp_path, result=made.result.model_copy(update=known))
    write_whole_run(made, tmp_path)
    return made


def read_log(folder: Path, model: str) -> dict[str, Any]:
    [path] = folder.glob(f"2026-01-02T03-04-05+00-00_questions_{model}_*.json")
    return dict(json.loads(path.read_text()))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"), ("\rx", "'\rx"), ("\nx", "'\nx"), ("\uff1d1", "'\uff1d1"),
        ("a=1", "a=1"), ("", ""), ("'=1", "'=1"),
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str, cell: str) -> None:
    assert escape_formula(text) == cell


def test_every_table_becomes_a_csv_file(run: Run, tmp_path: Path) -> None:
    files = write_csv_files(run.folder, tmp_path / "csv")
    assert [(f.path.name, f.n_rows) for f in files] == [
        ("scores.csv", 4 * N), ("judgements.csv", 2), ("answers.csv", 2 * N),
    ]  # fmt: skip
    assert [f.n_escaped for f in files] == [0, 1, 2 * N - 1]
    answers = rows_of(tmp_path / "csv" / "answers.csv")
    assert {row["text"][:2] for row in answers} == {"'=", ""}
    assert (tmp_path / "csv" / "answers.csv").stat().st_mode & 0o077 == 0


def test_the_items_own_columns_stand_in_every_file(tmp_path: Path) -> None:
    study = write_study(tmp_path, shifts={"sft": 0.0, "dpo": 1.0})
    suite, items = study / "suite.yaml", study / "items.jsonl"
    rows = [json.loads(line) for line in items.read_text().splitlines()]
    topics = {row["id"]: f"Zähne {i % 3}" for i, row in enumerate(rows)}
    write_rows(items, [row | {"topic": topics[row["id"]], "by": "=Ada"} for row in rows])
    plain = load_request(str(suite), str(study / "profile.yaml"), ["sft", "dpo"])
    columns = "  slices: [topic]\n  keep: [by]\nmetrics:"
    suite.write_text(suite.read_text().replace("metrics:", columns))
    request = load_request(str(suite), str(study / "profile.yaml"), ["sft", "dpo"])
    kept = plan_tasks(request)[0]
    assert kept.items_hash == plan_tasks(plain)[0].items_hash
    context = make_context(tmp_path / "store", QuietProgress())
    finished = run_suite(request, context, out=tmp_path / "runs")
    write_csv_files(finished.folder, tmp_path / "csv")
    for name in ("scores", "judgements", "answers"):
        path = tmp_path / "csv" / f"{name}.csv"
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        for row in rows_of(path):
            assert row["item.topic"] == topics[row["sample_id"]]
            assert row["item.by"] == "'=Ada"


def test_a_column_to_keep_must_exist(tmp_path: Path) -> None:
    study = write_study(tmp_path, shifts={"sft": 0.0, "dpo": 1.0})
    suite = study / "suite.yaml"
    suite.write_text(suite.read_text().replace("metrics:", "  keep: [quest]\nmetrics:"))
    request = load_request(str(suite), str(study / "profile.yaml"), ["sft", "dpo"])
    with pytest.raises(HarnessError, match=r"no column 'quest' for the columns to keep"):
        plan_tasks(request)


def test_a_missing_score_is_an_empty_cell_beside_its_reason(run: Run, tmp_path: Path) -> None:
    write_csv_files(run.folder, tmp_path / "csv")
    (gap,) = [row for row in rows_of(tmp_path / "csv" / "scores.csv") if row["reason"]]
    assert (gap["sample_id"], gap["score"], gap["reason"]) == ("q3", "", "refused: no")


def test_a_run_without_a_table_says_what_makes_it(run: Run, tmp_path: Path) -> None:
    (run.folder / ANSWERS_FILE).unlink()
    with pytest.raises(HarnessError, match="Run `harness run` again"):
        write_csv_files(run.folder, tmp_path / "csv")


def test_an_inspect_log_holds_scores_words_and_reasons(run: Run, tmp_path: Path) -> None:
    write_inspect_logs(run, tmp_path / "logs")
    log = read_log(tmp_path / "logs", "dpo")
    samples = {sample["id"]: sample for sample in log["samples"]}
    assert samples["q1"]["scores"]["rubric.safety"]["explanation"] == "large: -fine"
    assert samples["q1"]["scores"]["win_rate against sft"] == {
        "value": 1.0, "explanation": "large: warmer",
    }  # fmt: skip
    assert "rubric.safety" not in samples["q3"]["scores"]
    assert samples["q3"]["metadata"] == {"unscored": {"rubric.safety": "refused: no"}}
    assert samples["q5"]["output"]["choices"] == []


def test_what_is_given_out_to_inspect_can_be_brought_in_again(run: Run, tmp_path: Path) -> None:
    logs = write_inspect_logs(run, tmp_path / "logs")
    found = import_records([str(log.path) for log in logs], tmp_path / "study")
    assert (found.models, found.n_items) == (("sft", "dpo"), N)
    rows = (tmp_path / "study" / "scores" / "sft.jsonl").read_text().splitlines()
    scores = [json.loads(row)["rubric_safety"] for row in rows]
    column = run.columns[0]
    assert scores == column.scores["sft"].tolist()  # type: ignore[union-attr]


def test_each_table_is_a_data_frame(run: Run) -> None:
    assert list(run.to_pandas("judgements")["value.safety"].dropna()) == [7.0]
    assert len(run.to_pandas("answers")) == 2 * N
    assert int(run.to_pandas()["score"].isna().sum()) == 1


def test_several_references_are_several_targets(run: Run, tmp_path: Path) -> None:
    (task,) = run.result.plan.tasks
    samples = (
        Sample(id="q0", input="?", row=0, reference="Any one of these: …", references=("A", "B")),
        *(Sample(id=f"q{i}", input="?", row=i, reference="C") for i in range(1, N)),
    )
    answers = {
        model: {
            s.id: Response(sample_id=s.id, model=model, text="A", finish="recorded")
            for s in samples
        }
        for model in ("sft", "dpo")
    }
    write_answers([(task.model_copy(update={"samples": samples}), answers)], run.folder)
    write_inspect_logs(run, tmp_path / "logs")
    log = read_log(tmp_path / "logs", "dpo")
    assert [sample["target"] for sample in log["samples"][:2]] == [["A", "B"], "C"]
