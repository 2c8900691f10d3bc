"""What every method after SFT starts from: the parent's own adapter, or a new one on the parent."""

from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.models.weights import fingerprint_model
from trainers.adapter import load_base, lora_config, remember_adapter
from trainers.chat_template import give_template
from trainers.checkpoint import (
    COMPLETE_MARK,
    MANIFEST,
    CheckpointManifest,
    Origin,
    verify_checkpoint,
)
from trainers.recipe import OnlineRecipe, PreferenceRecipe

# A recipe whose `lora` says whether a new adapter is trained, or the parent's own goes on.
PolicyRecipe = PreferenceRecipe | OnlineRecipe


class StartingPoint(NamedTuple):
    """The parent, and the model that the trained adapter lies on: itself, or what is under it."""

    parent: Origin
    base: Origin


class Policy(NamedTuple):
    """A model to train and its tokenizer; `peft_config` is None where it has its adapter already."""

    model: Any
    tokenizer: Any
    peft_config: Any | None


def find_starting_point(recipe: PolicyRecipe, parent: str | Path) -> StartingPoint:
    """Where the recipe starts; nothing is loaded yet.

    Raises:
        HarnessError: a damaged parent, one without the adapter that should go on training, or
            what that adapter lies on is gone.
    """
    directory = Path(parent)
    if (directory / MANIFEST).is_file() or (directory / COMPLETE_MARK).is_file():
        manifest = verify_checkpoint(directory)
        origin = Origin(source=str(parent), fingerprint=manifest.fingerprint)
        return StartingPoint(origin, origin if recipe.lora else _under_adapter(directory, manifest))
    if recipe.lora is None:
        raise _no_adapter(parent)
    revision = recipe.parent.revision
    fingerprint = fingerprint_model(parent, revision=revision)
    origin = Origin(source=str(parent), revision=revision, fingerprint=fingerprint)
    return StartingPoint(origin, origin)


def load_policy(recipe: PolicyRecipe, start: StartingPoint) -> Policy:
    """The base with the parent's adapter, ready to train, or with the recipe for a new one.

    Never both: with two adapters the parent's would be dropped without a word.

    Raises:
        HarnessError: a base that cannot be loaded, or whose embeddings lack tokens of the parent.
    """
    from peft import PeftModel
    from transformers import AutoTokenizer

    parent, base = start.parent, start.base
    model, _ = load_base(base.source, revision=base.revision, quantisation=recipe.quantisation)
    tokenizer = AutoTokenizer.from_pretrained(  # the parent's, with the chat template it learnt
        parent.source, revision=parent.revision, trust_remote_code=False
    )
    give_template(tokenizer, recipe.chat_template, parent.source)
    embeddings = model.get_input_embeddings().weight
    n_rows = getattr(embeddings, "ds_shape", embeddings.shape)[0]  # ZeRO 3 keeps the whole's apart
    if len(tokenizer) > n_rows:
        raise HarnessError(
            f"{base.source}: has embeddings for {n_rows} tokens, and the tokenizer of "
            f"{parent.source} has {len(tokenizer)}. Resize the base, save it, and train on that."
        )
    if recipe.lora is not None:
        return Policy(model, tokenizer, lora_config(recipe.lora))
    adapter = Path(parent.source) / "adapter"
    tuned = PeftModel.from_pretrained(model, adapter, is_trainable=True)
    if recipe.quantisation is not None:
        remember_adapter(tuned)
    return Policy(tuned, tokenizer, None)


def _under_adapter(parent: Path, manifest: CheckpointManifest) -> Origin:
    """What the parent's own adapter lies on: its parent, or further up where adapters went on."""
    under = manifest.adapter_base or manifest.parent
    if under is None or not (parent / "adapter").is_dir():
        raise _no_adapter(parent)
    if manifest.adapter_base is None and manifest.method != "sft":
        raise HarnessError(
            f"{parent}: was made before checkpoints said what their adapter lies on. Train it again, "
            "or give the recipe a 'lora' block for a new adapter."
        )
    if fingerprint_model(under.source, revision=under.revision) != under.fingerprint:
        raise HarnessError(
            f"{parent}: its adapter was trained on {under.source}, which is gone or has changed. "
            "Train the parent again, or give the recipe a 'lora' block for a new adapter."
        )
    return under


def _no_adapter(parent: str | Path) -> HarnessError:
    return HarnessError(
        f"{parent}: has no adapter to go on training. Give the recipe a 'lora' block for a new one."
    )
