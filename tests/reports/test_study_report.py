"""The report, the terminal's lines and the paper's tables of a study."""

import csv
from pathlib import Path

import pytest

from harness.types import Interval
from harness.types.study import ArmCost, ArmPair, StudyArm, StudyLook, StudyResult
from reports.paper_tables import paper_csv, paper_latex, paper_markdown
from reports.study import describe_study, dropped_words, study_view, write_study


def arm(name: str, best: int, mean: float, **more: object) -> StudyArm:
    return StudyArm(
        name=name, method=name, recipe=f"r with {name}", seeds=(1, 2, 3), n_items=10, letters="ab"[best > 1],
        mean=Interval(estimate=mean, low=mean - 1, high=mean + 1), rank_best=best, rank_worst=max(best, 2) if best < 3 else 3,
        cost=ArmCost(trainable_parameters=1000 * best, training_seconds=10.0 / best),
        on_front={"trainable_parameters": best == 1, "training_seconds": True}, **more,
    )  # fmt: skip


@pytest.fixture
def result() -> StudyResult:
    failed = StudyArm(name="bro_ken", problem="<script>x</script> \x1b[31m no\u202e such & option")
    pairs = (
        ArmPair(first="a", second="b", look=1, difference=Interval(estimate=-0.2, low=-1, high=0.6), df=4),
        ArmPair(first="a", second="c", look=1, difference=Interval(estimate=-3, low=-4, high=-2), df=4, better="a"),
        ArmPair(first="b", second="c", look=1, difference=Interval(estimate=-2.8, low=-4, high=-1), df=4, better="b"),
    )  # fmt: skip
    return StudyResult(
        study="s", title="T", suite="small", metric="m", low=1, high=10, alpha=0.05, sentence="a and b lead.",
        arms=(arm("a", 1, 7), arm("b", 1, 6.8), arm("c", 3, 4), failed), pairs=pairs, plan_hash="h",
        looks=(StudyLook(number=1, seeds=(1, 2, 3), n_items=10, alpha=0.05, arms=("a", "b", "c"), run_id="r", folder="runs/small/r"),),
        registered="2026-01-01", started="2026-01-01", finished="2026-01-02", harness_version="0",
    )  # fmt: skip


def test_the_pages_hold_every_arm_and_let_nothing_run(result: StudyResult, tmp_path: Path) -> None:
    write_study(result, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert all(name in page for name in ("1 to 2", "a better than c", "not told apart", "bro_ken"))
    assert "<script>x" not in page
    assert "\u202e" not in page
    assert "not told apart" in (tmp_path / "report.md").read_text()


def test_a_page_never_gives_a_verdict_of_a_gate(result: StudyResult, tmp_path: Path) -> None:
    view = study_view(result, tmp_path)
    assert view.verdict.word == "RANKED"
    assert view.claims == ()


def test_a_terminal_gets_no_control_characters(result: StudyResult, tmp_path: Path) -> None:
    told = "\n".join(describe_study(result, tmp_path))
    assert "bro_ken  no place: <script>x</script>" in told
    assert "\x1b" not in told


def test_latex_is_escaped(result: StudyResult) -> None:
    assert r"bro\_ken & -- & -- & -- \\" in paper_latex(result)
    assert r"a & 7.00 [6.00, 8.00] & 1--2 & a \\" in paper_latex(result)


def test_csv_has_a_row_for_every_arm_with_its_numbers(result: StudyResult) -> None:
    rows = list(csv.DictReader(paper_csv(result).splitlines()))
    assert [row["arm"] for row in rows] == ["a", "b", "c", "bro_ken"]
    assert (rows[0]["mean"], rows[0]["rank_worst"], rows[3]["mean"]) == ("7.0", "2", "")


def test_markdown_has_ranks_and_groups(result: StudyResult) -> None:
    assert "| a | 7.00 [6.00, 8.00] | 1-2 | a |" in paper_markdown(result)


def test_an_arm_dropped_for_one_that_lost_its_place_later_is_still_told(
    result: StudyResult,
) -> None:
    look = result.looks[0].model_copy(update={"dropped": {"c": "bro_ken"}})
    told = list(dropped_words(result.model_copy(update={"looks": (look,)})))
    assert told == ["c was dropped after look 1 (10 items and 3 training seeds): bro_ken is better, so that it cannot be the best any more"]  # fmt: skip
