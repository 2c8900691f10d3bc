"""What long work says while it runs."""

import pytest

from harness.core.progress import PlainProgress, QuietProgress, RichProgress


def test_a_plain_line_ends_with_the_note(capsys: pytest.CaptureFixture[str]) -> None:
    PlainProgress().advance("judge rubric", 120, 500, "0.42 USD")
    assert capsys.readouterr().err == "judge rubric: 120/500, 0.42 USD\n"


def test_a_plain_line_without_a_note_is_as_short_as_can_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    PlainProgress().advance("judge rubric", 500, 500)
    assert capsys.readouterr().err == "judge rubric: 500/500\n"


def test_a_live_bar_shows_the_latest_note(capsys: pytest.CaptureFixture[str]) -> None:
    with RichProgress() as progress:
        progress.advance("judge rubric", 1, 2, "0.42 USD")
        progress.advance("judge rubric", 2, 2, "0.84 [USD]")
        progress.advance("sft answers health", 1, 2)
    last = capsys.readouterr().err.splitlines()
    assert [line.rstrip().endswith("0.84 [USD]") for line in last[-2:]] == [True, False]


def test_nothing_is_said_where_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    QuietProgress().advance("judge rubric", 1, 2, "0.42 USD")
    assert capsys.readouterr() == ("", "")
