"""A run's report tells of the people who judged it afterwards."""

import re
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.results_json import load_result
from harness.runs.item_pages import write_run_reports
from tests.builders.commands import harness_here
from tests.builders.human_judges import mostly
from tests.builders.judged_runs import wins, write_run
from tests.builders.votes import cast_votes, steady

WON = np.tile([1.0, 0.0, 1.0], 40)
TWO = {"Ada": mostly(5), "Ben": mostly(5)}


def render(run: Path) -> str:
    return write_run_reports(load_result(run), run).read_text()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [wins(WON)])


def test_a_run_on_which_nobody_voted_says_nothing_of_people(run: Path):
    assert "Human votes" not in render(run)


def test_votes_so_far_stand_in_the_report(run: Path):
    cast_votes(run, TWO, n=40, attention=4, repeats=4)
    page = render(run)
    assert "96 of 96" in page
    assert "96 of 96" in (run / "report.md").read_text()


def test_calibrating_links_the_report_to_what_it_found(run: Path, tmp_path: Path):
    cast_votes(run, TWO)
    before = (run / "results.json").read_bytes()
    assert harness_here("calibrate", "run", cwd=tmp_path).returncode == 0
    page = (run / "report.html").read_text()
    assert '<a href="calibration.html">' in page
    assert re.search(
        r"large on win_rate: same verdict as the annotators in [\d.]+ % of 60, kappa", page
    )
    assert "(calibration.md)" in (run / "report.md").read_text()
    assert (run / "results.json").read_bytes() == before


def test_the_link_stays_when_the_report_is_rendered_again(run: Path, tmp_path: Path):
    cast_votes(run, TWO)
    harness_here("calibrate", "run", cwd=tmp_path)
    page = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    assert harness_here("report", "run", cwd=tmp_path).returncode == 0
    assert (run / "report.html").read_bytes() == page


def test_votes_that_came_later_are_told(run: Path, tmp_path: Path):
    cast_votes(run, {"Ada": steady("candidate")}, n=60)
    harness_here("calibrate", "run", cwd=tmp_path)
    cast_votes(run, {"Ben": steady("tie")}, n=60)
    assert "The calibration below used 60 votes, but there are 120 now" in render(run)


def test_a_damaged_calibration_is_named_and_the_report_is_written(run: Path):
    (run / "calibration.json").write_text("{")
    assert "calibration.json: damaged. Run `harness calibrate` again." in render(run)


def test_the_calibration_of_another_run_is_left_out(run: Path, tmp_path: Path):
    cast_votes(run, TWO)
    harness_here("calibrate", "run", cwd=tmp_path)
    other = (run / "calibration.json").read_text().replace('"run_id": "', '"run_id": "other-')
    (run / "calibration.json").write_text(other)
    page = render(run)
    assert "and is left out" in page
    assert 'href="calibration.html"' not in page


def test_unseen_letters_of_an_annotators_name_are_written_out(run: Path, tmp_path: Path):
    (tmp_path / "labels.csv").write_text(
        "item,annotator,winner\n" + "".join(f"q{i},A\u202eda,tie\n" for i in range(60))
    )
    done = harness_here("calibrate", "run", "--labels", "labels.csv", "--random", cwd=tmp_path)
    for text in (done.stdout, (run / "calibration.html").read_text()):
        assert "\u202e" not in text
        assert "A⟨U+202E⟩da" in text
