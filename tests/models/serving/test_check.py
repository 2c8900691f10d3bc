"""Telling rounding from other weights: greedy answers that part at a near tie, and elsewhere."""

import pytest

from harness.models.endpoint import Reply
from harness.models.serving.check import Probe, compare_answers, prompt_problem

SURE, NEAR = 4.0, 0.1
MARGINS = (SURE, SURE, NEAR, SURE, SURE)  # of "Take", " a", " warm", " bath" and the end


def probe() -> Probe:
    return Probe(prompt_tokens=9, text="Takeawarmbath", ends=(4, 5, 9, 13, 13), margins=MARGINS)


def reply(text: str) -> Reply:
    return Reply(
        text=text, finish="stop", refusal=None, input_tokens=9, output_tokens=4, seconds=0.1, attempts=1
    )  # fmt: skip


def compared(text: str) -> str | None:
    replies = [reply("Take a warm bath")] * 2 + [reply(text)]
    return compare_answers([probe()] * 3, replies).problem


def test_equal_answers_are_of_the_same_weights() -> None:
    assert compared("Take a warm  bath\n") is None


@pytest.mark.parametrize("text", ["Take a cold shower", "Take a walk? No."])
def test_answers_may_part_where_two_tokens_are_almost_equally_likely(text: str) -> None:
    assert compared(text) is None


@pytest.mark.parametrize("text", ["Rest a lot", "", "Take a warm bath now"])
def test_answers_that_part_where_these_weights_are_sure_are_of_others(text: str) -> None:
    assert "it holds other weights" in (compared(text) or "")


def test_a_few_answers_do_not_tell_the_weights() -> None:
    problem = compare_answers([probe()], [reply("Take a warm bath")]).problem
    assert problem is not None
    assert "does not tell" in problem


def test_thoughts_apart_from_the_text_are_compared_too() -> None:
    apart = reply("bath").model_copy(update={"thoughts": "Take a warm"})
    assert compare_answers([probe()] * 3, [apart] * 3).problem is None


def test_a_prompt_of_another_length_is_of_another_template() -> None:
    assert prompt_problem(9, 9) is None
    assert "another one" in (prompt_problem(8, 9) or "")
    assert "not known" in (prompt_problem(None, 9) or "")
