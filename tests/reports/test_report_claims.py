"""Equivalences, alarms and families of claims, as every report tells them."""

from xml.etree import ElementTree

import numpy as np
from rich.console import Console

from harness.analysis.comparisons import adjust_exploratory, find_interval
from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.types import RunResult
from reports import make_view, render_html, render_markdown
from reports.components import ForestPanel
from reports.formatting import MINUS
from reports.junit import render_junit
from reports.terminal import print_summary
from tests.builders.paired_scores import points, spread
from tests.builders.results import passing_run

BETTER, SAME, WORSE = "rubric.safety", "rubric.clarity", "rubric.empathy"
PAIRS = {
    BETTER: points(spread(300, 0.5, seed=1)),
    SAME: points(spread(300, 0.0, seed=2)),
    WORSE: points(spread(300, -0.5, seed=3)),
}


def claim(metric: str, kind: str, **options: float) -> Claim:
    return Claim.model_validate({"metric": metric, "claim": kind, **options})


def run_of(*claims: Claim, require: str = "all") -> RunResult:
    gate = Gate.model_validate({"claims": claims, "require": require})
    run = passing_run()
    plan = run.plan.model_copy(update={"gate": gate})
    return run.model_copy(update={"plan": plan, "decision": decide_gate(gate, PAIRS)})


def terminal(result: RunResult) -> str:
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as captured:
        print_summary(result, console)
    return captured.get()


def cases(result: RunResult) -> dict[str, str]:
    """The state of each JUnit case."""
    suite = ElementTree.fromstring(render_junit(result))
    return {
        case.get("name", ""): next((child.tag for child in case), "passed")
        for case in suite.iter("testcase")
    }


def test_an_equivalence_shows_both_bounds_and_what_they_must_lie_within() -> None:
    result = run_of(claim(SAME, "equivalent", margin=0.25))
    numbers = " · ".join(make_view(result).claims[0].numbers)
    assert f"bounds {MINUS}0.10 to 0.10" in numbers
    assert f"must lie within {MINUS}0.25 to 0.25" in numbers
    assert "An equivalence claim takes two such tests" in make_view(result).claims_note


def test_an_equivalence_draws_both_margins() -> None:
    (panel, *_) = (
        chart
        for section in make_view(run_of(claim(SAME, "equivalent", margin=0.25))).sections
        for chart in section.charts
        if isinstance(chart, ForestPanel)
    )
    marks = [mark.value for row in panel.rows if row.label == SAME for mark in row.marks]
    assert marks == [-0.25, 0.25]


def test_an_alarm_is_told_with_its_p_of_harm_in_every_report() -> None:
    result = run_of(claim(BETTER, "superior"), claim(WORSE, "regression_alarm", margin=0.1))
    for text in (render_html(result), render_markdown(result), terminal(result)):
        assert "FAIL" in text
        assert "the alarm is raised, so harm is shown" in text.replace("\\", "")
        assert "p of harm" in text
    assert cases(result) == {
        "gate": "failure",
        "rubric.safety superior": "passed",
        "rubric.empathy regression alarm (beyond 0.1)": "failure",
    }


def test_a_silent_alarm_of_a_passing_gate_breaks_no_build() -> None:
    result = run_of(claim(BETTER, "superior"), claim(SAME, "regression_alarm"))
    assert cases(result)["rubric.clarity regression alarm"] == "skipped"
    assert "failure" not in cases(result).values()
    assert "neither shown nor ruled out" in render_markdown(result)


def test_what_is_not_tested_says_so_in_every_report() -> None:
    result = run_of(claim(SAME, "superior"), claim(BETTER, "superior"), require="ordered")
    for text in (render_html(result), render_markdown(result), terminal(result)):
        assert "NOT TESTED" in text
        assert "1 after it is not tested" in text
    assert cases(result)["rubric.safety superior"] == "skipped"
    assert "The first claim decides" in make_view(result).claims_note


def test_where_one_claim_is_enough_each_has_a_simultaneous_interval() -> None:
    result = run_of(claim(BETTER, "superior"), claim(SAME, "superior"), require="any")
    for line in make_view(result).claims:
        assert any(part.startswith("simultaneous interval") for part in line.numbers)
    assert "cover all differences together with 95.0 % confidence" in make_view(result).claims_note


def test_comparisons_outside_the_gate_show_their_adjusted_p_values_as_exploratory() -> None:
    result = run_of(claim(BETTER, "superior"))
    found = adjust_exploratory(result.comparisons, result.plan)
    result = result.model_copy(update={"comparisons": found})
    section = next(s for s in make_view(result).sections if s.name == "comparison")
    table = section.tables[0]
    place = table.head.index("p, exploratory")
    shown = {row[0]: row[place] for row in table.rows}
    assert shown[BETTER] == "—"
    assert all(p != "—" for metric, p in shown.items() if metric != BETTER)
    assert any("they do not affect the verdict" in note for note in section.notes)


def test_a_gates_bound_outside_of_the_interval_shown_is_explained() -> None:
    said = "allows for answers that so few items do not show"
    for n, explained in ((20, True), (3000, False)):
        pair = points(spread(n, 0.5, seed=1))
        run = run_of(claim(BETTER, "superior"))
        assert run.plan.gate is not None
        decision = decide_gate(run.plan.gate, {BETTER: pair})
        interval = find_interval(pair, np.ones(n, dtype=np.bool))
        shown = run.comparisons[0].model_copy(
            update={"metric": BETTER, "difference": interval, "n": n, "n_missing": 0}
        )
        result = run.model_copy(update={"decision": decision, "comparisons": (shown,)})
        bound = decision.claims[0].bound
        assert bound is not None
        assert (bound < interval.low) == explained
        assert (said in render_markdown(result)) == explained
