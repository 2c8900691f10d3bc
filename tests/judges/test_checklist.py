"""Checklists in judging: what is asked about each criterion, what the reply says, what was recorded."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.config import RecordedVerdicts
from harness.core.errors import HarnessError
from harness.types import GradeRequest, ItemCriterion, JudgeCard, Outcome
from judges import RecordedJudge
from judges.backlog import outcome_key
from judges.checklist import join_criteria, requests_on_criteria
from judges.parsing import read_verdict
from judges.prompts import build_prompt
from tests.builders.chat_backends import Canned, is_unscored, judge, reply
from tests.builders.files import write_rows
from tests.builders.judge_requests import CHECKLIST, GOOD, checklist, grade, listed, outcomes

ONE_BY_ONE, TOGETHER = checklist(), checklist(together=True)
CARD = JudgeCard(name="j", nature="n", fingerprint="f")
DOCTOR, SIGN = CHECKLIST


def asked(**changes: Any) -> list[GradeRequest]:
    return list(requests_on_criteria(replace(grade(GOOD, ONE_BY_ONE, of=listed()), **changes)))


def answer(met: str) -> str:
    return json.dumps({"reason": "So it is.", "met": met})


def answers(*met: str) -> str:
    numbers = [f"{n}" for n in range(1, len(met) + 1)]
    return json.dumps(
        {"reasons": dict.fromkeys(numbers, "r"), "met": dict(zip(numbers, met, strict=True))}
    )


# --- what is asked ---------------------------------------------------------------------------


def test_each_criterion_is_a_question_and_all_together_are_one() -> None:
    assert [request.asked_criteria for request in asked()] == [(DOCTOR,), (SIGN,)]
    (request,) = asked(metric=TOGETHER)
    assert request.asked_criteria == (DOCTOR, SIGN)


def test_a_judge_sees_the_criterion_in_a_block_and_not_its_points() -> None:
    system, user = build_prompt(asked()[1]).messages
    assert "<criterion-" in user.content
    assert f"\n{SIGN.criterion}\n</criterion-" in user.content
    assert DOCTOR.criterion not in user.content
    assert "-4" not in user.content
    assert SIGN.criterion not in system.content  # which is the same for every item
    assert "Does the answer meet this criterion?" in system.content


def test_together_they_are_numbered() -> None:
    prompt = build_prompt(asked(metric=TOGETHER)[0])
    assert (
        f"\n1. {DOCTOR.criterion}\n2. {SIGN.criterion}\n</criteria-" in prompt.messages[1].content
    )
    assert list(prompt.schema["properties"]["met"]["properties"]) == ["1", "2"]  # type: ignore[index]


def key(*criteria: ItemCriterion, place: int | None = 0, **fields: Any) -> str:
    metric = checklist(**fields)
    return outcome_key(replace(grade(GOOD, metric, of=listed(*criteria)), criterion=place), CARD)


def test_a_verdict_is_found_again_when_points_tags_or_other_criteria_change() -> None:
    before = key(DOCTOR, SIGN)
    assert key(DOCTOR.model_copy(update={"points": 9.0, "tags": ()})) == before
    assert key(DOCTOR, SIGN, tags=("axis:accuracy",), lowest={"": -1.0}) == before


def test_it_is_another_for_other_words_another_question_and_all_at_once() -> None:
    keys = [
        key(DOCTOR, SIGN),
        key(SIGN, DOCTOR),
        key(DOCTOR, SIGN, asks="Is it said?"),
        key(DOCTOR, SIGN, place=None, together=True),
        key(SIGN, DOCTOR, place=None, together=True),
    ]
    assert len(set(keys)) == len(keys)


# --- what a reply says -----------------------------------------------------------------------


@pytest.mark.parametrize(("met", "value"), [("yes", 1.0), ("no", 0.0)])
def test_yes_is_met_and_no_is_not(met: str, value: float) -> None:
    assert read_verdict(answer(met), ONE_BY_ONE).values == {"met": value}


@pytest.mark.parametrize("met", ["true", "Yes", "met"])
def test_another_word_is_no_verdict(met: str) -> None:
    assert is_unscored(read_verdict(answer(met), ONE_BY_ONE), "unreadable")
    assert is_unscored(read_verdict(answers("yes", met), TOGETHER, n_criteria=2), "unreadable")


def test_uncertain_abstains_and_among_others_leaves_one_open() -> None:
    assert read_verdict(answer("uncertain"), ONE_BY_ONE).reason == "abstained"
    assert read_verdict(answers("yes", "uncertain"), TOGETHER, n_criteria=2).values == {"c1": 1.0}
    both = read_verdict(answers("uncertain", "uncertain"), TOGETHER, n_criteria=2)
    assert both.reason == "abstained"


@pytest.mark.parametrize("given", [answers("yes"), answers("yes", "no", "no"), answer("yes")])
def test_as_many_answers_as_criteria_are_read(given: str) -> None:
    assert is_unscored(read_verdict(given, TOGETHER, n_criteria=2), "unreadable")


def test_a_language_model_judges_each_criterion_and_the_answer_has_one_grade() -> None:
    backend = Canned(answer("yes"), reply(None, problem="timeout", detail="30 s"))
    requests = asked()
    judged = list(zip(requests, outcomes(judge(backend), requests), strict=True))
    ((request, joined),) = join_criteria(judged)
    assert isinstance(request, GradeRequest)
    assert request.criterion is None
    assert joined.values == {"c1": 1.0}
    assert joined.missing == {"c2": "no reply: timeout: 30 s"}
    assert joined.exchange is not None
    assert joined.exchange.input_tokens == 200
    assert joined.rationale == (
        f"1. met (+5): {DOCTOR.criterion}\n   So it is.\n"
        f"2. no verdict (no reply: timeout: 30 s) (-4): {SIGN.criterion}"
    )


def test_outcomes_about_some_criteria_keep_their_places() -> None:
    ((_, joined),) = join_criteria([(asked()[1], Outcome(values={"met": 1.0}))])
    assert (joined.values, joined.missing) == ({"c2": 1.0}, {})
    assert joined.rationale == f"2. met (-4): {SIGN.criterion}"


@pytest.mark.parametrize(
    ("outcome", "missing"),
    [
        (Outcome(values={"c1": 1.0}), {"c2": "abstained"}),
        (Outcome(reason="refused"), {"c1": "refused", "c2": "refused"}),
    ],
)
def test_all_at_once_each_criterion_without_a_verdict_has_a_reason(
    outcome: Outcome, missing: dict[str, str]
) -> None:
    ((_, joined),) = join_criteria([(asked(metric=TOGETHER)[0], outcome)])
    assert joined.missing == missing


def test_an_answer_without_any_verdict_has_the_reason_that_tells_most() -> None:
    unread = [Outcome(reason="not recorded"), Outcome(reason="refused")]
    ((_, joined),) = join_criteria(list(zip(asked(), unread, strict=True)))
    assert (joined.values, joined.reason) == (None, "refused")


def test_all_at_once_are_read_by_their_numbers() -> None:
    (given,) = outcomes(judge(Canned(answers("no", "yes"))), asked(metric=TOGETHER))
    assert given.values == {"c1": 0.0, "c2": 1.0}


# --- what was recorded -----------------------------------------------------------------------


def recorded(folder: Path, rows: list[dict[str, object]], **fields: str) -> RecordedJudge:
    write_rows(folder / "v.jsonl", rows)
    spec = {"path": "v.jsonl", "fields": {"id": "id", "met": "met", **fields}}
    verdicts = RecordedVerdicts.model_validate(spec)
    return RecordedJudge("kept", {"m": {"sft": verdicts}}, root=folder)


def found(
    folder: Path, rows: list[dict[str, object]], fields: dict[str, str]
) -> list[dict[str, float] | str | None]:
    judge_ = recorded(folder, rows, **fields)
    return [given.values or given.reason for given in outcomes(judge_, asked())]


BY_WORDS, BY_PLACE = {"criterion": "text"}, {"place": "n"}


@pytest.mark.parametrize(
    ("fields", "rows"),
    [
        (
            BY_WORDS,
            [{"text": SIGN.criterion.upper(), "met": 0}, {"text": DOCTOR.criterion, "met": True}],
        ),
        (BY_PLACE, [{"n": 1, "met": "FALSE"}, {"n": "0", "met": "true"}]),
        ({}, [{"met": [True, False]}]),
        (BY_WORDS, [{"met": [False, True], "text": [SIGN.criterion, DOCTOR.criterion]}]),
    ],
)
def test_rows_and_lists_are_about_their_criteria(
    tmp_path: Path, fields: dict[str, str], rows: list[dict[str, object]]
) -> None:
    named = [{"id": "item-1", **row} for row in rows]
    assert found(tmp_path, named, fields) == [{"met": 1.0}, {"met": 0.0}]


def test_all_at_once_take_the_same_rows(tmp_path: Path) -> None:
    kept = recorded(tmp_path, [{"id": "item-1", "n": 1, "met": 1}], place="n")
    (given,) = outcomes(kept, asked(metric=TOGETHER))
    assert given.values == {"c2": 1.0}


def test_what_is_not_recorded_or_not_readable_has_its_reason(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "item-1", "text": SIGN.criterion, "met": "perhaps"}]
    missing, unread = found(tmp_path, rows, BY_WORDS)
    assert missing == "not recorded"
    assert unread == "recorded met 'perhaps' is none of 1, true, 0, false"


def test_a_list_of_another_length_is_about_no_criterion(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "item-1", "met": [True]}]
    assert found(tmp_path, rows, {}) == ["not recorded", "not recorded"]


def test_a_criterion_that_is_recorded_twice_is_refused(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "item-1", "n": 0, "met": met} for met in (0, 1)]
    with pytest.raises(HarnessError, match=r"v\.jsonl:2: the id 'item-1' with '0' stands twice"):
        recorded(tmp_path, rows, place="n")


def test_one_verdict_is_not_taken_for_all_criteria_of_its_item(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"v\.jsonl:1: 'met' is no list.*'criterion' is"):
        found(tmp_path, [{"id": "item-1", "met": True}], {})


def test_rows_on_criteria_that_no_field_names_are_told_which_field_would(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "item-1", "text": t, "met": 1} for t in ("a", "b")]
    with pytest.raises(HarnessError, match=r"stands twice \(first on line 1\).*'criterion' is the"):
        recorded(tmp_path, rows)


@pytest.mark.parametrize(("cell", "message"), [("", "has no 'n'"), ("first", "no number of a row")])
def test_a_row_about_no_criterion_is_refused(tmp_path: Path, cell: str, message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        recorded(tmp_path, [{"id": "item-1", "n": cell, "met": 1}], place="n")


def test_verdicts_without_their_column_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "v.jsonl", [{"id": "item-1", "n": 0}])
    verdicts = RecordedVerdicts.model_validate({"path": "v.jsonl", "fields": {"id": "id"}})
    kept = RecordedJudge("kept", {"m": {"sft": verdicts}}, root=tmp_path)
    with pytest.raises(HarnessError, match="'fields' has no column for 'met'"):
        outcomes(kept, asked())
