"""People who compare answers see the whole conversation, and their votes are on all of it."""

import json
from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.human.annotate.label_studio import write_label_studio
from harness.human.annotate.offline import render_offline
from harness.human.annotate.study import StudyOptions, open_study
from harness.human.labels import load_study_labels
from harness.types import Message
from tests.builders.html_pages import read_page
from tests.builders.studies import served, write_run
from tests.builders.votes import cast_votes, steady

HOSTILE = "<script>steal()</script>"
TURNS = (
    Message(role="system", content=f"Be kind. {HOSTILE}"),
    Message(role="user", content=f"I fell. {HOSTILE}"),
    Message(role="assistant", content=f"When was that? {HOSTILE}"),
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", history=TURNS)


def test_the_page_shows_every_turn_and_runs_none(run: Path) -> None:
    with served(run) as site:
        _, reply = site.enter("Ada")
    page = read_page(reply.body)
    places = [
        page.text.index(text)
        for text in ("Be kind.", "I fell.", "When was that?", "Why does my knee")
    ]
    assert places == sorted(places)
    assert HOSTILE in page.text
    assert HOSTILE not in reply.body


def test_the_offline_page_holds_every_turn(run: Path) -> None:
    page = render_offline(open_study(run, StudyOptions(n=10)), "Ada")
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["pairs"][0]["history"] == [
        ["System prompt", TURNS[0].content], ["User", TURNS[1].content], ["Assistant", TURNS[2].content]
    ]  # fmt: skip
    assert HOSTILE not in page


def test_label_studio_is_given_the_conversation_as_the_question(run: Path) -> None:
    opened = open_study(run, StudyOptions(n=10))
    write_label_studio(opened, opened.folder / "pairs.json")
    question = json.loads((opened.folder / "pairs.json").read_text())[0]["data"]["question"]
    assert question.startswith("System prompt: Be kind.")
    assert "\n\nUser: Why does my knee" in question


def test_a_vote_fits_no_other_earlier_turns(run: Path) -> None:
    study = cast_votes(run, {"Ada": steady("candidate")}, n=20)
    assert load_study_labels(study).annotators == ("Ada",)
    write_run(run, history=(TURNS[1].model_copy(update={"content": "I ran."}), TURNS[2]))
    with pytest.raises(HarnessError, match="other texts"):
        load_study_labels(study)
