"""KTO on answers with labels of their own: conversion, counts, and the traps of TRL's trainer."""

from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.data.convert import convert_file, make_options
from harness.training.commands import train_recipe
from harness.training.context import make_context
from harness.types import Message
from harness.types.training import LabelledAnswer
from tests.builders.files import write, write_rows
from tests.builders.recipes import quiet
from tests.builders.tiny import make_tiny_model
from trainers.kto import KtoOnLabels
from trainers.labelled import split_answers
from trainers.pair_dataset import SplitPairs
from trainers.preference import train_on_labelled
from trainers.recipe import KtoRecipe, Lora, Parent, load_recipe
from trainers.recipe_graph import recipe_graph
from trainers.starting_model import find_starting_point
from trainers.trl_config import make_config, quiet_libraries

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

OPTIONS = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 0.01}
RECIPE = f"""\
recipe: k
method: kto
parent: {{checkpoint: base}}
labelled: {{path: rows.jsonl}}
lora: {{r: 4, alpha: 8}}
holdout: 0
trainer: {OPTIONS}
"""


def kto(**changes: Any) -> KtoRecipe:
    values = {
        "recipe": "k",
        "method": "kto",
        "parent": Parent(checkpoint="base"),
        "labelled": {"path": "rows.jsonl"},
        "lora": Lora(r=4, alpha=8),
        "holdout": 0.0,
        "trainer": OPTIONS,
    }
    return KtoRecipe.model_validate(values | changes)


def answer(n: int, *, label: bool, text: str = "See your doctor.") -> LabelledAnswer:
    prompt = (Message(role="user", content=f"My son coughs for {n} days. What now?"),)
    return LabelledAnswer(sample_id=f"q{n}", prompt=prompt, completion=text, label=label)


ANSWERS = [answer(n, label=n % 3 > 0) for n in range(12)]  # 8 good, 4 bad


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base") / "base")


def trainer_of(
    base: Path, answers: list[LabelledAnswer], **changes: Any
) -> tuple[Any, KtoOnLabels]:
    quiet_libraries()
    recipe = kto(trainer=OPTIONS | changes)
    start = find_starting_point(recipe, base)
    split = split_answers(answers, 0.0, 1)
    method = KtoOnLabels(recipe, start, SplitPairs([], []), answers=split)
    config = make_config(
        method.config_type(), recipe.trainer, recipe="k", seed=1, folder=base.parent, method="kto"
    )
    return method.make_trainer(config), method


# --- conversion ------------------------------------------------------------------------------


