"""Thoughts are told from answers, whatever model marked them, and what only speaks of marks is no thought."""

import pytest

from harness.config.data import Thoughts
from harness.data.hygiene import hygiene_flags
from harness.data.thoughts import (
    UNFINISHED_THOUGHTS,
    cut_off_in_thoughts,
    drop_thoughts,
    measured_response,
    opening_mark,
    separate_thoughts,
)
from harness.types import Response

GPT_OSS = (
    "<|channel|>analysis<|message|>Knee.<|end|><|start|>assistant"
    "<|channel|>final<|message|>Rest it.<|return|>"
)


@pytest.mark.parametrize(
    "text",
    [
        "<think>\nKnee.\n</think>\n\nRest it.",
        "\n<thinking>Knee.</thinking>Rest it.",
        "<Think>Knee.</Think>\nRest it.",
        "<reasoning>Knee.</reasoning> Rest it.",
        "[THINK]Knee.[/THINK]Rest it.",
        "<seed:think>Knee.</seed:think>Rest it.",
        "<|channel>thought\nKnee.<channel|>Rest it.",
        "◁think▷Knee.◁/think▷Rest it.",
        "<|START_THINKING|>Knee.<|END_THINKING|>Rest it.",
        GPT_OSS,
        GPT_OSS.removesuffix("<|return|>"),
        "analysisKnee.assistantfinalRest it.",
        "Here is my thought process: Knee. Here is my response: Rest it.",
        "Knee.\n</think>\n\nRest it.",
        "Knee. </think> Rest it.",
        "<think>Knee.</thinking>Rest it.",
    ],
)
def test_thoughts_of_every_kind_of_model_are_no_part_of_the_answer(text: str) -> None:
    assert separate_thoughts(text) == ("Knee.", "Rest it.", True)


@pytest.mark.parametrize(
    ("text", "thoughts"),
    [
        ("<think>a</think>\n<think>b</think>\nRest.", "a\n\nb"),
        ("<think>a <think>b</think> c</think>Rest.", "a <think>b</think> c"),
        ("<think>a\n</think>\nb\n</think>\n\nRest.", "a\n\nb"),
        ("<think>I write <think> first.</think>Rest.", "I write <think> first."),
        ('<think>no "</think>" yet</think>Rest.', 'no "</think>" yet'),
        ("first I close `</think>`\n</think>\nRest.", "first I close `</think>`"),
    ],
)
def test_several_blocks_and_marks_within_thoughts_are_thought(text: str, thoughts: str) -> None:
    assert separate_thoughts(text) == (thoughts, "Rest.", True)


@pytest.mark.parametrize("text", ["<think>\n\n</think>\n\nRest.", "<think></think>Rest.", "</think>\nRest."])  # fmt: skip
def test_empty_thoughts_leave_the_answer_alone(text: str) -> None:
    assert separate_thoughts(text) == ("", "Rest.", True)


@pytest.mark.parametrize(
    "text",
    [
        "Rest.",
        "",
        "  Rest, \n",
        "Use `<think>` and `</think>`.",
        "`<think>` opens a thought.",
        'The mark "</think>" ends it.',
        "The model prints </think> when it is done.",
        "It prints </think>, then the answer.",
        "Write <think>your thoughts</think> first.",
        "Like this:\n```\nwhy\n</think>\nanswer\n```\nThat is all.",
        "Like this:\n```\n<think>\nwhy\n</think>\nanswer\n```",
        "analysis of the knee: rest.",
        "[thinking of you] Rest.",
    ],
)
def test_a_text_that_only_speaks_of_marks_is_all_answer(text: str) -> None:
    assert separate_thoughts(text) == ("", text, True)


def test_a_mark_in_the_sentence_behind_a_block_is_part_of_the_answer() -> None:
    assert (
        drop_thoughts("<think>x</think>Close with </think> always.")
        == "Close with </think> always."
    )


@pytest.mark.parametrize(
    "text",
    ["<think>Knee", "[THINK]Knee", GPT_OSS[:34], "<think>a</think><think>Knee", "<|channel>thought\nKnee"],
)  # fmt: skip
def test_thoughts_that_never_ended_leave_no_answer(text: str) -> None:
    separated = separate_thoughts(text)
    assert separated.thoughts.endswith("Knee")
    assert (separated.answer, separated.ended) == ("", False)


@pytest.mark.parametrize(
    ("prompt", "mark"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>\n"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("What is <think>?<|im_start|>assistant\n", ""),
    ],
)
def test_a_prompt_may_end_in_an_opening_mark(prompt: str, mark: str) -> None:
    assert opening_mark(prompt) == mark


def measured(text: str | None, rule: Thoughts = "drop", **fields: object) -> Response:
    response = {"sample_id": "a", "model": "m", "text": text, "finish": "stop", **fields}
    return measured_response(Response.model_validate(response), rule)


def test_what_is_dropped_is_kept_beside_the_answer() -> None:
    response = measured("<think>b</think>c", thoughts="a")
    assert (response.text, response.thoughts, response.reason) == ("c", "a\n\nb", None)


def test_kept_thoughts_are_part_of_the_answer_also_where_a_server_gave_them_apart() -> None:
    assert measured("<think>b</think>c", "keep").text == "<think>b</think>c"
    assert measured("c", "keep", thoughts="b").text == "<think>\nb\n</think>\n\nc"


@pytest.mark.parametrize("rule", ["drop", "keep"])
@pytest.mark.parametrize(
    "fields",
    [
        {"text": "<think>a", "finish": "length"},
        {"text": "<think>a", "finish": "stop"},
        {"text": "", "finish": "length", "thoughts": "a"},
        {"text": "\n", "finish": "stop", "thoughts": "a"},
    ],
)
def test_an_answer_whose_thoughts_never_ended_is_flagged(
    rule: Thoughts, fields: dict[str, str]
) -> None:
    response = measured(fields["text"], rule, **{k: v for k, v in fields.items() if k != "text"})
    assert response.reason == UNFINISHED_THOUGHTS
    assert "unfinished_thoughts" in hygiene_flags(response, None)
    assert (not (response.text or "").strip()) == (rule == "drop")


def test_what_a_model_did_instead_of_answering_stays_its_reason() -> None:
    called = "the model called a tool instead of answering"
    assert measured("", thoughts="a", reason=called).reason == called


def test_no_answer_and_an_answer_without_thoughts_stay_as_they_are() -> None:
    assert measured(None, finish="failed", reason="timeout").reason == "timeout"
    assert measured(" Rest. ").text == " Rest. "


def test_what_was_cut_off_without_a_mark_is_told_by_the_models_other_answers() -> None:
    thought = measured("a\n</think>\n\nb")
    cut, answer = measured("I should say", finish="length"), measured("b")
    assert cut_off_in_thoughts({"q1": thought, "q2": cut, "q3": thought}) == {"q2"}
    assert cut_off_in_thoughts({"q1": answer, "q2": cut, "q3": thought}) == set()
    assert cut_off_in_thoughts({"q2": cut}) == set()
