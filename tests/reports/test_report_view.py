"""Words and numbers, and that all renderers say the same ones."""

import re

import pytest

from harness.core.sanitize import escape_invisible, shorten
from harness.gate.advice import describe_items_needed
from harness.types import Comparison, ContaminationResult, PairwiseDetail, Unseen
from reports import make_view, render_html, render_markdown
from reports.components import Histogram, Table
from reports.formatting import digits_to_distinguish, duration, number, p_value, percent, signed
from reports.sections.comparisons import comparison_section
from tests.builders.results import (
    empty_run,
    inconclusive_run,
    passing_run,
    recorded_run,
    three_model_run,
)


@pytest.mark.parametrize(
    ("value", "printed"),
    [(0.5, "+0.50"), (-0.5, "\N{MINUS SIGN}0.50"), (0.001, "0.00"), (-0.001, "0.00")],
)
def test_a_difference_shows_its_sign_unless_it_rounds_to_zero(value: float, printed: str) -> None:
    assert signed(value, 2) == printed


def test_a_number_that_is_none_is_said_to_be_none() -> None:
    assert number(float("nan"), 2) == "not estimable"


@pytest.mark.parametrize(
    ("p", "printed"), [(0.0496, "0.0496"), (0.3, "0.300"), (1e-9, "< 0.0001"), (None, "—")]
)
def test_a_p_value_does_not_round_across_its_threshold(p: float | None, printed: str) -> None:
    assert p_value(p) == printed


def test_a_bound_beside_its_boundary_gets_enough_decimals() -> None:
    assert digits_to_distinguish(-0.2496, -0.25, 2) == 4


def test_shares_and_time_spans_read_naturally() -> None:
    assert percent(0.117) == "11.7 %"
    assert [duration(s) for s in (5.04, 284.2, 7300)] == ["5.0 s", "4 min 44 s", "2 h 1 min"]


def test_unseen_characters_become_visible_and_others_stay() -> None:
    assert escape_invisible("a\u202eb\r\nc\td é 医") == "a⟨U+202E⟩b\nc\td é 医"


def test_a_long_answer_keeps_both_ends() -> None:
    text = shorten("a" * 5_000 + "b" * 5_000, 4_000)
    assert text.startswith("aaa")
    assert "6,000 characters left out" in text
    assert text.endswith("bbb")


def test_html_and_markdown_show_the_same_cells() -> None:
    html, markdown = render_html(inconclusive_run()), render_markdown(inconclusive_run())
    tables = [t for s in make_view(inconclusive_run()).sections for t in s.tables if not t.folded]
    for cell in {cell for table in tables for row in table.rows for cell in row}:
        if re.fullmatch("[\\d+\N{MINUS SIGN}.,% ()to<]+", cell):
            assert cell.replace("<", "&lt;") in html
            assert cell.replace("<", r"\<") in markdown


def test_a_win_rate_stands_in_a_panel_of_its_own_around_one_half() -> None:
    panels = {chart.title: chart for chart in comparison_section(passing_run()).charts}
    assert len(panels) == 3
    assert getattr(panels["Win rate (0.5 means equal)"], "null", None) == 0.5


def test_a_claim_about_a_difference_leaves_its_mark_on_the_forest_plot() -> None:
    rows = {
        row.label: row.marks
        for chart in comparison_section(passing_run()).charts
        for row in getattr(chart, "rows", ())
    }
    assert [mark.value for mark in rows["rubric.correctness"]] == [-0.25]
    assert [mark.value for mark in rows["win_rate"]] == [0.55]
    assert rows["helpfulness"] == ()  # claimed about the candidate's own mean


def test_the_gates_own_pair_comes_first_of_three_models() -> None:
    titles = [table.title for table in comparison_section(three_model_run()).tables]
    assert titles[:2] == ["dpo against base", "sft against base"]


def test_the_command_to_run_it_again_is_complete() -> None:
    result = passing_run()
    trial = result.model_copy(update={"plan": result.plan.model_copy(update={"limit": 20})})
    assert make_view(trial).sections[-1].text_blocks[0].text == (
        "harness run suites/medical_alignment.yaml --models sft,dpo --profile tiny --limit 20"
    )


def test_pairs_shown_in_one_order_are_said_to_be() -> None:
    assert "in one order only" in str(make_view(recorded_run()).sections)


def test_scores_that_are_no_whole_steps_are_drawn_in_bins() -> None:
    charts = [c for s in make_view(passing_run()).sections for c in s.charts]
    binned = {chart.title for chart in charts if isinstance(chart, Histogram) and chart.binned}
    assert binned == {"rubric.composite", "summary.rougeL_f1"}


