"""Inspect's logs: samples without an outcome, word scores, epochs and attempts."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from harness.artifacts.run_folder import load_run
from harness.cli import app
from harness.core.errors import HarnessError
from harness.interop.importing import import_records
from harness.scoring.columns import GradeColumn
from tests.builders.foreign_logs import (
    answers_of,
    import_logs,
    inspect_log,
    inspect_sample,
    rows_of,
    scores_of,
)


def log_of(model: str, *samples: dict[str, Any], **changes: object) -> dict[str, Any]:
    return inspect_log(model, samples=list(samples), **changes)


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ({"invalidation": {"author": "x", "reason": "broken sandbox"}}, "invalidated: broken sandbox"),
        ({"invalidation": {"author": "x", "reason": None}}, "invalidated"),
        ({"error": {"message": "HTTP 500: out of memory"}}, "ended in an error: HTTP 500: out of memory"),
        (
            {"limit": {"type": "time", "limit": 60}, "output": {"choices": []}},
            "stopped by a limit: time",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["C", "I"])
def test_a_sample_without_an_outcome_is_a_gap_with_its_reason(
    tmp_path: Path, mark: dict[str, Any], reason: str, value: str
) -> None:
    new = log_of("new", inspect_sample(1), inspect_sample(2, value, **mark))
    found = import_logs(tmp_path, old=log_of("old", inspect_sample(1), inspect_sample(2)), new=new)
    assert found.n_items == 2
    assert any(counted.startswith(reason.partition(":")[0]) for counted in found.left_out)
    assert scores_of(tmp_path, "new", "match") == {"1": 1.0, "2": None}
    assert rows_of(tmp_path / "study" / "scores" / "new.jsonl")[1]["reason"] == reason
    answer = rows_of(tmp_path / "study" / "answers" / "new.jsonl")[1]
    assert answer == {"id": "2", "response": None, "failure": reason}


@pytest.mark.parametrize("value", ["C", "I"])
def test_a_limit_leaves_the_answer_and_no_score(tmp_path: Path, value: str) -> None:
    stopped = inspect_sample(2, value, limit={"type": "token", "limit": 9})
    found = import_logs(tmp_path, new=log_of("new", inspect_sample(1), stopped))
    assert found.left_out == {"stopped by a limit: token: no score": 1}
    assert answers_of(tmp_path, "new") == {"1": "1!", "2": "2!"}
    scored = rows_of(tmp_path / "study" / "scores" / "new.jsonl")[1]
    assert (scored["match"], scored["reason"]) == (None, "stopped by a limit: token")


def test_a_retried_sample_counts_by_its_last_attempt(tmp_path: Path) -> None:
    retried = inspect_sample(1, "C", error_retries=[{"message": "timeout"}])
    twice = [inspect_sample(2, "I"), inspect_sample(2, "C")]
    found = import_logs(tmp_path, new=log_of("new", retried, *twice))
    assert scores_of(tmp_path, "new", "match") == {"1": 1.0, "2": 1.0}
    assert found.left_out == {
        "an earlier attempt at the same item and epoch": 1,
        "retried after an error: the last attempt counts": 1,
    }


def test_a_log_marked_invalidated_as_a_whole_is_named(tmp_path: Path) -> None:
    found = import_logs(tmp_path, new=log_of("new", inspect_sample(1), invalidated=True))
    assert any("marked as invalidated" in note for note in found.notes)


def test_epochs_are_several_answers_to_an_item(tmp_path: Path) -> None:
    epochs = [inspect_sample(i, "CI"[n - 1], epoch=n) for n in (1, 2) for i in (1, 2)]
    import_logs(tmp_path, old=log_of("old", *epochs), new=log_of("new", *epochs))
    items = rows_of(tmp_path / "study" / "items.jsonl")
    assert [(item["id"], item["cluster"]) for item in items] == [
        ("1", "1"), ("2", "2"), ("1#2", "1"), ("2#2", "2"),
    ]  # fmt: skip
    assert scores_of(tmp_path, "new", "match") == {"1": 1.0, "2": 1.0, "1#2": 0.0, "2#2": 0.0}


def test_an_epoch_that_a_model_lacks_is_left_out_for_all(tmp_path: Path) -> None:
    old = log_of("old", inspect_sample(1), inspect_sample(1, epoch=2))
    found = import_logs(tmp_path, old=old, new=log_of("new", inspect_sample(1)))
    assert (found.n_items, found.left_out) == (1, {"not answered by every model": 1})


def test_each_word_of_a_scorer_is_a_share_of_answers(tmp_path: Path) -> None:
    words = ["refusal", "full answer", "refusal", "C"]
    samples = [inspect_sample(i, word) for i, word in enumerate(words, start=1)]
    found = import_logs(tmp_path, old=log_of("old", *samples), new=log_of("new", *samples))
    assert found.metrics == ("match_C", "match_full_answer", "match_refusal")
    refused = {"1": 1.0, "2": 0.0, "3": 1.0, "4": 0.0}
    assert scores_of(tmp_path, "new", "match_refusal") == refused


def test_the_words_of_all_models_decide_what_a_c_is(tmp_path: Path) -> None:
    old = log_of("old", inspect_sample(1, "C"), inspect_sample(2, "C"))
    new = log_of("new", inspect_sample(1, "A"), inspect_sample(2, "B"))
    found = import_logs(tmp_path, old=old, new=new)
    assert found.metrics == ("match_A", "match_B", "match_C")
    assert scores_of(tmp_path, "old", "match_C") == {"1": 1.0, "2": 1.0}


def test_texts_are_no_words(tmp_path: Path) -> None:
    samples = [inspect_sample(i, f"text number {i}") for i in range(20)]
    found = import_logs(tmp_path, new=log_of("new", *samples))
    assert found.left_out == {"'match' has 20 different words: unscored": 1}
    assert found.metrics == ("win_rate",)


def test_reasoning_parts_stand_before_the_answer_as_thoughts(tmp_path: Path) -> None:
    hidden = {"type": "reasoning", "reasoning": "gAAAA", "redacted": True}
    parts = [hidden, {"type": "reasoning", "reasoning": "One?"}, {"type": "text", "text": "1!"}]
    thinking = {"choices": [{"message": {"content": parts}}]}
    import_logs(tmp_path, new=log_of("new", inspect_sample(1, output=thinking)))
    assert answers_of(tmp_path, "new") == {"1": "<think>\nOne?\n</think>\n\n1!"}


def test_an_empty_answer_keeps_its_score(tmp_path: Path) -> None:
    silent = {"choices": [{"message": {"content": ""}}]}
    import_logs(tmp_path, new=log_of("new", inspect_sample(1, "C", output=silent)))
    assert answers_of(tmp_path, "new") == {"1": ""}
    assert scores_of(tmp_path, "new", "match") == {"1": 1.0}


@pytest.mark.parametrize("header", ["[]", "{}", "null", "[" * 100_000, '{"eval": 1, "version": 2}'])
def test_an_archive_with_an_odd_header_is_named(tmp_path: Path, header: str) -> None:
    with zipfile.ZipFile(tmp_path / "new.eval", "w") as archive:
        archive.writestr("header.json", header)
        archive.writestr("samples/1_epoch_1.json", "{}")
    with pytest.raises(HarnessError, match=r"new\.eval: is no Inspect log that can be read"):
        import_records([str(tmp_path / "new.eval")], tmp_path / "study")


def test_damaged_bytes_in_an_archive_are_named(tmp_path: Path) -> None:
    path = tmp_path / "new.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", '{"eval": {}, "version": 2}' * 50)
    damaged = bytearray(path.read_bytes())
    damaged[45:60] = b"\xff" * 15
    path.write_bytes(damaged)
    with pytest.raises(HarnessError, match=r"new\.eval: is no Inspect log that can be read"):
        import_records([str(path)], tmp_path / "study")


def test_a_run_bounds_what_does_not_count_and_averages_epochs(tmp_path: Path) -> None:
    marks: dict[int, dict[str, Any]] = {
        1: {"invalidation": {"reason": "broken"}}, 2: {"limit": {"type": "token"}},
        3: {"error": {"message": "HTTP 500"}},
    }  # fmt: skip
    old, new = (
        [
            inspect_sample(i, "C" if i % 2 else "I", epoch=n, **(given.get(i, {}) if n == 1 else {}))
            for i in range(40) for n in (1, 2)
        ]
        for given in ({}, marks)
    )  # fmt: skip
    study = import_logs(tmp_path, old=log_of("old", *old), new=log_of("new", *new))
    options = ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "runs")]
    done = CliRunner().invoke(app, [*study.command.split()[1:], *options])
    assert done.exit_code == 0, done.output
    (results,) = (tmp_path / "runs").glob("*/*/results.json")
    column = next(c for c in load_run(results.parent).columns if c.metric == "match.score")
    assert isinstance(column, GradeColumn)
    missing = np.isnan(column.scores["new"])
    reasons = dict(zip(column.sample_ids, column.reasons["new"], strict=True))
    assert [i for i, gap in zip(column.sample_ids, missing, strict=True) if gap] == ["1", "2", "3"]
    assert reasons["1"] == "request failed: recorded failure: invalidated: broken"
    assert reasons["2"] == "stopped by a limit: token"
    assert column.clusters is not None
    assert len(set(column.clusters.tolist())) == 40
