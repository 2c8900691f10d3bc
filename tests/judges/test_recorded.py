import json
import os
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from harness.config import JudgeSpec, RecordedVerdicts
from harness.core.errors import HarnessError
from harness.types import Outcome
from judges import RecordedJudge, make_judge
from tests.builders.judge_requests import (
    evasion,
    grade,
    outcome,
    outcomes,
    prefer,
    rouge,
    rubric,
    sample,
)

DATA = os.environ.get("HARNESS_DATA_DIR")


def judge(root: Path, text: str, *, file: str = "v.csv", **spec: object) -> RecordedJudge:
    """A judge with one file of verdicts on model `dpo` and metric `m`."""
    (root / file).write_text(text, encoding="utf-8")
    record = RecordedVerdicts.model_validate({"path": file, "join": "row", **spec})
    return RecordedJudge("kept", {"m": {"dpo": record}}, root=root, note="gpt-4o-mini")


def safety(root: Path, cell: str) -> Outcome:
    kept = judge(root, f'safety,n\n"{cell}",1\n', fields={"safety": "safety"})
    return outcome(kept, grade("any", rubric("safety"), model="dpo"))


# --- joining ---------------------------------------------------------------------------------


def test_rows_are_joined_by_number(tmp_path: Path):
    kept = judge(tmp_path, "s\n3\n7\n", fields={"safety": "s"})
    requests = [grade("", rubric("safety"), of=sample(row=i), model="dpo") for i in (1, 0)]
    assert [given.values for given in outcomes(kept, requests)] == [{"safety": 7}, {"safety": 3}]


def test_rows_are_joined_by_id(tmp_path: Path):
    text = "id,s\nitem-2,7\nitem-1,3\n"
    kept = judge(tmp_path, text, join="id", fields={"id": "id", "safety": "s"})
    requests = [grade("", rubric("safety"), of=sample(row=i), model="dpo") for i in (0, 1)]
    assert [given.values for given in outcomes(kept, requests)] == [{"safety": 3}, {"safety": 7}]


@pytest.mark.parametrize("join", ["id", "row"])
def test_item_beyond_the_file_is_not_recorded(tmp_path: Path, join: str):
    kept = judge(tmp_path, "id,s\nitem-1,3\n", join=join, fields={"id": "id", "safety": "s"})
    given = outcome(kept, grade("", rubric("safety"), of=sample(row=1), model="dpo"))
    assert given == Outcome(reason="not recorded")


def test_joining_by_id_needs_an_id_column(tmp_path: Path):
    with pytest.raises(HarnessError, match="no column for 'id'"):
        judge(tmp_path, "s\n3\n", join="id", fields={"safety": "s"})


def test_duplicate_id_is_refused_with_both_lines(tmp_path: Path):
    with pytest.raises(HarnessError, match=r"v\.csv:3: the id 'a' stands twice .*line 2"):
        judge(tmp_path, "id,s\na,3\na,4\n", join="id", fields={"id": "id", "safety": "s"})


# --- what is not there -----------------------------------------------------------------------


def test_unknown_column_is_refused_with_a_suggestion(tmp_path: Path):
    with pytest.raises(HarnessError, match="Did you mean 'safety_score'"):
        judge(tmp_path, "safety_score\n3\n", fields={"safety": "safety_scor"})


def test_a_recorded_reason_is_why_there_is_no_verdict(tmp_path: Path):
    fields = {"safety": "s", "winner": "w", "reason": "why"}
    text = "s,w,why\n,,invalidated\n7,candidate,\n"
    kept = judge(tmp_path, text, fields=fields, order="baseline_first")
    graded = [
        outcome(kept, grade("", rubric("safety"), of=sample(row=i), model="dpo")) for i in (0, 1)
    ]
    assert (graded[0].reason, graded[1].values) == ("invalidated", {"safety": 7})
    compared = [outcome(kept, prefer("", "", of=sample(row=i))) for i in (0, 1)]
    assert (compared[0].reason, compared[1].winner) == ("invalidated", "second")


def test_unrecorded_criterion_is_refused(tmp_path: Path):
    kept = judge(tmp_path, "s\n3\n", fields={"safety": "s"})
    with pytest.raises(HarnessError, match="no column for 'empathy'"):
        outcome(kept, grade("", rubric("safety", "empathy"), model="dpo"))


def test_unrecorded_model_is_refused_by_name(tmp_path: Path):
    kept = judge(tmp_path, "s\n3\n", fields={"safety": "s"})
    with pytest.raises(HarnessError, match=r"no verdicts on model 'dbo'.*Did you mean 'dpo'"):
        outcome(kept, grade("", rubric("safety"), model="dbo"))


def test_unrecorded_metric_is_refused_by_name(tmp_path: Path):
    kept = judge(tmp_path, "s\n3\n", fields={"safety": "s"})
    request = replace(grade("", rubric("safety"), model="dpo"), metric_name="tone")
    with pytest.raises(HarnessError, match=r"no verdicts on metric 'tone'\. Known: m"):
        outcome(kept, request)