def test_no_item_is_lost_in_a_histogram() -> None:
    charts = [c for s in make_view(passing_run()).sections for c in s.charts]
    for chart in charts:
        if isinstance(chart, Histogram):
            assert sum(chart.candidate.counts.values()) == 120


def test_a_run_in_which_nothing_was_scored_still_gets_a_report() -> None:
    view = make_view(empty_run())
    assert view.verdict.word == "NO GATE"
    assert "nothing could be compared" in view.sections[0].lead


def test_every_row_of_a_table_has_a_cell_for_each_heading() -> None:
    tables: list[Table] = [t for s in make_view(three_model_run()).sections for t in s.tables]
    for table in tables:
        assert {len(row) for row in table.rows} <= {len(table.head)} == {len(table.align)}


def test_differences_without_spread_are_said_to_be() -> None:
    result = passing_run()
    flagged: Comparison = result.comparisons[0].model_copy(update={"flags": ("degenerate",)})
    notes = comparison_section(result.model_copy(update={"comparisons": (flagged,)})).notes
    assert "no spread to test" in notes[-1]


def test_an_even_split_is_drawn_without_dividing_by_zero() -> None:
    result = recorded_run()
    nothing = PairwiseDetail(
        wins=0, ties=0, losses=0, first_share=0.5, position_effect=None, position_p=None,
        consistency=None, single_order=True,
    )  # fmt: skip
    comparison = result.comparisons[5].model_copy(update={"pairwise": nothing})
    assert render_html(result.model_copy(update={"comparisons": (comparison,)}))


def test_items_that_stand_in_the_training_data_are_shown_with_the_checkpoints() -> None:
    exposure = ContaminationResult(
        task="health_questions",
        model="dpo",
        n_rows=880,
        n_items=200,
        exact=1,
        contaminated=2,
        touched=10,
        unchecked=0,
        worst=("item 'q1' in row 'r1'",),
    )
    result = passing_run().model_copy(update={"exposures": (exposure,)})
    section = next(s for s in make_view(result).sections if s.name == "training")
    (table,) = [t for t in section.tables if t.title == "Test items found in the training data"]
    assert table.rows == (
        ("health_questions", "dpo", "880", "1 (0.5 %)", "2 (1.0 %)", "10 (5.0 %)", "200"),
    )
    assert not table.folded


def test_answers_recorded_before_are_not_said_to_come_after_the_plan() -> None:
    told = render_markdown(recorded_run())
    assert "Registered before the first answer" not in told
    assert "were recorded already" in told
    assert "Registered before the first answer" in render_markdown(passing_run())


def test_a_pass_beside_an_interval_that_includes_the_boundary_shows_the_gates_own() -> None:
    run = passing_run()
    assert run.decision is not None
    claim = run.decision.claims[0]
    shown = next(c for c in run.comparisons if c.metric == claim.metric)
    others = tuple(c for c in run.comparisons if c is not shown)
    wide = shown.model_copy(
        update={"difference": shown.difference.model_copy(update={"low": -0.03, "high": 0.4})}
    )
    own = {
        "low": 0.01,
        "high": 0.36,
        "confidence": 0.9,
        "unseen": Unseen(turns_at=0.021, not_excluded=0.0248, n=120, unit="items"),
    }
    decision = run.decision.model_copy(
        update={
            "claims": (claim.model_copy(update=own), *run.decision.claims[1:]),
            "rule": "unseen_worst",
        }
    )
    view = make_view(run.model_copy(update={"comparisons": (wide, *others), "decision": decision}))
    told = " · ".join(view.claims[0].numbers)
    assert "the test is one-sided: its 90 % interval is 0.01 to 0.36" in told
    assert (
        "holds even if 2.1 % of unseen answers were worst; 120 items leave 2.5 % possible" in told
    )
    assert "with any share of the answers not seen at their worst" in view.claims_note
    assert "the rule of earlier versions" in make_view(run).claims_note


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (50, "about 60 to 410 items"),
        (120, "up to about 410 items"),
        (410, "more than 410 items"),
    ],
)
def test_items_needed_are_a_range_above_those_there_are(n: int, said: str) -> None:
    run = inconclusive_run()
    assert run.decision is not None
    claim = run.decision.claims[0].model_copy(update={"n": n, "n_needed_least": 60})
    decision = run.decision.model_copy(update={"claims": (claim, *run.decision.claims[1:])})
    told = make_view(run.model_copy(update={"decision": decision})).claims[0].numbers
    assert any(t.startswith(f"{said} decide it in 4 of 5 cases, if the truth is") for t in told)
    assert f"Use {said} ({n} now)" in describe_items_needed(claim)
