"""Adapters on their base: as they are, not merged."""

import warnings
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError
from harness.models.model_folder import ADAPTER_WEIGHTS

_EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "lm_head")


def attach_adapter(model: Any, adapter: Path, **options: Any) -> Any:
    """Return the model with an adapter on it, its embeddings resized first if the adapter brings others.

    `options` go to PEFT.

    Raises:
        HarnessError: the adapter does not fit on the model.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    _resize_embeddings(model, adapter)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            tuned = PeftModel.from_pretrained(model, adapter, **options)
    except (RuntimeError, ValueError, SafetensorError) as error:  # PEFT's, for other shapes
        raise HarnessError(
            f"{adapter}: does not fit on {model.name_or_path}: {_reason(error)}"
        ) from None
    for warning in told:
        text = str(warning.message)
        if "missing adapter keys" in text:  # PEFT would go on with weights that nobody trained
            raise HarnessError(
                f"{adapter}: lacks weights that its configuration names: {text[:300]}"
            )
        if not issubclass(warning.category, FutureWarning):
            warnings.warn(warning.message, stacklevel=2)
    return tuned


def _resize_embeddings(model: Any, adapter: Path) -> None:
    """Give the model as many rows of embeddings as an adapter brings that was trained with more tokens.

    Such an adapter holds its embeddings, and its head unless the two are one, in full
    (`modules_to_save`), so no row of the resized model is one that nobody trained.

    Raises:
        HarnessError: the adapter brings only one of the two.
    """
    brought = _embedding_rows(adapter)
    n_rows = model.get_input_embeddings().weight.shape[0]
    wanted = set(brought.values())
    if not wanted or wanted == {n_rows}:
        return
    head = model.get_output_embeddings()
    tied = head is None or head.weight is model.get_input_embeddings().weight
    if len(wanted) > 1 or (len(brought) < 2 and not tied):
        parts = ", ".join(f"{name} of {rows}" for name, rows in sorted(brought.items()))
        raise HarnessError(
            f"{adapter}: was trained on another number of tokens than the {n_rows} of its base, and brings "
            f"only {parts} rows. Resize the base to that, save it, and name it as the base."
        )
    model.resize_token_embeddings(wanted.pop(), mean_resizing=False)


def _embedding_rows(adapter: Path) -> dict[str, int]:
    """Return the number of rows of the full embeddings and head that the adapter holds, by name."""
    from safetensors import SafetensorError, safe_open

    rows: dict[str, int] = {}
    try:
        with safe_open(adapter / ADAPTER_WEIGHTS, framework="np") as weights:
            for key in weights.keys():  # noqa: SIM118 - not a dictionary
                if "." not in key:  # virtual tokens
                    continue
                *_, module, last = key.removesuffix(".modules_to_save.weight").split(".")
                name = last if key.endswith("modules_to_save.weight") else module
                if name in _EMBEDDINGS and key.endswith(".weight") and "lora_" not in key:
                    rows[name] = weights.get_slice(key).get_shape()[0]
    except SafetensorError as error:
        raise HarnessError(f"{adapter / ADAPTER_WEIGHTS}: cannot be read: {error}") from None
    return rows


def _reason(error: Exception) -> str:
    """Return what torch or PEFT says, with the first shape that differs, not its heading alone."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return " ".join(lines[:2]) if lines else type(error).__name__
