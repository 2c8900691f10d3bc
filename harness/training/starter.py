"""A profile, a recipe and a suite for a model's folder and a data file that a person names.

    sft.yaml       trains the model on most of the data's questions
    profile.yaml   names the model as `base`, what is trained as `sft`, and the other questions
    suite.yaml     asks whether `sft` answers them more like the data's own answers than `base` does

The files are a beginning, to be read and changed.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.config import load_profile, load_suite
from harness.config.data import Conversion, Source
from harness.core.errors import HarnessError, first_line
from harness.data.conversions import resolve_conversion
from harness.data.tables import load_rows
from harness.models.local import context_length
from harness.models.model_folder import is_adapter
from harness.models.weights import load_tokenizer
from trainers.recipe import load_recipe

FILES = ("sft.yaml", "profile.yaml", "suite.yaml")
SHARE = 0.2  # of the questions, to be answered and never learnt
FEW = 100  # items; below it a pass needs a bound that is valid at every sample size
MAX_LENGTH = 1024
MARGIN = 0.02  # of ROUGE-L F1: a smaller gain, though significant, is hardly a better answer

# The usual learning rate of LoRA at widths of billions of parameters. Narrower models need more: see
# `learning_rate`.
LEARNING_RATE = 2e-4
WIDE = 2048


class Starter(NamedTuple):
    """The files that were written, how many rows are learnt and questions asked, and what was chosen."""

    files: tuple[Path, ...]
    n_train: int
    n_eval: int
    learning_rate: float


def learning_rate(width: int) -> float:
    """Return a learning rate of LoRA for a model whose hidden states have so many numbers.

    Below a width of 2,048 it grows as width^-0.781, an exponent fitted to Llama models, see
    https://tinker-docs.thinkingmachines.ai/supervised-learning/sl-hyperparams. One digit is kept. Of 2e-4,
    1e-3, 3e-3 and 1e-2 the lowest held-out loss was that of 3e-3 at a width of 64, and of 1e-3 at 128.
    """
    return float(f"{LEARNING_RATE * max(1.0, WIDE / width) ** 0.781:.1g}")


def write_starter(model: Path, data: Path, folder: Path) -> Starter:
    """Write the three files into `folder`, after the data were read and the model's files looked at.

    Raises:
        HarnessError: a file is there already, the folder holds no model, or the data cannot be converted.
    """
    for name in FILES:
        if (folder / name).exists():
            raise HarnessError(f"{folder / name}: exists already; it is not overwritten.")
    if not data.is_file():
        raise HarnessError(f"{data}: no such file.")
    # Convert the data, so that what is written works.
    columns, counts = {}, []
    for side in ("train", "eval"):
        rows = load_rows(resolve_conversion(_source(data, folder, side), folder), folder)
        columns[side] = [c for c in ("system", "history") if any(c in row for row in rows.rows)]
        counts.append(len(rows.rows))
    if not all(counts):
        raise HarnessError(
            f"{data}: {counts[0]} rows to learn and {counts[1]} to ask; both need some. Give more rows."
        )
    # Write the files, and read them as the commands will.
    folder.mkdir(parents=True, exist_ok=True)
    recipe = _recipe(model, data, folder, columns["train"])
    contents = (recipe, _profile(model, data, folder), _suite(int(recipe["trainer"]["max_length"])))
    for name, content in zip(FILES, contents, strict=True):
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
        (folder / name).write_text(text, encoding="utf-8")
    load_recipe(str(folder / "sft.yaml"))
    load_profile(str(folder / "profile.yaml"))
    load_suite(str(folder / "suite.yaml"))
    chosen = float(recipe["trainer"]["learning_rate"])
    return Starter(tuple(folder / name for name in FILES), counts[0], counts[1], chosen)


def _source(data: Path, folder: Path, side: str) -> Source:
    convert = {"source": _place(data, folder), "to": "sft", "split": SHARE, "side": side}
    return Source(convert=Conversion.model_validate(convert))


def _place(path: Path, folder: Path) -> str:
    """Return a path as the files in `folder` name it: relative where it lies below."""
    path, folder = path.resolve(), folder.resolve()
    return os.path.relpath(path, folder) if path.is_relative_to(folder) else str(path)


def _recipe(model: Path, data: Path, folder: Path, columns: list[str]) -> dict[str, Any]:
    tokenizer, context, width = _look_at(model)
    fields = {name: name for name in ("id", "input", "reference", *columns)}
    source = _source(data, folder, "train").convert
    assert source is not None
    recipe: dict[str, Any] = {
        "recipe": "sft",
        "method": "sft",
        "parent": {"checkpoint": _place(model, folder)},
        "data": [{"convert": source.model_dump(exclude_defaults=True), "fields": fields}],
        "lora": {"r": 16, "alpha": 32},
    }
    if not tokenizer.chat_template:
        recipe["chat_template"] = "plain"
    recipe["trainer"] = {
        "num_train_epochs": 3,
        "learning_rate": learning_rate(width),
        "per_device_train_batch_size": 4,
        "max_length": min(MAX_LENGTH, context),
    }
    return recipe


def _look_at(model: Path) -> tuple[Any, int, int]:
    """Return a model's tokenizer, its context, and the width of its hidden states.

    Raises:
        HarnessError: the folder holds no whole model.
    """
    from transformers import AutoConfig

    if is_adapter(model):
        raise HarnessError(f"{model}: is an adapter. Merge it into its base, and name the result.")
    if not (model / "config.json").is_file() or not any(model.glob("*.safetensors")):
        raise HarnessError(f"{model}: holds no model (config.json and weights as safetensors).")
    try:
        tokenizer = load_tokenizer(model)
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
        width = int(getattr(config.get_text_config(), "hidden_size", WIDE))
        return tokenizer, context_length(config), width
    except (OSError, ValueError) as error:
        raise HarnessError(f"{model}: cannot be read: {first_line(error)}") from None


def _profile(model: Path, data: Path, folder: Path) -> dict[str, Any]:
    source = _source(data, folder, "eval").convert
    assert source is not None
    fields = {name: name for name in ("id", "input", "reference")}
    questions = {"convert": source.model_dump(exclude_defaults=True), "fields": fields}
    # A profile's recipe is found from the working directory.
    recipe_path = _place(folder / FILES[0], Path())
    models = {"base": {"checkpoint": _place(model, folder)}, "sft": {"recipe": recipe_path}}
    return {"profile": "mine", "data": {"questions": questions}, "models": models}


def _suite(max_length: int) -> dict[str, Any]:
    claim = {"metric": "rouge.rougeL_f1", "claim": "superior", "margin": MARGIN}
    return {
        "suite": "mine",
        "title": "Answers as the data give them, to questions that were not learnt",
        "data": {"name": "questions"},
        "generation": {"max_new_tokens": min(256, max_length // 2), "temperature": 0.0},
        "metrics": {"rouge": {"kind": "rouge", "variants": ["rougeL"]}},
        "gate": {"alpha": 0.05, "claims": [claim]},
    }