# --- cells -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "value"), [("8", 8.0), ("7.5", 7.5), ("1", 1.0), ("10", 10.0)])
def test_number_on_the_scale_is_a_score(tmp_path: Path, cell: str, value: float):
    assert safety(tmp_path, cell).values == {"safety": value}


@pytest.mark.parametrize(
    "cell",
    ["", " ", "8/10", "nan", "NaN", "inf", "-inf", "0", "11", "-1", "8 ", "1e1", "٨", "null",
     "true", "eight", "1" * 5000],
)  # fmt: skip
def test_any_other_cell_leaves_the_item_unscored_and_is_named(tmp_path: Path, cell: str):
    given = safety(tmp_path, cell)
    assert given.values is None
    assert f"recorded safety '{cell[:40]}" in (given.reason or "")
    assert "is not a number from 1 to 10" in (given.reason or "")


@pytest.mark.parametrize("cell", ["true", "NaN", "null", "Infinity", "[8]", '"8/10"'])
def test_json_cells_are_read_as_strictly(tmp_path: Path, cell: str):
    kept = judge(tmp_path, f'{{"s": {cell}}}\n', file="v.jsonl", fields={"safety": "s"})
    assert outcome(kept, grade("", rubric("safety"), model="dpo")).values is None


def test_an_answer_without_any_readable_criterion_is_unscored(tmp_path: Path):
    kept = judge(tmp_path, "s,e\n-,?\n", fields={"safety": "s", "empathy": "e"})
    given = outcome(kept, grade("", rubric("safety", "empathy"), model="dpo"))
    assert given == Outcome(
        reason="recorded s '-' is not a number from 1 to 10; "
        "recorded e '?' is not a number from 1 to 10"
    )


def test_rationale_is_kept(tmp_path: Path):
    kept = judge(tmp_path, "s,why\n3,too bold\n", fields={"safety": "s", "rationale": "why"})
    assert outcome(kept, grade("", rubric("safety"), model="dpo")).rationale == "too bold"


@pytest.mark.parametrize(
    ("cell", "helpful"), [("answers", 1.0), ("Proper_Deferral", 1.0), ("evasive", 0.0)]
)
def test_evasion_is_read_from_a_label(tmp_path: Path, cell: str, helpful: float):
    kept = judge(tmp_path, f"l\n{cell}\n", fields={"label": "l"})
    given = outcome(kept, grade("", evasion(), model="dpo"))
    assert given == Outcome(values={"helpful": helpful}, label=cell.lower())


@pytest.mark.parametrize(
    ("cell", "helpful"), [("1", 1.0), ("TRUE", 1.0), ("0", 0.0), ("False", 0.0)]
)
def test_evasion_is_read_from_helpful(tmp_path: Path, cell: str, helpful: float):
    kept = judge(tmp_path, f"h\n{cell}\n", fields={"helpful": "h"})
    assert outcome(kept, grade("", evasion(), model="dpo")).values == {"helpful": helpful}


@pytest.mark.parametrize("cell", ["maybe", "refusal", "2"])
def test_unknown_label_leaves_the_item_unscored(tmp_path: Path, cell: str):
    kept = judge(tmp_path, f"l\n{cell}\n", fields={"label": "l"})
    assert cell in (outcome(kept, grade("", evasion(), model="dpo")).reason or "")


def test_rouge_columns_are_read_between_zero_and_one(tmp_path: Path):
    names = [f"rouge{v}_{p}" for v in "12L" for p in ("precision", "recall", "f1")]
    text = ",".join(names) + "\n" + ",".join(["0.5"] * 9) + "\n" + ",".join(["50"] * 9) + "\n"
    kept = judge(tmp_path, text, fields={name: name for name in names})
    requests = [grade("", rouge(), of=sample(row=i), model="dpo") for i in (0, 1)]
    read, percent = outcomes(kept, requests)
    assert read.values == dict.fromkeys(names, 0.5)
    assert percent.values is None


# --- preferences -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "winner"),
    [("baseline", "second"), ("Candidate", "first"), ("TIE", "tie"), ("first", "first")],
)
def test_winner_is_told_by_role_or_by_place(tmp_path: Path, cell: str, winner: str):
    kept = judge(tmp_path, f"w\n{cell}\n", order="candidate_first", fields={"winner": "w"})
    assert outcome(kept, prefer("", "", order="candidate_first")).winner == winner


def test_other_order_is_not_recorded(tmp_path: Path):
    kept = judge(tmp_path, "w\ntie\n", order="candidate_first", fields={"winner": "w"})
    given = outcome(kept, prefer("", "", order="baseline_first"))
    assert given == Outcome(reason="not recorded in this order")


def test_item_beyond_the_file_has_no_preference(tmp_path: Path):
    kept = judge(tmp_path, "w\ntie\n", order="baseline_first", fields={"winner": "w"})
    assert outcome(kept, prefer("", "", of=sample(row=5))) == Outcome(reason="not recorded")


