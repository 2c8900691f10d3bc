"""Thoughts of a model on this machine: special tokens that mark them, and templates that open them."""

from pathlib import Path

import pytest

from harness.config import Generation
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.data.thoughts import UNFINISHED_THOUGHTS, separate_thoughts
from harness.models.generate import generate_responses
from harness.models.local import Answer, LocalModel
from harness.models.model_folder import fingerprint_model
from harness.models.model_kinds import CheckpointModel
from harness.types import Response
from tests.builders.score_tasks import RUBRIC, task
from tests.builders.tiny import make_tiny_model

MAGISTRAL = "[THINK]cough[/THINK]See your doctor."
GPT_OSS = (
    "<|channel|>analysis<|message|>cough<|end|><|start|>assistant"
    "<|channel|>final<|message|>See your doctor."
)
GEMMA = "<|channel>thought\ncough<channel|>See your doctor."
MARKS = ["[THINK]", "[/THINK]", "<|channel|>", "<|message|>", "<|end|>", "<|start|>", "<|channel>", "<channel|>"]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model"))


def answered(folder: Path, text: str, special: list[str]) -> str:
    """What is read of a model that generates this text, in a vocabulary with these special tokens."""
    model = LocalModel.load(folder)
    model.tokenizer.add_special_tokens({"additional_special_tokens": special})
    answer = model._make_answer(model.tokenizer.encode(text, add_special_tokens=False))
    assert answer.text is not None
    return answer.text


@pytest.mark.parametrize("text", [MAGISTRAL, GPT_OSS, GEMMA])
@pytest.mark.parametrize("special", [MARKS, []], ids=["special", "plain"])
def test_marks_of_thoughts_are_not_lost_in_decoding(
    folder: Path, text: str, special: list[str]
) -> None:
    separated = separate_thoughts(answered(folder, text, special))
    assert separated == ("cough", "See your doctor.", True)


def test_the_end_of_a_turn_is_no_mark_without_channels(folder: Path) -> None:
    assert answered(folder, "See your doctor.<|end|>", MARKS) == "See your doctor."


def with_open_thoughts(folder: Path) -> Path:
    template = folder / "chat_template.jinja"
    template.write_text(
        template.read_text() + "{% if add_generation_prompt %}{{ '<think>\\n' }}{% endif %}"
    )
    return folder


def responses(world: Path, model: CheckpointModel, **options: object) -> list[Response]:
    generation = Generation.model_validate({"max_new_tokens": 4, **options})
    asked = task(RUBRIC).model_copy(update={"generation": generation})
    with Store(world / "store") as store:
        return list(generate_responses(asked, model, store, QuietProgress()))


def open_minded(world: Path) -> CheckpointModel:
    folder = with_open_thoughts(make_tiny_model(world / "model"))
    return CheckpointModel("m", str(folder), fingerprint_model(folder))


def test_an_answer_cut_off_in_thoughts_that_the_template_opened_is_none(tmp_path: Path) -> None:
    given = responses(tmp_path, open_minded(tmp_path))
    assert [(r.text, r.reason) for r in given] == [(None, UNFINISHED_THOUGHTS)] * 3
    assert all(response.thoughts for response in given)


def test_keeping_thoughts_asks_nothing_again(tmp_path: Path) -> None:
    model = open_minded(tmp_path)
    dropped = responses(tmp_path, model)
    (tmp_path / "model" / "model.safetensors").unlink()  # nothing can be generated any more
    again = CheckpointModel("m", str(tmp_path / "model"), model.fingerprint)
    kept = responses(tmp_path, again, thoughts="keep")
    assert [(r.text or "").split() for r in kept] == [
        ["<think>", *(r.thoughts or "").split()] for r in dropped
    ]


def test_a_model_that_ends_its_turn_without_closing_opened_thoughts_has_answered() -> None:
    said = Answer("Rest the knee.", "stop", 4, opening="<think>\n")
    assert said.whole_text == "Rest the knee."
    assert said._replace(finish="length").whole_text == "<think>\nRest the knee."
    closed = said._replace(text="Knee.\n</think>\nRest.")
    assert closed.whole_text == "<think>\nKnee.\n</think>\nRest."
