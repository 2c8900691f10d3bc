"""What the summary of a run says to do next."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.artifacts.results_json import load_result
from reports.terminal import print_summary
from tests.builders.commands import harness_here
from tests.builders.recorded import write_study

GATE = "gate:\n  claims: [{metric: rubric.safety, claim: superior}]\n"
NOTHING = "Nothing is left to settle: the gate has passed."


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "suite.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def leave_out(folder: Path, n: int) -> None:
    """Take the verdicts on the candidate's first answers away."""
    path = folder / "graded_new.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows[:n]:
        row["safety"] = None
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def steps(folder: Path, *options: str, models: str = "old,new") -> list[str]:
    """Return the next steps of a run of the study in a folder, as its results.json has them."""
    done = harness_here(
        "run", "suite.yaml", "--profile", "profile.yaml", "--models", models, "--format", "json", *options,
        cwd=folder,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(done.stdout)
    result = load_result(folder / said["folder"])
    assert [step["text"] for step in said["next_steps"]] == [s.text for s in result.next_steps]
    return [step.text for step in result.next_steps]


def test_after_a_pass_nothing_is_left_and_the_worst_items_are_named(tmp_path: Path) -> None:
    first, second = steps(write_study(tmp_path, shifts={"old": 0, "new": 1}))
    [run] = tmp_path.glob("runs/*/*")
    assert first == f"{NOTHING} harness bless {run.name} makes it the baseline of later checks."
    assert harness_here("bless", run.name, cwd=tmp_path).returncode == 0
    assert (
        second
        == "Read new's worst on rubric.safety: q24 (\N{MINUS SIGN}1), q31 (\N{MINUS SIGN}1), "
        "q48 (\N{MINUS SIGN}1) and 8 more."
    )


def test_where_no_item_is_worse_that_is_said(tmp_path: Path) -> None:
    first, second = steps(write_study(tmp_path, shifts={"old": 0, "new": 2}))
    assert first.startswith(NOTHING)
    assert second == "No item to read first: 'new' is nowhere worse on rubric.safety."


def test_the_report_links_to_the_items_and_pages_that_are_named(tmp_path: Path) -> None:
    steps(write_study(tmp_path, shifts={"old": 0, "new": 1}))
    [report] = tmp_path.glob("runs/*/*/report.html")
    [listed] = re.findall(r'<ol class="next">.*?</ol>', report.read_text("utf-8"), re.DOTALL)
    addresses = dict(re.findall(r'<a href="([^"#]+)([^"]*)">', listed))
    assert {"explorer.html", "items/index.html"} <= set(addresses)
    assert sum(anchor.startswith(("#q24-", "#q31-", "#q48-")) for anchor in addresses.values()) == 3
    assert all((report.parent / page).is_file() for page in addresses)


def test_after_a_fail_the_items_come_first(tmp_path: Path) -> None:
    (only,) = steps(write_study(tmp_path, shifts={"old": 0, "new": -2}))
    assert only.startswith("Read new's worst on rubric.safety: q24 (\N{MINUS SIGN}4)")


def ask_for_agreement(folder: Path) -> None:
    edit(folder, "gate:\n", "gate:\n  judge_licence: {metric: kappa, at_least: 0.6}\n")


def limit_critical(folder: Path) -> None:
    rule = "superior}]\n  critical: [{metric: rubric.safety, at_most: 1, allowed_share: 0.01}]\n"
    edit(folder, "superior}]\n", rule)


@pytest.mark.parametrize(
    ("shift", "change", "said"),
    [
        (0.1, None, "Use about 157 to 1,559 items (150 now) to settle 'rubric.safety superior'."),
        (2, lambda folder: leave_out(folder, 60), "Complete the recorded answers and verdicts"),
        (2, lambda folder: edit(folder, GATE, ""), "State claims ('gate' in the suite)"),
        (2, ask_for_agreement, "Show that 'default' agrees with people, by at least 7 labels"),
        (3, limit_critical, "Use at least 299 items (150 now) to settle"),
    ],
)
def test_what_would_settle_a_run_comes_first(
    shift: float, change: Callable[[Path], None] | None, said: str, tmp_path: Path
) -> None:
    folder = write_study(tmp_path, shifts={"old": 0, "new": shift})
    if change is not None:
        change(folder)
    assert steps(folder)[0].startswith(said)


def test_too_few_items_for_any_answers_are_said_with_the_fewest(tmp_path: Path) -> None:
    first, *_ = steps(write_study(tmp_path, shifts={"old": 0, "new": 1}, n=3))
    assert first.startswith("Use at least ")
    assert "with 3 no answers could decide" in first


def test_a_trial_is_to_be_run_in_full(tmp_path: Path) -> None:
    first, *_ = steps(write_study(tmp_path, shifts={"old": 0, "new": 2}), "--limit", "20")
    assert first == "Run without --limit: this was a trial on the first 20 items."


def test_one_model_needs_a_baseline_and_its_lowest_items_are_named(tmp_path: Path) -> None:
    first, second = steps(write_study(tmp_path, shifts={"old": 0, "new": 0}), models="new")
    assert "--models BASELINE,new" in first
    assert second.startswith("Read new's worst on rubric.")
    assert "more" not in second


def test_items_without_a_score_are_named(tmp_path: Path) -> None:
    folder = write_study(tmp_path, shifts={"old": 0, "new": 2})
    leave_out(folder, 2)
    assert steps(folder)[1] == "Read unscored items: q0, q1."


def test_an_item_with_an_invisible_name_is_named(tmp_path: Path) -> None:
    folder = write_study(tmp_path, shifts={"old": 0, "new": 2})
    leave_out(folder, 1)
    for path in folder.glob("*.jsonl"):
        path.write_text(path.read_text().replace('"q0"', '"\\u200b"'))
    assert steps(folder)[1] == "Read unscored items: ⟨U+200B⟩."


def test_protected_items_are_counted_and_not_named(tmp_path: Path) -> None:
    folder = write_study(tmp_path, shifts={"old": 0, "new": -1})
    edit(folder, "reference: answer}}", "reference: answer}, phi: true}")
    assert steps(folder) == ["Read new's worst on rubric.safety: 101 items."]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_page_markdown_and_terminal_say_the_same(width: int, tmp_path: Path) -> None:
    folder = write_study(tmp_path, shifts={"old": 0, "new": 1})
    said = steps(folder)
    (run,) = (folder / "runs" / "small").iterdir()
    console = Console(file=io.StringIO(), width=width)
    print_summary(load_result(run), console, report=run / "report.html")
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    terminal = " ".join(" ".join(lines).split())
    html, markdown = ((run / f"report.{kind}").read_text() for kind in ("html", "md"))
    assert said[0] in html.replace("&#39;", "'")
    assert said[0] in markdown
    assert (
        f"Next: {said[0]} {said[1]} Open explorer.html to search, sort and filter items, or "
        "items/index.html for every item, the worst first; harness view shows" in terminal
    )
