"""`thinking` and `max_thinking_tokens` of a suite: what a model on this machine is asked, and how far."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.config import Generation
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.generate import generate_responses
from harness.models.local import LocalModel, has_thinking_switch, make_prompt
from harness.models.model_folder import fingerprint_model
from harness.models.model_kinds import CheckpointModel
from tests.builders.score_tasks import RUBRIC, task
from tests.builders.tiny import make_tiny_model

NO_THOUGHTS = "<think>\n\n</think>\n\n"
# As Qwen3's: thinking is the default, and switched off by thoughts that have ended already.
SWITCH = (
    "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}"
    "{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
)
PROMPT = make_prompt(None, "My son coughs every night.")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = make_tiny_model(tmp_path / "model")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + SWITCH)
    return folder


def written(model: LocalModel, generation: Generation) -> str:
    text: str = model.tokenizer.decode(model._encode([PROMPT], generation)[0])
    return text


def test_the_suite_switches_thinking_where_the_template_can(folder: Path) -> None:
    model = LocalModel.load(folder)
    assert has_thinking_switch(model.tokenizer)
    assert written(model, Generation(thinking=False)).endswith(NO_THOUGHTS)
    unstated = written(model, Generation())
    assert written(model, Generation(thinking=True)) == unstated
    assert NO_THOUGHTS not in unstated


def test_a_template_may_have_no_switch(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path)
    assert not CheckpointModel("m", folder, "f").switches_thinking()
    assert not has_thinking_switch(LocalModel.load(folder).tokenizer)


def test_answers_with_thinking_on_and_off_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    model = CheckpointModel("m", folder, fingerprint_model(folder))
    with Store(tmp_path / "store") as store:
        for switch, n_stored in ((True, 1), (False, 2), (True, 2)):
            generation = Generation(max_new_tokens=4, thinking=switch)
            items = task(RUBRIC).model_copy(update={"generation": generation})
            list(generate_responses(items, model, store, QuietProgress()))
            assert len(store.keys("response")) == n_stored


def test_thoughts_have_tokens_beside_the_answers(tmp_path: Path) -> None:
    model = LocalModel.load(make_tiny_model(tmp_path))
    generation = Generation(max_new_tokens=3, max_thinking_tokens=5)
    assert generation.max_tokens == 8
    (longer,) = model.answer([PROMPT], generation, seeds=[0])
    (shorter,) = model.answer([PROMPT], Generation(max_new_tokens=3), seeds=[0])
    assert shorter.n_tokens == 3
    assert (longer.n_tokens or 0) > 3


def test_tokens_for_thoughts_that_are_switched_off_are_refused() -> None:
    with pytest.raises(ValidationError, match="has no use beside 'thinking: false'"):
        Generation(thinking=False, max_thinking_tokens=5)
