"""Watching a stream of scores that somebody looks at again and again."""

import math
from pathlib import Path

import numpy as np
import pytest

from harness.core.errors import HarnessError
from harness.runs.monitor import read_stream, watch_scores
from reports.monitor import describe_monitor
from tests.builders.files import write, write_rows

UNIT = (0.0, 1.0)


def wins(share: float, n: int, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def test_a_broken_promise_raises_the_alarm_and_a_kept_one_does_not() -> None:
    assert watch_scores(wins(0.3, 300), 0.5, bounds=UNIT, alpha=0.05).alarm
    assert not watch_scores(wins(0.6, 300), 0.5, bounds=UNIT, alpha=0.05).alarm


def test_an_alarm_stays_raised() -> None:
    stream = np.concatenate([wins(0.2, 200), wins(1.0, 400)])
    found = watch_scores(stream, 0.5, bounds=UNIT, alpha=0.05)
    assert found.alarm
    assert found.e_value < 1 / 0.05 < found.largest
    assert found.largest_at < 250


def test_gaps_cannot_raise_it() -> None:
    stream = np.full(300, np.nan)
    found = watch_scores(stream, 0.5, bounds=UNIT, alpha=0.05)
    assert (found.n_missing, found.alarm) == (300, False)
    assert (found.mean.low, found.mean.high) == (0.0, 1.0)


def test_looked_at_after_every_item_it_seldom_errs() -> None:
    alarms = [
        watch_scores(wins(0.5, 200, seed), 0.5, bounds=UNIT, alpha=0.1).alarm for seed in range(300)
    ]
    assert np.mean(alarms) <= 0.1 + 2.6 * math.sqrt(0.1 * 0.9 / 300)


def test_scores_are_read_in_order_with_their_gaps(tmp_path: Path) -> None:
    rows = [{"win": 1}, {"win": None}, {"win": 0.5}, {"win": "0"}]
    path = write_rows(tmp_path / "stream.jsonl", rows)
    assert read_stream(path, "win", bounds=UNIT).tolist() == pytest.approx(
        [1.0, math.nan, 0.5, 0.0], nan_ok=True
    )


@pytest.mark.parametrize("cell", ["good", "1.5", "nan", "inf"])
def test_what_is_no_score_is_refused_with_its_line(tmp_path: Path, cell: str) -> None:
    path = write(tmp_path / "stream.csv", f"win\n0.5\n{cell}\n")
    with pytest.raises(HarnessError, match=r"stream.csv:3: .* is not a score from 0 to 1"):
        read_stream(path, "win", bounds=UNIT)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "stream.csv", "win\n0.5\n")
    with pytest.raises(HarnessError, match="no column 'score'"):
        read_stream(path, "score", bounds=UNIT)


def test_a_mean_that_changed_is_said_to_have_changed() -> None:
    scores = np.array([1.0] * 200 + [0.0] * 200)
    result = watch_scores(scores, 0.5, bounds=(0.0, 1.0), alpha=0.05)
    assert 0.5 < result.mean.high < result.mean.low
    assert "The mean has changed: at some time it was at least" in "\n".join(
        describe_monitor(result)
    )
