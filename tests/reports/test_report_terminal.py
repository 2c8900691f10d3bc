"""The summary on the terminal."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from reports import print_summary
from tests.builders.hostile import PAYLOADS, hostile_run
from tests.builders.results import ALL_RUNS, passing_run


def _printed(payload: str = "", *, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    result = hostile_run(payload) if payload else passing_run()
    print_summary(result, console, report=Path("runs/x/report.html"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_control_character_reaches_the_terminal(payload: str) -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", _printed(payload))


def test_markup_in_foreign_text_is_printed_not_obeyed() -> None:
    assert "[bold red]x[/bold red]" in _printed("[bold red]x[/bold red]", width=400)


def test_no_line_begins_with_a_workflow_command() -> None:
    assert not re.search(r"(?m)^\s*::", _printed("\n::error::x", width=400))


def test_the_summary_names_verdict_claims_judge_and_report() -> None:
    printed = _printed()
    for said in ("✓ PASS", "rubric.safety superior", "no language model", "runs/x/report.html"):
        assert said in printed


@pytest.mark.parametrize("run", ALL_RUNS)
def test_every_kind_of_run_has_a_summary(run: str) -> None:
    console = Console(file=io.StringIO(), width=80)
    print_summary(ALL_RUNS[run](), console)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_no_number_of_a_metric_is_broken_in_a_narrow_terminal(width: int) -> None:
    printed = _printed(width=width)
    for interval in re.findall(r"\S+ to \S+", _printed(width=200)):
        assert interval in printed


def test_a_wide_terminal_shows_every_column() -> None:
    (head,) = [line for line in _printed(width=140).splitlines() if "95 % CI" in line]
    assert head.split() == [
        "Metric",
        "Baseline",
        "Candidate",
        "Estimate",
        "95",
        "%",
        "CI",
        "p",
        "n",
    ]
