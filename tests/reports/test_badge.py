"""badge.svg: the last verdict in a word, a symbol and a colour; and `harness badge`."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.types import RunResult
from reports.badge import render_badge
from tests.builders.commands import harness_here
from tests.builders.hostile import PAYLOADS
from tests.builders.results import failing_run, inconclusive_run, passing_run, run_without_gate
from tests.builders.scored import grades, make_run
from tests.builders.sealed import write_whole_run

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: bytes) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("result", "said", "fill"),
    [
        (passing_run(), "✓ PASS", "#1a7345"),
        (failing_run(), "✗ FAIL", "#b0271e"),
        (inconclusive_run(), "? INCONCLUSIVE", "#8a5700"),
        (run_without_gate(), "○ NO GATE", "#59616b"),
    ],
    ids=["pass", "fail", "inconclusive", "none"],
)
def test_a_badge_says_suite_verdict_and_day(result: RunResult, said: str, fill: str) -> None:
    svg = render_badge(result)
    assert texts(svg) == [result.plan.suite, f"{said} · {result.finished[:10]}"]
    root = ElementTree.fromstring(svg)
    assert root.findall(f"{SVG}rect")[1].get("fill") == fill
    assert root.get("aria-label") == root.findtext(f"{SVG}title")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_suites_name_is_text_in_a_badge_whatever_it_holds(payload: str) -> None:
    result = passing_run()
    plan = result.plan.model_copy(update={"suite": payload})
    root = ElementTree.fromstring(render_badge(result.model_copy(update={"plan": plan})))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "rect", "text",
    }  # fmt: skip


def write_runs(out: Path) -> Path:
    for day, shift in ((1, 1.0), (3, 0.0), (2, 1.0)):
        run = make_run(grades(shift))
        known = run.result.model_copy(update={"finished": f"2026-01-0{day}T10:00:00+00:00"})
        write_whole_run(run._replace(result=known), out / "suite" / f"run{day}")
    return out


def test_the_badge_of_a_suite_is_that_of_its_last_run(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs")
    done = harness_here("badge", "suite", "-o", "b.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert texts((tmp_path / "b.svg").read_bytes())[1].endswith("· 2026-01-03")
    assert "PASS" not in texts((tmp_path / "b.svg").read_bytes())[1]


@pytest.mark.parametrize("content", [b"{", None], ids=["unreadable", "changed"])
def test_no_badge_is_drawn_where_the_last_run_cannot_be_trusted(
    tmp_path: Path, content: bytes | None
) -> None:
    last = write_runs(tmp_path / "runs") / "suite" / "run3"
    (last / ("results.json" if content else "scores.parquet")).write_bytes(content or b"other")
    done = harness_here("badge", "suite", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "badge.svg").exists()) == (4, False)
    assert "run3" in done.stderr


def test_a_suite_without_a_run_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs")
    done = harness_here("badge", "suit", cwd=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'suite'?" in done.stderr


def test_a_badge_that_cannot_be_written_is_said_to_be(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs")
    done = harness_here("badge", "suite", "-o", ".", cwd=tmp_path)
    assert (done.returncode, done.stderr.startswith("harness: --out .: cannot be")) == (2, True)
