"""Damaged logs of every format: each is refused with a message or imported as a study that loads."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.config import load_profile, load_suite
from harness.core.errors import HarnessError
from harness.data.samples import make_samples
from harness.data.tables import load_rows
from harness.interop.importing import describe_import, import_records
from judges.recorded import RecordedJudge
from tests.builders.damage import ODD_VALUES, damaged
from tests.builders.foreign_logs import (
    all_results,
    annotation_row,
    arena_row,
    inspect_log,
    inspect_sample,
    lm_eval_row,
    mt_bench_answer,
    mt_bench_question,
    output_row,
    pair_row,
    promptfoo_file,
    promptfoo_row,
    ranked_row,
    rating_row,
    save,
)

INVALID = inspect_sample(2, "I", epoch=2, invalidation={"reason": "x"}, error={"message": "y"})
UNCONDITIONAL = ranked_row(
    [-3, -2, -1, -4], contexts=["S", "S", "", ""], doc_id=1, metrics=["acc", "acc_mutual_info"]
)
GRADED = {"score": 1, "prompt_id": "p", "rubric_items": [{"criterion": "c", "criteria_met": True}]}
ERROR = promptfoo_row(1, "a", passed=False, failureReason=2, error="HTTP 500")

LOGS: dict[str, Any] = {
    "lm_eval.jsonl": [lm_eval_row(0), lm_eval_row(1)],
    "ranked.jsonl": [ranked_row([-1, -2]), UNCONDITIONAL],
    "outputs.json": [output_row(0, "a"), output_row(1, "a")],
    "annotations.json": [annotation_row(0, 1.9), annotation_row(1, 2.0)],
    "inspect.json": inspect_log("m", samples=[inspect_sample(1), INVALID]),
    "questions.jsonl": [mt_bench_question(1)],
    "answers.jsonl": [mt_bench_answer(1, "a")],
    "ratings.jsonl": [rating_row(1, "a", 5), rating_row(1, "b", 5, 2)],
    "pairs.jsonl": [pair_row(1, "tie", "error")],
    "arena.jsonl": [arena_row(1, "A>>B", "B>A")],
    "all_results.json": all_results(
        [1.0, 0.0], metadata={"example_level_metadata": [GRADED, None]}
    ),
    "promptfoo.json": promptfoo_file([promptfoo_row(0, "a"), ERROR]),
}
EVERY = 7  # of all damage; each kind of damage is still done to some place, and each place has some


def import_and_load(files: list[str], folder: Path) -> None:
    """Import files, and load the study as a run would; a refusal of the import is fine."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        study = import_records(files, folder)
    except HarnessError:
        return
    assert all(line.isprintable() for line in describe_import(study))
    suite, _ = load_suite(str(folder / "suite.yaml"))
    profile, _ = load_profile(str(folder / "profile.yaml"))
    assert suite.data is not None
    source = suite.data.source
    assert source is not None
    assert len(make_samples(load_rows(source, folder), source.fields, None)) == study.n_items
    for model in profile.models.values():
        assert model.recorded is not None
        assert len(load_rows(model.recorded, folder).rows) == study.n_items
    recorded = profile.judges["default"].recorded if profile.judges else None
    if recorded:
        RecordedJudge("default", recorded, root=folder)


@pytest.mark.parametrize("name", LOGS)
def test_no_damage_to_a_log_ends_in_a_traceback(tmp_path: Path, name: str) -> None:
    for _, log in damaged(LOGS[name], every=EVERY):
        import_and_load([save(tmp_path / name, log)], tmp_path / "study")


@pytest.mark.parametrize("name", ["inspect.json", "ratings.jsonl", "annotations.json"])
def test_no_damage_to_one_of_two_logs_ends_in_a_traceback(tmp_path: Path, name: str) -> None:
    whole = save(tmp_path / f"whole_{name}", LOGS[name])
    for _, log in damaged(LOGS[name], every=EVERY * 3):
        import_and_load([whole, save(tmp_path / name, log)], tmp_path / "study")


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".eval"])
@pytest.mark.parametrize("odd", ODD_VALUES, ids=range(len(ODD_VALUES)))
def test_a_file_of_one_odd_value_is_refused(tmp_path: Path, suffix: str, odd: object) -> None:
    with pytest.raises(HarnessError):
        import_records([save(tmp_path / f"odd{suffix}", [odd])], tmp_path / "study")


def test_no_damage_to_a_sample_in_an_archive_ends_in_a_traceback(tmp_path: Path) -> None:
    header = {"version": 2, "status": "success", "eval": {"model": "m"}}
    for _, sample in damaged(INVALID, every=EVERY):
        with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
            archive.writestr("header.json", json.dumps(header))
            archive.writestr("samples/1_epoch_1.json", json.dumps(sample))
        import_and_load([str(tmp_path / "log.eval")], tmp_path / "study")
