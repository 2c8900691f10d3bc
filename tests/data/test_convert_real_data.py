"""Counts of real data sets; every row that is left out is left out for a stated reason."""

import json
import os
from pathlib import Path

import pytest

from harness.data.contamination import find_contamination, texts_of_examples
from harness.data.convert import ConversionSummary, convert_file, make_options
from harness.data.text import normalise_text
from trainers.examples import load_examples, load_samples
from trainers.recipe import TrainingSource

DATA = os.environ.get("HARNESS_DATA_DIR")
pytestmark = pytest.mark.skipif(DATA is None, reason="HARNESS_DATA_DIR is not set")

MEDICALGPT_SFT = "MedicalGPT/medical_sft_1K_format.jsonl"
MEDICALGPT_DPO = "MedicalGPT/dpo_zh_500.jsonl"
MEQSUM = "MeQSum/MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx"
STUDY = "medical_llama3_study/responses.jsonl"


def convert(name: str, out: Path, **options: object) -> ConversionSummary:
    given = {"to": "sft", "fields": "", **options}
    return convert_file(str(Path(DATA or "", name)), out / "out.jsonl", make_options(**given))  # type: ignore[arg-type]


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize(
    ("name", "to", "format", "rows", "dropped"),
    [
        (MEDICALGPT_SFT, "sft", "sharegpt", 1000, {}),
        (MEDICALGPT_DPO, "preference", "sharegpt_preference", 500, {}),
        ("MedicalGPT/reward_test.json", "preference", "reward", 100, {}),
        ("pubmedqa/ori_pqal.json", "sft", "pubmedqa", 1000, {}),
        (MEQSUM, "sft", "meqsum", 1000, {}),
        ("MedQuAD/9_CDC_QA", "sft", "medquad", 270, {}),
        ("MedQuAD/5_NIDDK_QA", "sft", "medquad", 1192, {"duplicate": 48}),
    ],
)
def test_every_row_is_kept_or_left_out_for_a_reason(
    tmp_path: Path, name: str, to: str, format: str, rows: int, dropped: dict[str, int]
) -> None:
    summary = convert(name, tmp_path, to=to)
    assert (summary.format, summary.rows, summary.dropped) == (format, rows, dropped)
    assert summary.kept + len(summary.dropped_rows) == rows
    assert len(read(tmp_path / "out.jsonl")) == summary.kept == summary.records["out.jsonl"]


def test_the_expert_labelled_test_half_of_pubmedqa_can_be_left_out(tmp_path: Path) -> None:
    withheld = Path(DATA or "", "pubmedqa/test_ground_truth.json")
    summary = convert("pubmedqa/ori_pqal.json", tmp_path, without=str(withheld))
    assert (summary.kept, summary.dropped) == (500, {"withheld": 500})
    ids = {row["id"] for row in read(tmp_path / "out.jsonl")}
    assert ids.isdisjoint(json.loads(withheld.read_text(encoding="utf-8")))


def test_system_prompts_of_their_own_are_kept(tmp_path: Path) -> None:
    assert convert(MEDICALGPT_DPO, tmp_path, to="preference").own_system == 84


def test_the_studys_empty_answers_make_no_pair(tmp_path: Path) -> None:
    fields = "input=input,chosen=dpo_response,rejected=sft_response"
    summary = convert(STUDY, tmp_path, to="preference", fields=fields)
    assert (summary.rows, summary.kept, summary.dropped) == (500, 496, {"empty_answer": 4})


@pytest.mark.parametrize(
    ("name", "groups", "largest"),
    [(MEDICALGPT_SFT, 999, 2), ("MedQuAD/9_CDC_QA", 259, 2), ("MedQuAD/5_NIDDK_QA", 771, 19)],
)
def test_a_split_of_real_questions_keeps_them_apart(
    tmp_path: Path, name: str, groups: int, largest: int
) -> None:
    summary = convert(name, tmp_path, split=0.1)
    assert summary.split is not None
    assert (summary.split.n_groups, summary.split.largest_group) == (groups, largest)
    train, evaluation = (
        {normalise_text(row["input"]) for row in read(tmp_path / f"out.{side}.jsonl")}
        for side in ("train", "eval")
    )
    assert train.isdisjoint(evaluation)
    assert 0.05 < summary.records["out.eval.jsonl"] / summary.kept < 0.15


def test_a_split_leaves_no_question_to_be_found_on_the_other_side(tmp_path: Path) -> None:
    convert("MedQuAD/5_NIDDK_QA", tmp_path, split=0.1)
    fields = {"id": "id", "input": "input", "reference": "reference"}
    train, evaluation = (
        TrainingSource(path=f"out.{side}.jsonl", fields=fields) for side in ("train", "eval")
    )
    texts = texts_of_examples(load_examples([train], tmp_path))
    found = find_contamination(texts, load_samples(evaluation, tmp_path))
    assert found.exact == 0
    assert found.contaminated > 0  # answers of one page stand, in part, on others
