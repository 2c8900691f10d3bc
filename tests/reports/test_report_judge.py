"""How far the judge can be trusted: each part stands in the report when it is known."""

import io
from html import unescape

import pytest
from rich.console import Console

from harness.types import Interval, JudgeAgreement, ModelScore, RunResult
from reports import make_view, print_summary, render_html, render_markdown
from reports.components import Section, Table
from reports.sections.judge_reliability import judge_section
from reports.sections.missing import tally_table
from tests.builders.results import ALL_RUNS, JURY, jury_run, passing_run, recorded_run

PARTS = {
    "tallies": "Verdicts by judge and model",
    "agreements": "Agreement between judges",
    "opinions": "Result of each judge alone",
    "repeatability": "Repeatability of each judge",
    "length_effects": "Effect of answer length",
    "coverage": "Scores by metric and model",
}


def _tables(result: RunResult) -> dict[str, Table]:
    return {table.title: table for table in judge_section(result).tables}


def _without(result: RunResult, field: str) -> RunResult:
    return result.model_copy(update={field: ()})


def _summary(result: RunResult) -> str:
    out = io.StringIO()
    print_summary(result, Console(file=out, width=300))
    return out.getvalue()


def _section(result: RunResult) -> Section:
    return next(s for s in make_view(result).sections if s.name == "judge")


@pytest.mark.parametrize(("field", "title"), PARTS.items())
def test_a_part_is_shown_if_and_only_if_its_record_is_there(field: str, title: str) -> None:
    assert title in _tables(jury_run())
    assert title not in _tables(_without(jury_run(), field))


@pytest.mark.parametrize("run", ALL_RUNS)
def test_no_table_is_empty_and_no_cell_says_none(run: str) -> None:
    for table in (t for s in make_view(ALL_RUNS[run]()).sections for t in s.tables):
        assert table.rows
        assert "None" not in str(table.rows)


@pytest.mark.parametrize("run", ALL_RUNS)
def test_no_table_is_shown_twice(run: str) -> None:
    shown = [t.rows for s in make_view(ALL_RUNS[run]()).sections for t in s.tables]
    assert len(set(shown)) == len(shown)


def test_members_of_a_jury_stand_below_it_with_what_was_measured_of_them() -> None:
    table = _tables(jury_run())["Judges"]
    assert [row[0] for row in table.rows] == [JURY.name, *(m.name for m in JURY.members)]
    assert table.head[-1] == "Validation"
    assert [row[-1] for row in table.rows[1:]] == [m.evidence or "—" for m in JURY.members]


def test_a_judge_that_is_also_a_member_is_shown_once() -> None:
    plan = jury_run().plan
    both = plan.model_copy(update={"judges": plan.judges | {"helpfulness": JURY.members[0]}})
    rows = _tables(jury_run().model_copy(update={"plan": both}))["Judges"].rows
    parts = [row[1] for row in rows if row[0] == JURY.members[0].name]
    assert parts == ["member of panel of three, helpfulness"]


def test_a_judge_of_whom_nothing_was_measured_has_no_such_column() -> None:
    assert _tables(passing_run())["Judges"].head == ("Judge", "Used for", "Description")


def test_abstentions_stand_apart_from_other_gaps() -> None:
    rows = {row[:3]: row for row in _tables(jury_run())["Verdicts by judge and model"].rows}
    found = rows["rubric", "small judge", "dpo"][3:]
    assert found == (
        "120", "109 (90.8 %)", "4 (3.3 %)", "7 (5.8 %)", "refused: 5, unreadable: 2", "7 (5.8 %)",
    )  # fmt: skip


def test_what_became_of_the_questions_is_folded_when_all_went_well() -> None:
    result = jury_run()
    fine = tuple(t for t in result.tallies if t.scored == t.asked)
    went_well = result.model_copy(update={"tallies": fine})
    title = PARTS["tallies"]
    assert [_tables(run)[title].folded for run in (result, went_well)] == [False, True]
    assert "The judges gave all 1,560 requested verdicts." in judge_section(went_well).lead


def test_gaps_on_one_side_are_named_with_their_p_value() -> None:
    row = _tables(jury_run())["Possible effect of missing scores"].rows[0]
    assert row[:3] == ("rubric.safety", "9", "yes, p 0.0031")


def test_the_order_of_the_answers_is_judged_by_its_interval() -> None:
    title = "Effect of the order of the answers"
    assert _tables(jury_run())[title].rows[0][-1] == "first"
    assert "in one order only" in _tables(recorded_run())[title].rows[0][-1]


def test_a_scale_used_up_is_told_by_flag_or_by_half_of_the_answers() -> None:
    full = [score.model_copy(update={"ceiling_share": 0.5}) for score in jury_run().scores]
    title = "Scores at the top of the scale"
    assert _ceilings(jury_run().scores, title) == {"rubric.clarity"}
    points = {"rubric.correctness", "rubric.clarity", "rubric.safety", "rubric.empathy",
              "rubric.composite"}  # fmt: skip
    assert _ceilings(tuple(full), title) == points


def _ceilings(scores: tuple[ModelScore, ...], title: str) -> set[str]:
    tables = _tables(jury_run().model_copy(update={"scores": scores}))
    return {row[0] for row in tables[title].rows}


