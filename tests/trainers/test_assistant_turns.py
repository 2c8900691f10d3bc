"""The loss on all assistant turns of a chat, by the generation marks of its template."""

from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import HarnessError
from harness.types import Message
from harness.types.training import Example
from tests.builders.families import CHATML, make_base
from tests.builders.family_walk import sft_recipe
from tests.builders.recipes import quiet
from trainers.chat_template import read_template
from trainers.sft import Sft, train_sft
from trainers.trl_config import make_config, quiet_libraries

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

MARKED = CHATML.replace(
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}",
    "{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}"
    "{{ '\n' }}",
)


def chat(n: int, *turns: str, unlearnt: int = 0) -> Example:
    roles = ("user", "assistant")
    prompt = tuple(Message(role=roles[i % 2], content=turn) for i, turn in enumerate(turns))
    return Example(id=f"r{n}", prompt=prompt, completion="Drink tea.", unlearnt_turns=unlearnt)


ROWS = [
    chat(0, "My son coughs.", "Every night?", "Yes, it is bad."),
    chat(1, "Is tea good?", "Yes, it is.", "And milk?", "No, it is not.", "What else?"),
    chat(2, "What helps?"),
]


def trainer_of(base: Path, folder: Path, rows: list[Example], **changes: Any) -> tuple[Any, Sft]:
    quiet_libraries()
    recipe = sft_recipe("qwen2_base", max_steps=1).model_copy(
        update={"chat_template": changes.pop("template", MARKED)}
    )
    options = recipe.trainer | {"assistant_only_loss": True} | changes
    method = Sft(recipe, base, rows)
    config = make_config(method.config_type(), options, recipe="it", seed=1, folder=folder)
    return method.make_trainer(config), method


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base("qwen2_base", tmp_path_factory.mktemp("base") / "base")


def learnt(trainer: Any, row: int) -> str:
    labels = [label for label in trainer.train_dataset["labels"][row] if label != -100]
    return str(trainer.processing_class.decode(labels))


def test_the_tokens_learnt_are_the_assistants_turns_with_their_ends(
    base: Path, tmp_path: Path
) -> None:
    trainer, method = trainer_of(base, tmp_path, ROWS)
    assert learnt(trainer, 0) == "Every night?<|im_end|>Drink tea.<|im_end|>"
    assert learnt(trainer, 1) == "Yes, it is.<|im_end|>No, it is not.<|im_end|>Drink tea.<|im_end|>"
    facts = method.check_data(trainer)
    assert facts["learnt"] == "all 6 turns of the assistant, by the marks of the chat template"
    assert (facts["rows"], facts["truncated"], facts["dropped"]) == ("3", "0", "0")
    assert "chats written otherwise for training" not in facts


def test_without_the_option_the_last_answer_alone_is_learnt(base: Path, tmp_path: Path) -> None:
    trainer, method = trainer_of(base, tmp_path, ROWS, assistant_only_loss=False)
    assert learnt(trainer, 1).strip() == "Drink tea.<|im_end|>"
    assert "learnt" not in method.check_data(trainer)


def test_a_long_chat_keeps_the_turns_before_the_cut(base: Path, tmp_path: Path) -> None:
    whole, _ = trainer_of(base, tmp_path, ROWS)
    limit = len(whole.train_dataset["input_ids"][1]) - 3
    trainer, method = trainer_of(base, tmp_path, ROWS, max_length=limit)
    assert learnt(trainer, 1).startswith("Yes, it is.<|im_end|>No, it is not.<|im_end|>")
    facts = method.check_data(trainer)
    assert (facts["truncated"], facts["dropped"]) == ("1", "0")


def test_a_chat_without_a_learnt_token_before_the_cut_is_dropped_and_counted(
    base: Path, tmp_path: Path
) -> None:
    rows = [*ROWS, chat(3, "cough " * 300)]
    whole, _ = trainer_of(base, tmp_path, ROWS)
    limit = max(map(len, whole.train_dataset["input_ids"]))
    trainer, method = trainer_of(base, tmp_path, rows, max_length=limit)
    assert len(trainer.train_dataset) == 3
    assert method.check_data(trainer)["dropped"] == "1"


def test_the_bundled_template_has_marks(base: Path, tmp_path: Path) -> None:
    template = read_template("plain", Path())
    trainer, _ = trainer_of(base, tmp_path, ROWS, template=template)
    assert learnt(trainer, 0) == "Every night?<|endoftext|>Drink tea.<|endoftext|>"


@pytest.mark.parametrize(
    ("template", "named"),
    [
        (CHATML, "has no generation marks"),
        (
            MARKED.replace(
                " + '<|im_end|>' }}{% endgeneration %}", " }}{% endgeneration %}<|im_end|>"
            ),
            "leave out the end of a turn",
        ),
    ],
)
def test_a_template_without_marks_or_with_marks_around_less_is_refused_by_name(
    template: str, named: str, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match=f"base: trainer.assistant_only_loss: .*{named}"):
        trainer_of(base, tmp_path, ROWS, template=template)


def test_both_kinds_of_loss_at_once_are_refused() -> None:
    both = {"assistant_only_loss": True, "completion_only_loss": True}
    recipe = sft_recipe("qwen2_base", max_steps=1)
    with pytest.raises(ValueError, match="learns the last answer alone"):
        type(recipe).model_validate(recipe.model_dump() | {"trainer": both})


@pytest.mark.slow
def test_a_run_on_all_turns_counts_chats_with_a_turn_of_weight_0(
    base: Path, tmp_path: Path
) -> None:
    recipe = sft_recipe("qwen2_base", max_steps=2)
    options = recipe.trainer | {"assistant_only_loss": True}
    recipe = recipe.model_copy(update={"chat_template": MARKED, "trainer": options})
    rows = [*ROWS, chat(3, "Is it bad?", "It is fatal.", "Really?", unlearnt=1)]
    made = train_sft(recipe, base, tmp_path / "out", rows=rows, progress=quiet)
    assert made.facts["rows"] == "3"
    assert made.facts["dropped, an earlier turn of weight 0"] == "1"
