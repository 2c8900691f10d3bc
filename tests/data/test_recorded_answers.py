"""Recorded answers: a missing one is the model's failure, unless its file says otherwise."""

from pathlib import Path

import pytest

from harness.config import RecordedAnswers
from harness.data.recorded import RecordedModel, read_responses
from harness.types import Response
from tests.builders.files import write_rows
from tests.builders.score_tasks import RUBRIC, task


def read(folder: Path, *rows: dict[str, object]) -> dict[str, Response]:
    write_rows(folder / "a.jsonl", rows)
    fields = {"id": "id", "response": "text", "failure": "failure"}
    recorded = RecordedAnswers(path="a.jsonl", fields=fields)
    return read_responses(task(RUBRIC), RecordedModel("new", recorded, folder))


@pytest.mark.parametrize("text", ["an answer of a broken sandbox", "", None])
def test_an_answer_that_does_not_count_is_a_failed_request(
    tmp_path: Path, text: str | None
) -> None:
    rows = [{"id": f"q{i}", "text": "fine", "failure": None} for i in range(3)]
    rows[1] |= {"text": text, "failure": "invalidated: broken sandbox"}
    responses = read(tmp_path, *rows)
    assert responses["q1"].request_failed
    assert responses["q1"].reason == "recorded failure: invalidated: broken sandbox"
    assert responses["q1"].text is None
    assert not responses["q0"].request_failed


def test_a_missing_answer_without_a_failure_is_the_models(tmp_path: Path) -> None:
    rows = [{"id": f"q{i}", "text": None, "failure": ""} for i in range(3)]
    response = read(tmp_path, *rows)["q0"]
    assert (response.text, response.request_failed) == (None, False)
