"""What a reader is told of a run that was judged in looks."""

from reports import make_view, render_html, render_markdown
from reports.sections.interim import items_judged, looks_section
from tests.builders.results import passing_run, stopped_run


def test_the_first_screen_says_where_judging_ended_and_what_was_not_needed() -> None:
    view = make_view(stopped_run())
    assert "48 of 120" in view.summary[0]
    line = view.summary[1]
    assert line.startswith("Stopped at look 2 of 5")
    assert "not needed: 288 judge verdicts, 144 model answers, about 0.43 USD" in line


def test_every_claim_has_its_repeated_interval_at_the_look_that_decided_it() -> None:
    section = looks_section(stopped_run())
    assert section is not None
    table = section.tables[0]
    place = {name: i for i, name in enumerate(table.head)}
    assert [row[place["Look"]] for row in table.rows] == ["1", "2"]
    assert table.rows[0][place["Repeated interval (90 %)"]] == "0.52 to 1.12"


def test_the_looks_stated_beforehand_are_shown_with_the_seed_of_the_order() -> None:
    section = looks_section(stopped_run())
    assert section is not None
    assert section.tables[1].rows[0] == ("items", "1", "24", "3.9150", "4.5e-05", "7")


def test_the_reader_is_told_that_the_estimate_is_biased() -> None:
    for text in (render_html(stopped_run()), render_markdown(stopped_run())):
        assert "An estimate from a run that stopped early is biased" in text


def test_a_run_without_looks_has_no_such_section() -> None:
    assert looks_section(passing_run()) is None
    assert not any("of" in judged for judged in items_judged(passing_run()))
