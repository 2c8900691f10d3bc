"""The starting model of every method after SFT: the parent's own adapter, or a new one on the parent."""

from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.models.model_folder import is_sealed, verified_fingerprint
from harness.models.stops import set_stops
from trainers.adapter import (
    check_vocabulary,
    load_base,
    new_adapter,
    refuse_adapter,
    remember_adapter_weights,
)
from trainers.chat_template import set_chat_template
from trainers.checkpoint import CheckpointManifest, Origin, verify_checkpoint
from trainers.recipe import OnlineRecipe, PreferenceRecipe

# Recipes that train a new adapter if they have an `adapter` block, and otherwise the parent's own.
PolicyRecipe = PreferenceRecipe | OnlineRecipe


class StartingPoint(NamedTuple):
    """The parent, and the base of the trained adapter: the parent, or the model under its adapter."""

    parent: Origin
    base: Origin


class Policy(NamedTuple):
    """A model to train and its tokenizer.

    Attributes:
        peft_config: PEFT's configuration of the adapter that the trainer adds; None where it adds none.
        reference: A second model that is the reference; None where the model without its adapter is, or a
            frozen copy of the adapter.
    """

    model: Any
    tokenizer: Any
    peft_config: Any | None = None
    reference: Any | None = None


def find_starting_point(recipe: PolicyRecipe, parent: str | Path) -> StartingPoint:
    """Find where the recipe's training starts, without loading a model.

    Raises:
        HarnessError: the parent is damaged, has no adapter to continue, or its adapter's base is gone.
    """
    directory = Path(parent)
    refuse_adapter(parent)
    if is_sealed(directory):
        manifest = verify_checkpoint(directory)
        origin = Origin(source=str(parent), fingerprint=manifest.fingerprint)
        return StartingPoint(
            origin, origin if recipe.new_adapter else _adapter_base(directory, manifest)
        )
    if recipe.new_adapter is None:
        raise _no_adapter_error(parent)
    revision = recipe.parent.revision
    fingerprint = verified_fingerprint(parent, revision=revision)
    origin = Origin(source=str(parent), revision=revision, fingerprint=fingerprint)
    return StartingPoint(origin, origin)


def load_policy(recipe: PolicyRecipe, start: StartingPoint) -> Policy:
    """Load the base with the parent's adapter, ready to train, or with the config of a new adapter.

    Never both: with a new adapter the parent's would be dropped without a warning.

    Raises:
        HarnessError: the base cannot be loaded, or its embeddings lack tokens of the parent.
    """
    from peft import PeftModel
    from transformers import AutoTokenizer

    # Load the base, and the parent's tokenizer, which has the chat template that it was trained with.
    parent, base = start.parent, start.base
    model, _ = load_base(base.source, revision=base.revision, quantisation=recipe.quantisation)
    tokenizer = AutoTokenizer.from_pretrained(
        parent.source, revision=parent.revision, trust_remote_code=False
    )
    set_chat_template(tokenizer, recipe.chat_template, parent.source, thinking=recipe.thinking)
    check_vocabulary(model, tokenizer, base.source)
    set_stops(model, tokenizer)
    # Add the adapter.
    if recipe.new_adapter is not None:
        start_model, config = new_adapter(recipe.new_adapter, model, tokenizer)
        reference = _second_model(recipe, base) if _needs_second_model(recipe) else None
        return Policy(start_model, tokenizer, config, reference)
    adapter = Path(parent.source) / "adapter"
    tuned = PeftModel.from_pretrained(model, adapter, is_trainable=True)
    if getattr(model, "is_quantized", False):
        remember_adapter_weights(tuned)
    return Policy(tuned, tokenizer)


def _needs_second_model(recipe: PolicyRecipe) -> bool:
    """Return whether all weights are trained, and compared with a frozen reference."""
    kind = recipe.new_adapter
    return recipe.has_reference and kind is not None and kind.reference == "a second model"


def _second_model(recipe: PolicyRecipe, base: Origin) -> Any:
    """Load the frozen reference, in the type of the weights that are trained."""
    model, _ = load_base(base.source, revision=base.revision, quantisation=recipe.quantisation)
    return model.float().eval().requires_grad_(False)


def _adapter_base(parent: Path, manifest: CheckpointManifest) -> Origin:
    """Return the base of the parent's own adapter: the parent's parent, or an earlier ancestor."""
    base = manifest.adapter_base or manifest.parent
    if base is None or not (parent / "adapter").is_dir():
        raise _no_adapter_error(parent)
    if manifest.adapter_base is None and manifest.method != "sft":
        raise HarnessError(
            f"{parent}: was made before checkpoints recorded the base of their adapter. Train it again, "
            "or give the recipe an 'adapter' block for a new one."
        )
    if verified_fingerprint(base.source, revision=base.revision) != base.fingerprint:
        raise HarnessError(
            f"{parent}: its adapter was trained on {base.source}, which is gone or has changed. "
            "Train the parent again, or give the recipe an 'adapter' block for a new one."
        )
    return base


def _no_adapter_error(parent: str | Path) -> HarnessError:
    return HarnessError(
        f"{parent}: has no adapter to continue training. Give the recipe an 'adapter' block for a new one."
    )
