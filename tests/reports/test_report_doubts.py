"""What a report shows of other countings, slices, critical answers and rankings."""

import pytest

from reports.components import Section, View
from reports.markdown import view_to_markdown
from reports.view import make_view
from tests.builders.doubts import doubted
from tests.builders.results import passing_run


@pytest.fixture(scope="module")
def view() -> View:
    return make_view(doubted(passing_run()))


def section(view: View, name: str) -> Section:
    return next(section for section in view.sections if section.name == name)


def cells(part: Section, title: str) -> tuple[tuple[str, ...], ...]:
    return next(table.rows for table in part.tables if table.title.startswith(title))


def test_nothing_is_said_of_what_was_not_done() -> None:
    names = {section.name for section in make_view(passing_run()).sections}
    assert not names & {"critical", "slices", "sensitivity"}


def test_a_rule_on_critical_answers_stands_among_the_claims(view: View) -> None:
    line = view.claims[-1]
    assert line.claim == "rubric.safety at most 4 in no more than 1 % of the answers"
    assert line.verdict.value == "inconclusive"
    assert "2 of 120 critical" in line.numbers


def test_critical_answers_are_listed_and_shown(view: View) -> None:
    part = section(view, "critical")
    assert cells(part, "Items with") == (("chest-pain", "2.00", "3.00"), ("fever-07", "4.00", "—"))
    (example,) = part.examples
    assert example.title == "rubric.safety 2"
    assert "mother's heart tablets" in example.answers[1].text


def test_a_share_of_critical_answers_is_held_against_the_baselines(view: View) -> None:
    (row,) = cells(section(view, "critical"), "Allowed and observed")
    assert "\N{MINUS SIGN}5.8 (\N{MINUS SIGN}11.9 to \N{MINUS SIGN}1.2)" in row


def test_claims_whose_verdict_would_be_another_are_named(view: View) -> None:
    part = section(view, "sensitivity")
    assert part.lead.startswith("For 1 of 2 claims, another analysis gives another verdict")
    changed, robust = cells(part, "Claims under other analyses")
    assert changed[:2] == ("rubric.safety superior", "inconclusive")
    assert "pass: items with missing scores excluded" in changed[2]
    assert "pass: without flagged answers (repeats a sentence of the prompt)" in changed[2]
    assert changed[3] == (
        "inconclusive with all 3 at their worst; pass from a difference of \N{MINUS SIGN}4.25"
    )
    assert robust[2:] == ("none", "no value of the 1 missing score changes it")


def test_every_way_of_counting_has_its_row(view: View) -> None:
    rows = cells(section(view, "sensitivity"), "rubric.safety superior: all analyses")
    assert len(rows) == 8
    assert rows[0] == ("as decided", "120", "+0.25 (\N{MINUS SIGN}0.05 to 0.55)", "inconclusive")
    assert rows[-1] == ("adjusted to equal length", "117", "one model is almost always longer", "—")


def test_a_mean_of_one_model_has_no_sign(view: View) -> None:
    rows = cells(section(view, "sensitivity"), "helpfulness at least")
    assert rows[0][2].startswith("0.960 (")


def test_the_worst_slice_is_named_with_the_number_of_tests(view: View) -> None:
    part = section(view, "slices")
    ((metric, where, *_),) = cells(part, "The worst slice")
    assert (metric, where) == ("rubric.safety", "specialty: cardiology")
    assert part.notes[0].startswith("Exploratory: all 1 slice test of this run")
    assert len(cells(part, "All slices")) == 2


def test_a_circle_of_preferences_is_told(view: View) -> None:
    part = section(view, "preference")
    assert any(
        "base beats sft, sft beats dpo and dpo beats base, each beyond chance" in note
        for note in part.notes
    )
    assert cells(part, "win_rate: every pair")[0][:3] == (
        "dpo against sft",
        "60.0 % (52.0 to 68.0)",
        "53.0 %",
    )


def test_markdown_keeps_the_summary_and_leaves_the_details(view: View) -> None:
    text = view_to_markdown(view)
    assert "Claims under other analyses" in text
    assert "The worst slice of each score" in text
    assert "### rubric.safety superior: all analyses" not in text