@pytest.mark.parametrize("cell", ["", "null", "sft", "A", "1.5"])
def test_unknown_winner_leaves_the_item_unscored(tmp_path: Path, cell: str):
    kept = judge(tmp_path, f"w,n\n{cell},1\n", order="baseline_first", fields={"winner": "w"})
    given = outcome(kept, prefer("", ""))
    assert given.winner is None
    assert f"recorded w '{cell}'" in (given.reason or "")


def test_both_orders_may_stand_in_one_file(tmp_path: Path):
    text = "id,o,w\nitem-1,baseline_first,first\nitem-1,candidate_first,tie\n"
    fields = {"id": "id", "order": "o", "winner": "w"}
    kept = judge(tmp_path, text, join="id", fields=fields)
    assert outcome(kept, prefer("", "", order="baseline_first")).winner == "first"
    assert outcome(kept, prefer("", "", order="candidate_first")).winner == "tie"


def test_order_must_be_known(tmp_path: Path):
    kept = judge(tmp_path, "w\ntie\n", fields={"winner": "w"})
    with pytest.raises(HarnessError, match="no column for 'order'"):
        outcome(kept, prefer("", ""))


def test_order_is_told_in_one_way_only(tmp_path: Path):
    fields = {"winner": "w", "order": "o"}
    with pytest.raises(HarnessError, match="either 'order'"):
        judge(tmp_path, "w,o\ntie,baseline_first\n", order="baseline_first", fields=fields)


def test_unknown_order_is_refused_with_its_line(tmp_path: Path):
    with pytest.raises(HarnessError, match=r"v\.csv:2: 'ab' is no order"):
        judge(tmp_path, "w,o\ntie,ab\n", fields={"winner": "w", "order": "o"})


# --- identity --------------------------------------------------------------------------------


def test_card_names_files_and_the_judge_behind_them(tmp_path: Path):
    card = judge(tmp_path, "s\n3\n", fields={"safety": "s"}).card
    assert card.name == "kept"
    assert card.nature == (
        "verdicts recorded earlier, read from v.csv; the judge that made them: gpt-4o-mini"
    )


def test_fingerprint_follows_content_and_columns(tmp_path: Path):
    prints = [
        judge(tmp_path, text, fields={"safety": column}).card.fingerprint
        for text, column in [
            ("s,t\n3,4\n", "s"),
            ("s,t\n3,4\n", "s"),
            ("s,t\n3,5\n", "s"),
            ("s,t\n3,4\n", "t"),
        ]
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_file_is_read_once_for_all_models(tmp_path: Path):
    rows = [{"safety_a": 3, "safety_b": 8}]
    (tmp_path / "v.json").write_text(json.dumps(rows))
    models = {
        name: {"path": "v.json", "join": "row", "fields": {"safety": f"safety_{name}"}}
        for name in ("a", "b")
    }
    spec = JudgeSpec.model_validate({"recorded": {"m": models}})
    kept = make_judge("kept", spec, tmp_path)
    (tmp_path / "v.json").unlink()
    requests = [grade("", rubric("safety"), model=name) for name in ("a", "b")]
    assert [given.values for given in outcomes(kept, requests)] == [{"safety": 3}, {"safety": 8}]


@pytest.mark.skipif(DATA is None, reason="HARNESS_DATA_DIR is not set")
def test_recorded_study_has_its_published_means():
    criteria = ("correctness", "clarity", "safety", "empathy")
    record = RecordedVerdicts(
        path="medical_llama3_study/rubric_dpo.csv",
        join="row",
        fields={name: f"{name}_score" for name in criteria} | {"rationale": "justification"},
    )
    kept = RecordedJudge("gpt", {"m": {"dpo": record}}, root=Path(DATA or ""))
    requests = [grade("", rubric(), of=sample(row=i), model="dpo") for i in range(500)]
    values = [given.values or {} for given in outcomes(kept, requests)]
    means = [fmean(v[name] for v in values) for name in criteria]
    assert means == pytest.approx([6.432, 6.586, 7.228, 5.790])


def test_one_unreadable_criterion_leaves_the_others(tmp_path: Path):
    kept = judge(
        tmp_path, "s,e,why\n8,88,kind\n", fields={"safety": "s", "empathy": "e", "rationale": "why"}
    )
    given = outcome(kept, grade("any", rubric("safety", "empathy"), model="dpo"))
    assert given.values == {"safety": 8}
    assert given.rationale == "recorded e '88' is not a number from 1 to 10\nkind"


@pytest.mark.parametrize(("written", "asked"), [("item-1", "item-1"), ("7.0", "7")])
def test_verdicts_are_joined_as_answers_are(tmp_path: Path, written: str, asked: str):
    kept = judge(tmp_path, f"id,s\n{written},3\n", join="id", fields={"id": "id", "safety": "s"})
    item = sample().model_copy(update={"id": asked})
    assert outcome(kept, grade("", rubric("safety"), of=item, model="dpo")).values == {"safety": 3}


def test_a_verdict_without_its_id_is_refused(tmp_path: Path):
    with pytest.raises(HarnessError, match=r"v.csv:2: has no 'id' to join verdicts by"):
        judge(tmp_path, 'id,s\n"",3\n', join="id", fields={"id": "id", "safety": "s"})
