"""`harness calibrate` as a user has it."""

import json
from pathlib import Path

import numpy as np

from tests.builders.commands import harness_here
from tests.builders.judged_runs import winner_rows, wins, write_labels, write_run
from tests.builders.votes import cast_votes, steady

WON = np.tile([1.0, 0.0, 1.0], 40)


def test_a_study_ends_in_a_win_rate_with_its_interval(tmp_path: Path):
    run = write_run(tmp_path / "run", [wins(WON)])
    cast_votes(run, {"Ada": steady("candidate"), "Ben": steady("tie")})
    done = harness_here("calibrate", "run", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("win_rate: win rate 75.0% (")
    assert "2 annotators, 120 votes" in done.stdout
    assert {path.name for path in run.glob("calibration.*")} == {
        "calibration.html", "calibration.json", "calibration.md",
    }  # fmt: skip


def test_json_is_the_file_that_is_written(tmp_path: Path):
    run = write_run(tmp_path / "run", [wins(WON)])
    write_labels(tmp_path / "labels.csv", winner_rows(WON, range(60)))
    options = ("--labels", "labels.csv", "--random", "--half-width", "0.02", "--format", "json")
    done = harness_here("calibrate", "run", *options, cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told == json.loads((run / "calibration.json").read_text())
    assert told["corrected"][0]["half_width"] == 0.02


def test_a_run_on_which_nobody_voted_is_wrong_usage(tmp_path: Path):
    write_run(tmp_path / "run", [wins(WON)])
    done = harness_here("calibrate", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "Begin with `harness annotate`" in done.stderr


def test_a_study_without_a_vote_says_so(tmp_path: Path):
    cast_votes(write_run(tmp_path / "run", [wins(WON)]), {})
    done = harness_here("calibrate", "run", cwd=tmp_path)
    assert "there is no vote yet" in done.stdout
    assert "no judge of this run" not in done.stdout