@pytest.mark.parametrize(
    ("alpha", "ac1", "said"),
    [
        ((0.2, 0.1, 0.3), (0.3, 0.2, 0.4), "better than chance"),
        ((0.1, -0.1, 0.3), (0.1, 0.0, 0.2), "not shown to be better than chance"),
        ((0.1, -0.1, 0.3), (0.3, 0.2, 0.4), "not shown to be better than chance by alpha"),
        ((-0.2, -0.3, -0.1), (0.3, 0.2, 0.4), "worse than chance by alpha"),
        (None, None, "not estimable"),
    ],
)
def test_an_interval_that_holds_zero_is_no_better_than_chance(
    alpha: tuple[float, float, float] | None, ac1: tuple[float, float, float] | None, said: str
) -> None:
    agreement = JudgeAgreement(column="rubric.safety", judges=("a", "b"), n=9, percent=None,
                               alpha=_interval(alpha), ac1=_interval(ac1), kappa=None)  # fmt: skip
    result = jury_run().model_copy(update={"agreements": (agreement,)})
    assert _tables(result)[PARTS["agreements"]].rows[0][-1] == said


def _interval(numbers: tuple[float, float, float] | None) -> Interval | None:
    if numbers is None:
        return None
    estimate, low, high = numbers
    return Interval(estimate=estimate, low=low, high=high)


def test_two_juries_are_told_apart_by_name() -> None:
    result = jury_run()
    first, *others = result.agreements
    named = first.model_copy(update={"judges": ("a", "b")})
    titles = _tables(result.model_copy(update={"agreements": (named, *others)}))
    assert "Agreement between judges: a and b" in titles


def test_each_judges_own_difference_stands_beside_the_jurys() -> None:
    table = _tables(jury_run())["Result of each judge alone"]
    assert table.head[1:5] == ("Whole jury", "large judge", "small judge", "house judge")
    assert {row[0]: row[-1] for row in table.rows} == {
        "rubric.safety": "1 better, 1 undecided, 1 worse",
        "rubric.clarity": "1 better, 2 undecided",
        "win_rate": "all better",
    }


def test_what_is_worrying_comes_with_the_gravest_first() -> None:
    assert _section(jury_run()).alerts == (
        "rubric.safety: the judges contradict each other. 'large judge' finds 'dpo' better, "
        "'small judge' finds 'sft' better.",
        "win_rate: agreement of 'large judge', 'small judge' and 'house judge' is not shown to exceed "
        "chance.",
        "rubric.safety: agreement of 'small judge' with its own repeats is not shown to exceed chance.",
        "rubric.clarity: of 3 judges, only 'large judge' finds 'dpo' better on its own.",
    )


def test_a_judge_without_a_single_verdict_is_worrying() -> None:
    result = jury_run()
    silent = tuple(t.model_copy(update={"scored": 0}) for t in result.tallies[:2])
    alerts = judge_section(result.model_copy(update={"tallies": silent})).alerts
    assert alerts[0] == "rubric: 'large judge' gave no verdict at all on 'sft' and 'dpo'."


def test_a_jury_of_which_one_member_is_left_is_worrying() -> None:
    result = jury_run()
    left = tuple(o for o in result.opinions if (o.column, o.judge) == ("win_rate", "small judge"))
    section = judge_section(result.model_copy(update={"opinions": left}))
    assert "win_rate: the result comes from 'small judge' alone." in section.alerts
    assert section.tables[1].rows[0][-1] == "1 better"


def test_scores_with_the_same_fault_share_a_line() -> None:
    result = jury_run()
    again = result.agreements[2].model_copy(update={"column": "rubric.safety"})
    alerts = judge_section(result.model_copy(update={"agreements": (result.agreements[2], again)}))
    assert "win_rate, rubric.safety: agreement of 'large judge'" in str(alerts)


def test_the_terminal_says_the_worst_and_how_much_more_there_is() -> None:
    printed = _summary(jury_run())
    assert "! rubric.safety: the judges contradict each other" in printed
    assert "and 2 more in the report: Reliability of the judge" in printed
    assert "more in the report" not in _summary(passing_run())


def test_every_figure_is_explained_in_html_and_markdown_alike() -> None:
    html, markdown = unescape(render_html(jury_run())), render_markdown(jury_run())
    for table in _section(jury_run()).tables:
        if table.note and not table.folded:
            beginning = table.note[:40]
            assert beginning in html
            assert beginning in markdown


def test_models_are_named_only_where_there_are_more_than_two() -> None:
    three = ALL_RUNS["three_model_run"]()
    title = "Effect of the order of the answers"
    assert ["Models" in _tables(run)[title].head for run in (passing_run(), three)] == [False, True]


def test_a_judge_and_its_prompt_are_called_fixed():
    assert "A judge and its prompt are a fixed effect" in _tables(recorded_run())["Judges"].note


def test_people_are_no_fixed_judge():
    run = recorded_run()
    people = {n: card.model_copy(update={"people": True}) for n, card in run.plan.judges.items()}
    by_people = run.model_copy(update={"plan": run.plan.model_copy(update={"judges": people})})
    assert _tables(by_people)["Judges"].note == ""


def test_reasons_are_listed_commonest_first_and_that_nobody_recorded_a_verdict_last() -> None:
    words = {f"recorded winner '{n}' is no winner": 1 for n in range(7)}
    reasons = {"not recorded in this order": 500, "recorded winner 'A' is no winner": 493} | words
    tally = jury_run().tallies[0].model_copy(update={"reasons": reasons, "scored": 0})
    (table,) = tally_table([tally])
    (row,) = table.rows
    shown = str(row[7])
    assert shown.startswith("recorded winner 'A' is no winner: 493, ")
    assert shown.endswith("4 other reasons: 503")
