"""Recorded verdicts on the statements of an answer: which row is about which, and what needs none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import RecordedVerdicts, SupportMetric
from harness.core.errors import HarnessError
from harness.types import Outcome
from judges.checklist import requests_on_criteria
from judges.recorded import RecordedJudge
from tests.builders.commands import Done, harness_here
from tests.builders.files import write, write_rows
from tests.builders.judge_requests import grade
from tests.judges.test_support import CITATION, GROUNDED, TEXTS, passages

ANSWER = "Asthma swells the airways [1]. Rest helps most people."
FIRST, SECOND = "Asthma swells the airways.", "Rest helps most people."
BY_WORDS, BY_PLACE = {"statement": "text"}, {"place": "n"}


def recorded(folder: Path, rows: list[dict[str, object]], **fields: str) -> RecordedJudge:
    write_rows(folder / "v.jsonl", [{"id": "item-1", **row} for row in rows])
    spec = {"path": "v.jsonl", "fields": {"id": "id", "supported": "ok", **fields}}
    verdicts = RecordedVerdicts.model_validate(spec)
    return RecordedJudge("kept", {"m": {"sft": verdicts}}, root=folder)


def outcomes(
    judge: RecordedJudge,
    answer: str = ANSWER,
    *,
    metric: SupportMetric = GROUNDED,
    model: str = "sft",
    texts: tuple[str, ...] = (),
) -> list[Outcome]:
    request = replace(grade(answer, metric), model=model, passages=passages(*texts))
    return [outcome for _, outcome in judge.judge(requests_on_criteria(request))]


def verdicts(
    folder: Path, rows: list[dict[str, object]], **fields: str
) -> list[dict[str, float] | str | None]:
    return [given.values or given.reason for given in outcomes(recorded(folder, rows, **fields))]


@pytest.mark.parametrize(
    ("fields", "rows"),
    [
        (BY_WORDS, [{"text": SECOND.upper(), "ok": 0}, {"text": FIRST, "ok": True}]),
        (BY_WORDS, [{"text": f"- {FIRST} [1]", "ok": 1}, {"text": SECOND, "ok": "false"}]),
        (BY_PLACE, [{"n": 1, "ok": "FALSE"}, {"n": "0", "ok": "true"}]),
        ({}, [{"ok": [True, False]}]),
        (BY_WORDS, [{"ok": [False, True], "text": [SECOND, FIRST]}]),
    ],
)
def test_rows_and_lists_are_about_their_statements(
    tmp_path: Path, fields: dict[str, str], rows: list[dict[str, object]]
) -> None:
    assert verdicts(tmp_path, rows, **fields) == [{"met": 1.0}, {"met": 0.0}]


def test_what_is_not_recorded_or_not_readable_has_its_reason(tmp_path: Path) -> None:
    assert verdicts(tmp_path, [{"text": FIRST, "ok": "perhaps"}], **BY_WORDS) == [
        "recorded ok 'perhaps' is none of 1, true, 0, false",
        "not recorded",
    ]


def test_a_list_of_another_length_is_about_no_statement_and_its_line_is_named(
    tmp_path: Path,
) -> None:
    for given in outcomes(recorded(tmp_path, [{"ok": [True]}])):
        assert given.reason == "not recorded"
        assert "v.jsonl:1: has 1 verdicts" in (given.rationale or "")


@pytest.mark.parametrize(
    ("fields", "row", "message"),
    [
        (BY_WORDS, {"text": FIRST, "ok": 1}, r"v\.jsonl:2: the id 'item-1'.*stands twice"),
        (BY_WORDS, {"text": " ", "ok": 1}, r"v\.jsonl:1: has no 'text' to find the statement by"),
        (BY_PLACE, {"n": "first", "ok": 1}, r"v\.jsonl:1:.*no number of a row"),
        ({}, {"text": FIRST, "ok": 1}, r"v\.jsonl:2:.*stands twice.*'statement' is the column"),
    ],
)
def test_a_row_about_no_statement_or_one_that_has_a_row_is_refused_with_its_line(
    tmp_path: Path, fields: dict[str, str], row: dict[str, object], message: str
) -> None:
    with pytest.raises(HarnessError, match=message):
        recorded(tmp_path, [row, row], **fields)


def test_one_verdict_is_not_taken_for_all_statements(tmp_path: Path) -> None:
    with pytest.raises(
        HarnessError, match=r"v\.jsonl:1: 'ok' is no list. No field says which state"
    ):
        outcomes(recorded(tmp_path, [{"ok": True}]))


def test_verdicts_without_their_column_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "v.jsonl", [{"id": "item-1", "n": 0}])
    spec = RecordedVerdicts.model_validate({"path": "v.jsonl", "fields": {"id": "id"}})
    kept = RecordedJudge("kept", {"m": {"sft": spec}}, root=tmp_path)
    with pytest.raises(HarnessError, match="'fields' has no column for 'supported'"):
        outcomes(kept)


def test_an_answer_without_statements_needs_no_row(tmp_path: Path) -> None:
    (given,) = outcomes(recorded(tmp_path, [{"ok": [True]}]), "Yes.")
    assert given.reason == "nothing said: the answer has no statement"


def test_a_statement_that_cites_nothing_needs_no_row_and_one_that_cites_does(
    tmp_path: Path,
) -> None:
    kept = recorded(tmp_path, [{"text": "Another one of these.", "ok": 1}], **BY_WORDS)
    cites, none = outcomes(kept, metric=CITATION)
    assert (cites.values, cites.reason) == (None, "not recorded")
    assert none.values == {"met": 0.0}


def test_a_model_without_passages_needs_no_file_and_one_with_them_does(tmp_path: Path) -> None:
    kept = recorded(tmp_path, [{"ok": [True, True]}])
    assert [given.values for given in outcomes(kept, model="closed")] == [{"met": 0.0}] * 2
    with pytest.raises(HarnessError, match="no verdicts on model 'open'"):
        outcomes(kept, model="open", texts=TEXTS)


SUITE = """\
suite: answered
data:
  source: {path: items.jsonl, fields: {id: id, input: question}}
