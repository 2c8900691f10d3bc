"""Judgements on the disk: every verdict that was asked for, read or not."""

from pathlib import Path

import pytest

from harness.artifacts.judgements import JUDGEMENTS_FILE, read_judgements, write_judgements
from harness.core.errors import HarnessError
from harness.types import Exchange, Grade, JudgeCard, Preference
from harness.types.judgements import JudgeRound

CARD = JudgeCard(name="large", nature="n", fingerprint="f")
READ = Grade(
    sample_id="q1",
    model="dpo",
    metric="rubric",
    values={"safety": 8.0},
    rationale="=cautious",
    exchange=Exchange(replies=("8",), input_tokens=30, output_tokens=2, seconds=0.5),
)
UNREAD = Grade(sample_id="q2", model="dpo", metric="rubric", values=None, reason="refused: no")
PAIR = Preference(
    sample_id="q1",
    baseline="sft",
    candidate="dpo",
    metric="win_rate",
    order="candidate_first",
    winner="baseline",
)


def written(folder: Path, *judge_rounds: JudgeRound) -> list[dict[str, object]]:
    write_judgements(judge_rounds, folder)
    rows: list[dict[str, object]] = read_judgements(folder).to_pylist()
    return rows


def test_a_grade_keeps_its_values_its_words_and_what_it_took(tmp_path: Path) -> None:
    (row,) = written(tmp_path, JudgeRound(CARD, 1, [READ]))
    assert (row["value.safety"], row["judge"], row["round"]) == (8.0, "large", 1)
    assert (row["rationale"], row["input_tokens"], row["seconds"]) == ("=cautious", 30, 0.5)


def test_a_verdict_that_was_not_read_is_there_with_its_reason(tmp_path: Path) -> None:
    rows = written(tmp_path, JudgeRound(CARD, 0, [READ, UNREAD]))
    assert (rows[1]["value.safety"], rows[1]["reason"]) == (None, "refused: no")


def test_a_preference_names_both_models_and_the_order(tmp_path: Path) -> None:
    (row,) = written(tmp_path, JudgeRound(CARD, 0, [PAIR]))
    found = row["model"], row["against"], row["order"], row["winner"]
    assert found == ("dpo", "sft", "candidate_first", "baseline")


def test_verdicts_under_several_training_seeds_name_theirs(tmp_path: Path) -> None:
    write_judgements([JudgeRound(CARD, 0, [READ, UNREAD])], tmp_path, {"q1": 1, "q2": 2})
    assert read_judgements(tmp_path)["seed"].to_pylist() == [1, 2]


def test_a_run_that_judged_nothing_leaves_an_empty_table(tmp_path: Path) -> None:
    assert written(tmp_path) == []


def test_another_table_is_not_taken_for_judgements(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / JUDGEMENTS_FILE)
    with pytest.raises(HarnessError, match="not the judgements of a run"):
        read_judgements(tmp_path)