def test_labelled_answers_are_read_from_both_layouts(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Bad?"}, {"role": "assistant", "content": "No."}]
    for name, rows in {
        "unpaired": [{"prompt": "Bad?", "completion": "No.", "label": False}],
        "messages": [{"messages": chat, "label": False}],
        "fields": [{"q": "Bad?", "a": "No.", "ok": 0}],
    }.items():
        source = write_rows(tmp_path / f"{name}.jsonl", rows)
        fields = "input=q,reference=a,label=ok" if name == "fields" else ""
        convert_file(
            str(source), tmp_path / "out.jsonl", make_options(to="labelled", fields=fields)
        )
        made = LabelledAnswer.model_validate_json((tmp_path / "out.jsonl").read_text())
        assert (made.prompt[0].content, made.completion, made.label) == ("Bad?", "No.", False)


def test_answers_without_a_label_and_with_both_are_dropped_by_name(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Bad?"}, {"role": "assistant", "content": "No."}]
    other = [{"role": "user", "content": "Bad?"}, {"role": "assistant", "content": "Yes."}]
    third = [{"role": "user", "content": "Bad?"}, {"role": "assistant", "content": "Rest."}]
    rows = [
        {"messages": chat, "label": True},
        {"messages": other, "label": None},
        {"messages": third, "label": True},
        {"messages": third, "label": False},
    ]
    source = write_rows(tmp_path / "in.jsonl", rows)
    summary = convert_file(
        str(source), tmp_path / "out.jsonl", make_options(to="labelled", fields="")
    )
    assert summary.dropped == {"contradicted": 2, "unlabelled": 1}
    assert summary.recipe == "method: kto, labelled: {path: out.jsonl}"


def test_sft_does_not_imitate_a_chat_that_is_labelled_bad(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Bad?"}, {"role": "assistant", "content": "No."}]
    rows = [{"messages": chat, "label": False}, {"messages": chat[:1] + chat[1:], "label": True}]
    source = write_rows(tmp_path / "in.jsonl", rows)
    summary = convert_file(str(source), tmp_path / "out.jsonl", make_options(to="sft", fields=""))
    assert summary.dropped == {"disliked": 1}


def test_rows_without_a_label_column_are_refused(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", [{"prompt": "Bad?", "completion": "No."}])
    with pytest.raises(HarnessError, match=r"one answer without a label.*use --to sft"):
        convert_file(str(source), tmp_path / "out.jsonl", make_options(to="labelled", fields=""))


# --- the recipe ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"pairs": "pairs.yaml"}, "stands in the place of 'pairs'"),
        ({"labelled": None}, "'pairs' is missing"),
        ({"labelled": {"convert": {"source": "x.jsonl", "to": "sft"}}}, "to: labelled"),
        ({"labelled": {"path": "x.jsonl", "fields": {"a": "b"}}}, "takes a 'path' alone"),
        ({"trainer": {"per_device_train_batch_size": 1}}, "takes 2 at least"),
    ],
)
def test_a_recipe_that_would_not_work_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        kto(**changes)


def test_the_graph_of_a_recipe_on_labelled_answers_is_the_recipe(tmp_path: Path) -> None:
    path = write(tmp_path / "kto.yaml", RECIPE)
    assert [stage.recipe.recipe for stage in recipe_graph(*load_recipe(str(path)))] == ["k"]


# --- training --------------------------------------------------------------------------------


def test_the_counts_of_labels_and_what_would_balance_them_are_told(base: Path) -> None:
    trainer, method = trainer_of(base, ANSWERS)
    facts = method.check_data(trainer)
    assert (facts["answers"], facts["dropped"], facts["truncated"]) == ("12", "0", "0")
    assert facts["labels"] == (
        "8 desirable, 4 undesirable, weighted 2.00 to 1: the paper advises 1 to 1.33; "
        "'trainer.undesirable_weight: 1.5' would balance them"
    )
    balanced, method = trainer_of(base, ANSWERS, undesirable_weight=1.5)
    assert method.check_data(balanced)["labels"] == "8 desirable, 4 undesirable, weighted 1.33 to 1"


def test_answers_are_shuffled_so_that_a_file_sorted_by_label_gives_mixed_batches(
    base: Path,
) -> None:
    answers = sorted([answer(n, label=n < 8) for n in range(16)], key=lambda a: a.label)
    trainer, _ = trainer_of(base, answers)
    labels = trainer.train_dataset["label"]
    batches = [set(labels[i : i + 4]) for i in range(0, 16, 4)]
    assert sum(len(batch) == 2 for batch in batches) >= 3


def test_no_prompt_is_paired_with_its_own_answer_for_the_divergence(base: Path) -> None:
    answers = [answer(n, label=n % 2 > 0, text=f"Rest for {n} days.") for n in range(9)]
    trainer, method = trainer_of(base, answers)
    rows = trainer.train_dataset
    assert len(rows) == 8
    assert all(
        own != other
        for own, other in zip(rows["completion_ids"], rows["KL_completion_ids"], strict=True)
    )
    assert method.check_data(trainer)["dropped, alone in the last batch"] == "1"


def test_a_prompt_that_leaves_no_room_is_dropped_and_counted(base: Path) -> None:
    long = LabelledAnswer(
        sample_id="long",
        prompt=(Message(role="user", content="cough " * 200),),
        completion="Rest.",
        label=True,
    )
    trainer, method = trainer_of(base, [*ANSWERS, long], max_length=120)
    facts = method.check_data(trainer)
    assert (facts["answers"], facts["dropped"]) == ("13", "1")
    assert len(trainer.train_dataset) == 12


@pytest.mark.parametrize("label", [True, False])
def test_answers_of_one_label_are_refused(label: bool) -> None:
    missing = "undesirable" if label else "desirable"
    with pytest.raises(HarnessError, match=f"none is {missing}"):
        split_answers([answer(n, label=label) for n in range(5)], 0.0, 1)


@pytest.mark.slow
def test_a_recipe_on_labelled_answers_trains_from_the_command(tmp_path: Path) -> None:
    make_tiny_model(tmp_path / "base")
    rows = [
        {"prompt": f"Q{n}?", "completion": f"{'good' if n % 2 else 'bad'} {n}", "label": n % 2 > 0}
        for n in range(12)
    ]
    write_rows(tmp_path / "rows.jsonl", [*rows, {"prompt": "Q?", "completion": "", "label": True}])
    path = write(tmp_path / "kto.yaml", RECIPE)
    made = train_recipe(str(path), "tiny", make_context(tmp_path / "store", QuietProgress()))
    assert made.summary["labels"] == "6 desirable, 6 undesirable, weighted 1.00 to 1"
    assert "13 in, 12 out; dropped: empty_answer 1" in made.summary["rows of rows.jsonl"]
    assert made.summary["reference"] == "the parent checkpoint"


@pytest.mark.slow
def test_held_out_answers_have_their_own_counts(base: Path, tmp_path: Path) -> None:
    made = train_on_labelled(
        kto(holdout=0.3), base, tmp_path / "out", answers=ANSWERS, progress=quiet
    )
    n = int(made.facts["held-out answers"])
    assert 0 < n < 12
    assert int(made.facts["answers"]) == 12 - n
    assert "eval_loss" in made.metrics