metrics:
  grounded: {kind: grounded}
gate: {claims: [{metric: grounded, claim: superior}]}
"""
PROFILE = """\
profile: there
models:
  old: {recorded: {path: items.jsonl, fields: {id: id, response: old}}}
  new: {recorded: {path: items.jsonl, fields: {id: id, response: new}}}
judges:
  default:
    recorded:
      grounded:
        old: {path: old.jsonl, fields: {id: id, statement: text, supported: ok}}
        new: {path: new.jsonl, fields: {id: id, supported: "claims[].ok", statement: "claims[].text"}}
"""


def run_recorded(folder: Path, profile: str) -> Done:
    """Run 40 items: of two statements each, the old model has none that is supported, the new one has one."""
    names = [f"q{n}" for n in range(40)]
    rows = [{"id": i, "question": "What helps?", "old": ANSWER, "new": ANSWER} for i in names]
    write_rows(folder / "items.jsonl", rows)
    old = [{"id": i, "text": text, "ok": 0} for i in names for text in (FIRST, SECOND)]
    write_rows(folder / "old.jsonl", old)
    claims = [{"text": FIRST, "ok": True}, {"text": SECOND, "ok": False}]
    write_rows(folder / "new.jsonl", [{"id": i, "claims": claims} for i in names])
    write(folder / "suite.yaml", SUITE)
    write(folder / "there.yaml", profile)
    run = ("run", "suite.yaml", "--models", "old,new", "--profile", "there.yaml")
    return harness_here(*run, cwd=folder)


def test_recorded_verdicts_on_statements_of_recorded_answers_decide_a_claim(tmp_path: Path) -> None:
    done = run_recorded(tmp_path, PROFILE)
    assert done.returncode == 0, done.stderr
    result = json.loads(next(tmp_path.rglob("results.json")).read_text())
    scores = {(s["metric"], s["model"]): s["mean"]["estimate"] for s in result["scores"]}
    assert scores == {("grounded", "old"): 0.0, ("grounded", "new"): 0.5}


def test_recorded_answers_whose_passages_nobody_knows_are_not_called_unsupported(
    tmp_path: Path,
) -> None:
    without_old = "".join(x for x in PROFILE.splitlines(keepends=True) if "old.jsonl" not in x)
    done = run_recorded(tmp_path, without_old)
    assert done.returncode == 2
    assert "recorded answers of 'old' are not known" in " ".join(done.stderr.split())
