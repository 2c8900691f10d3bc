"""What makes a base unfit for training, found in its small files before its weights are loaded."""

import json
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError, first_line
from harness.models.model_folder import is_adapter
from trainers.adapter_base import targets_head
from trainers.four_bits import check_quantisation
from trainers.recipe import AdapterRecipe, Parent
from trainers.shape import find_shape
from trainers.starting_model import StartingPoint

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)

# Methods whose trainers compute the whole model's logits.
ADAPTS_HEAD = ("orpo", "simpo")
_HEAD_REFUSED = (
    "{recipe}: target_modules: the head cannot be adapted by '{method}', whose trainer reads the head's own "
    "weight and would leave an adapter on it at nothing. Remove it; the embeddings can be adapted."
)


def check_base(recipe: AdapterRecipe, start: StartingPoint) -> None:
    """Check the base of a training run, where it is a folder here.

    Raises:
        HarnessError: it is quantised in a way that cannot be merged, or in 4 bits and the recipe asks for
            them again; it has no tokenizer, or one of more tokens than it has embeddings; it lacks a
            target module.
    """
    folder, tokens_of = Path(start.base.source), Path(start.parent.source)
    if not folder.is_dir() or is_adapter(folder) or not (folder / "config.json").is_file():
        return
    config = json.loads((folder / "config.json").read_bytes())
    if check_quantisation(config, folder):
        _check_4_bits(recipe, folder)
    if tokens_of.is_dir():
        _check_tokenizer(folder, tokens_of, config)
    adapter = recipe.new_adapter
    shape = find_shape(Parent(checkpoint=str(folder)), Path())
    if adapter is not None and shape is not None:
        try:
            adapter.targets(shape)  # it names the targets that match nothing
        except HarnessError as error:
            raise HarnessError(f"{recipe.recipe}: {error}") from None
        if recipe.method not in ADAPTS_HEAD and targets_head(shape, adapter):
            raise HarnessError(_HEAD_REFUSED.format(recipe=recipe.recipe, method=recipe.method))


def _check_4_bits(recipe: AdapterRecipe, folder: Path) -> None:
    adapter = recipe.new_adapter
    if recipe.quantisation is not None:
        raise HarnessError(
            f"{recipe.recipe}: quantisation: {folder} is in 4 bits already; remove the block."
        )
    if adapter is not None and 4 in adapter.refused_bits:
        raise HarnessError(
            f"{recipe.recipe}: adapter: {folder} is in 4 bits, on which '{adapter.kind}' is not trained: "
            f"{adapter.refused_bits[4]}."
        )


def _check_tokenizer(folder: Path, tokens_of: Path, config: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    if not any((tokens_of / name).is_file() for name in _TOKENIZER_FILES):
        raise HarnessError(
            f"{tokens_of}: has no tokenizer ({', '.join(_TOKENIZER_FILES)}). Copy the files of the model that "
            "it was made from into the folder."
        )
    try:
        n_tokens = len(AutoTokenizer.from_pretrained(tokens_of, trust_remote_code=False))
    except (OSError, ValueError) as error:
        raise HarnessError(
            f"{tokens_of}: its tokenizer cannot be loaded: {first_line(error)}"
        ) from None
    text = config.get("text_config")
    n_rows = (text if isinstance(text, dict) else config).get("vocab_size")
    if isinstance(n_rows, int) and n_tokens > n_rows:
        raise HarnessError(
            f"{folder}: has embeddings for {n_rows} tokens, and its tokenizer has {n_tokens}. Resize the "
            "base, save it, and train on that."
        )
