"""Scores on the disk: what is read is what was scored."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.scores import SCORES_FILE, read_scores, read_table, write_scores
from harness.core.errors import HarnessError
from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn
from tests.builders.scored import N, grades, wins


def assert_same(found: ScoreColumn, written: ScoreColumn) -> None:
    assert type(found) is type(written)
    assert (found.metric, found.sample_ids) == (written.metric, written.sample_ids)
    assert found.reasons == written.reasons
    assert found.generation_failed == written.generation_failed
    if isinstance(written, GradeColumn):
        assert isinstance(found, GradeColumn)
        assert (found.kind, found.low, found.high) == (written.kind, written.low, written.high)
        for model, scores in written.scores.items():
            np.testing.assert_array_equal(found.scores[model], scores)
    else:
        assert isinstance(found, PreferenceColumn)
        for order, scores in written.by_order.items():
            np.testing.assert_array_equal(found.by_order[order], scores)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = [grades(), wins()]
    write_scores(written, tmp_path)
    for found, column in zip(read_scores(tmp_path), written, strict=True):
        assert_same(found, column)


def test_a_gap_stays_a_gap_with_its_reason(tmp_path: Path) -> None:
    column = grades()
    column.scores["dpo"][3] = np.nan
    column.reasons["dpo"][3] = "refused: no"
    write_scores([column], tmp_path)
    (found,) = read_scores(tmp_path)
    assert_same(found, column)
    (row,) = [r for r in read_table(tmp_path).to_pylist() if r["reason"]]
    assert (row["sample_id"], row["model"], row["score"]) == ("q3", "dpo", None)


def test_pairs_judged_in_one_order_only_stay_so(tmp_path: Path) -> None:
    column = wins()
    column.by_order["candidate_first"][:] = np.nan
    write_scores([column], tmp_path)
    (found,) = read_scores(tmp_path)
    assert isinstance(found, PreferenceColumn)
    assert found.orders == ("baseline_first",)


def test_clusters_are_kept(tmp_path: Path) -> None:
    column = replace(grades(), clusters=np.array([f"c{i % 7}" for i in range(N)], dtype=np.str_))
    write_scores([column], tmp_path)
    clusters = read_scores(tmp_path)[0].clusters
    assert clusters is not None
    np.testing.assert_array_equal(clusters, column.clusters)


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    assert write_scores([grades()], tmp_path).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"{}"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SCORES_FILE).write_bytes(content)
    with pytest.raises(HarnessError, match=r"scores\.parquet: damaged"):
        read_scores(tmp_path)


def test_a_missing_file_is_answered_with_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="Run `harness run` again"):
        read_scores(tmp_path)


def test_reading_scores_brings_no_pandas_in(tmp_path: Path) -> None:
    write_scores([grades(), wins()], tmp_path)
    code = f"""
import sys
from pathlib import Path
from harness.artifacts.scores import read_scores
read_scores(Path({str(tmp_path)!r}))
sys.exit("pandas" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_columns_of_the_same_items_share_their_ids(tmp_path: Path) -> None:
    write_scores([grades(), wins()], tmp_path)
    first, second = read_scores(tmp_path)
    assert first.sample_ids is second.sample_ids
