"""A dialogue, with a model that repeats what it is asked."""

import sys
from io import StringIO
from pathlib import Path

import pytest

from harness.config import Generation
from harness.core.sanitize import drop_controls
from harness.models.local import Answer, LocalModel, Prompt, make_prompt
from harness.release.chat import Conversation, LocalChatModel, OnText, run_chat
from harness.release.terminal import PipeIO, wrap
from tests.builders.tiny import make_tiny_model


class Echo:
    """Says how many turns it sees, and the last one; has no answer to 'fail'."""

    name = "echo"
    facts = ()

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.seen: list[Prompt] = []

    def fits(self, chat: Prompt) -> bool:
        return len(chat) <= self.most

    def answer(self, chat: Prompt, on_text: OnText) -> Answer:
        self.seen.append(chat)
        if chat[-1].content == "fail":
            return Answer(None, "failed", reason="out of memory")
        text = f"{len(chat)}: {chat[-1].content}"
        on_text(text)
        return Answer(text, "stop", 1)


def talk(
    monkeypatch: pytest.MonkeyPatch, lines: str, model: Echo, system: str | None = None
) -> bool:
    monkeypatch.setattr(sys, "stdin", StringIO(lines))
    return run_chat(model, Conversation(system), PipeIO(), stoppable=False)


def test_the_model_sees_the_dialogue_so_far(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    echo = Echo()
    assert talk(monkeypatch, "why?\n\nand then?\n", echo, system="Be kind.")
    assert capsys.readouterr().out == "2: why?\n\n4: and then?\n\n"
    assert [m.content for m in echo.seen[1]] == ["Be kind.", "why?", "2: why?", "and then?"]


def test_reset_keeps_the_system_prompt_only(monkeypatch: pytest.MonkeyPatch) -> None:
    echo = Echo()
    talk(monkeypatch, "why?\n/reset\nagain?\n", echo, system="Be kind.")
    assert [m.content for m in echo.seen[-1]] == ["Be kind.", "again?"]


def test_quit_ends_before_the_lines_do(monkeypatch: pytest.MonkeyPatch) -> None:
    echo = Echo()
    talk(monkeypatch, "why?\n/quit\nagain?\n", echo)
    assert len(echo.seen) == 1


def test_an_unknown_command_is_no_question(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    echo = Echo()
    talk(monkeypatch, "/rest\n", echo)
    assert not echo.seen
    assert "/rest is unknown" in capsys.readouterr().err


def test_a_question_without_an_answer_is_told_and_forgotten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    echo = Echo()
    assert not talk(monkeypatch, "fail\nwhy?\n", echo)
    assert "No answer: out of memory." in capsys.readouterr().err
    assert [m.content for m in echo.seen[-1]] == ["why?"]


def test_the_oldest_questions_are_forgotten_where_the_context_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    echo = Echo(most=4)
    talk(monkeypatch, "one\ntwo\nthree\n", echo, system="Be kind.")
    assert [m.content for m in echo.seen[-1]] == ["Be kind.", "two", "4: two", "three"]
    assert "The oldest question was left out" in capsys.readouterr().err


def test_a_local_model_says_what_it_would_answer_in_a_run(tmp_path: Path) -> None:
    model = LocalModel.load(make_tiny_model(tmp_path / "model"))
    prompt = make_prompt(None, "Could this be asthma?")
    for temperature in (0.0, 1.0):
        generation = Generation(max_new_tokens=24, temperature=temperature, seed=4)
        chat_model = LocalChatModel("tiny", model, generation, [])
        said: list[str] = []
        answer = chat_model.answer(prompt, said.append)
        (expected,) = model.answer([prompt], generation, seeds=[5])
        assert answer == expected
        assert "".join(said) == expected.text


def test_what_could_steer_a_terminal_is_not_printed() -> None:
    assert drop_controls("a\x1b[2Jb\r\n\x07c") == "a[2Jb\nc"


def test_lines_break_between_words() -> None:
    first, column = wrap("a cough that ", 0, 10)
    assert (first, column) == ("a cough \nthat ", 5)
    assert wrap("lasts\nlong", column, 10) == ("lasts\nlong", 4)
