"""Direct preference optimisation (https://arxiv.org/abs/2305.18290) from an SFT checkpoint.

The reference is the SFT model, never its base. So the policy starts where the reference stands,
the first step's margin is 0 and its loss ln 2: both are checked.
"""

import math
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import HarnessError
from harness.models import fingerprint_model, quiet_torch
from trainers.adapter import adapter_hash, load_base, lora_config, save_merged, upcast_adapter
from trainers.checkpoint import (
    CheckpointManifest,
    Origin,
    Training,
    checkpoint_folder,
    checkpoint_key,
    seal,
    verify_checkpoint,
)
from trainers.examples import data_hash
from trainers.pairs import PreferencePair
from trainers.recipe import DpoRecipe
from trainers.trl_options import (
    Log,
    check_gradients,
    collect_curves,
    make_config,
    quiet_libraries,
    quiet_trainer,
)

N_PROBES = 4  # training rows on which the merged model is compared with its adapter
START_TOLERANCE = 1e-3


class Base(NamedTuple):
    """What the trained adapter lies on, and is merged into at the end."""

    source: str
    revision: str | None


def train_dpo(
    recipe: DpoRecipe,
    parent: Path,
    out: Path,
    *,
    pairs: Sequence[PreferencePair],
    progress: Callable[[str, int, int], None],
) -> CheckpointManifest:
    """A merged checkpoint in `out`, trained from the SFT checkpoint `parent` on the pairs.

    Raises:
        HarnessError: options that TRL refuses, too few pairs, a wrong reference, or a run that
            learnt nothing.
    """
    quiet_torch()
    quiet_libraries()
    started = time.monotonic()
    manifest = verify_checkpoint(parent)
    learn, held_out = split_pairs(pairs, recipe.holdout, recipe.seed)
    with tempfile.TemporaryDirectory() as scratch, checkpoint_folder(out) as folder:
        base = _base(recipe, parent, manifest)
        trainer = _make_trainer(recipe, parent, base, learn, held_out, Path(scratch))
        facts = check_pairs(trainer.train_dataset, learn, trainer.processing_class, trainer.args)
        quiet_trainer(trainer, "dpo", progress)
        upcast_adapter(trainer.model)
        before = adapter_hash(trainer.model)
        trainer.train()
        log = trainer.state.log_history
        check_start(log, trainer.args)
        check_gradients(log, adapter_before=before, adapter_after=adapter_hash(trainer.model))
        metrics = trainer.evaluate() if held_out else {}
        if "ref" in trainer.model.peft_config:  # needed no longer, and no part of the result
            trainer.model.delete_adapter("ref")
        first = trainer.train_dataset[:N_PROBES]
        divergence = save_merged(
            trainer.model,
            trainer.processing_class,
            folder,
            base=base.source,
            revision=base.revision,
            probes=[p + c for p, c in zip(first["prompt_ids"], first["chosen_ids"], strict=True)],
        )
        hashed = data_hash(pairs)
        training = Training(
            recipe=recipe.recipe,
            method=recipe.method,
            seed=recipe.seed,
            key=checkpoint_key(recipe, manifest.fingerprint, hashed),
            parent=Origin(source=str(parent), fingerprint=manifest.fingerprint),
            data_hash=hashed,
            facts=facts
            | {
                "held-out pairs": str(len(held_out)),
                "reference": "the parent checkpoint",
                "seconds": f"{time.monotonic() - started:.0f}",
            },
            metrics=_held_out_metrics(metrics) | {"merge_kl": divergence},
            curves=collect_curves(log),
        )
        return seal(folder, training)


def split_pairs(
    pairs: Sequence[PreferencePair], holdout: float, seed: int
) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """Pairs to learn from and pairs to evaluate on; a prompt's pairs stay together.

    Raises:
        HarnessError: nothing to learn from.
    """
    prompts = sorted({pair.sample_id for pair in pairs})
    held = set(random.Random(seed).sample(prompts, round(holdout * len(prompts))))
    learn = [pair for pair in pairs if pair.sample_id not in held]
    if not learn:
        raise HarnessError(
            "There are no preference pairs to learn from. See the pairs' statistics for what was dropped."
        )
    return learn, [pair for pair in pairs if pair.sample_id in held]


def _base(recipe: DpoRecipe, parent: Path, manifest: CheckpointManifest) -> Base:
    """The parent itself under a new adapter; or what the parent's own adapter lies on."""
    if recipe.lora is not None:
        return Base(str(parent), None)
    if manifest.parent is None or not (parent / "adapter").is_dir():
        raise HarnessError(
            f"{parent}: has no adapter to go on training. Give the recipe a 'lora' block for a new one."
        )
    origin = manifest.parent
    if fingerprint_model(origin.source, revision=origin.revision) != origin.fingerprint:
        raise HarnessError(
            f"{parent}: its adapter was trained on {origin.source}, which is gone or has changed. "
            "Train the parent again, or give the recipe a 'lora' block for a new adapter."
        )
    return Base(origin.source, origin.revision)


def _make_trainer(
    recipe: DpoRecipe,
    parent: Path,
    base: Base,
    learn: Sequence[PreferencePair],
    held_out: Sequence[PreferencePair],
    scratch: Path,
) -> Any:
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    config = make_config(
        DPOConfig, recipe.trainer, recipe=recipe.recipe, seed=recipe.seed, folder=scratch
    )
    model, _ = load_base(base.source, revision=base.revision, quantisation=recipe.quantisation)
    if recipe.lora is None:
        # TRL then keeps a frozen copy of this adapter, named "ref", as the reference.
        model = PeftModel.from_pretrained(model, parent / "adapter", is_trainable=True)
    return DPOTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list([_columns(pair) for pair in learn]),
        eval_dataset=Dataset.from_list([_columns(pair) for pair in held_out]) if held_out else None,
        processing_class=AutoTokenizer.from_pretrained(parent),  # with the chat template of SFT
        peft_config=None if recipe.lora is None else lora_config(recipe.lora),
    )


def _columns(pair: PreferencePair) -> dict[str, list[dict[str, str]]]:
    """Chats, not rendered text: the template writes the one BOS and the end of the turn."""
    return {
        "prompt": [message.model_dump() for message in pair.prompt],
        "chosen": [{"role": "assistant", "content": pair.chosen}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
    }


def check_pairs(
    tokenised: Any, pairs: Sequence[PreferencePair], tokenizer: Any, config: Any
) -> dict[str, str]:
    """Count what TRL cut or dropped, and refuse pairs without an end of turn.

    Raises:
        HarnessError: two BOS tokens, answers without an end of turn, or no pairs left.
    """
    if not len(tokenised):
        raise HarnessError(
            f"No pair fits into max_length {config.max_length}. Raise trainer.max_length."
        )
    bos, stop = tokenizer.bos_token_id, tokenizer.eos_token_id
    if bos is not None and any(ids[:2] == [bos, bos] for ids in tokenised["prompt_ids"]):
        raise HarnessError("The chats begin with two BOS tokens; the chat template must write one.")
    answers = [*tokenised["chosen_ids"], *tokenised["rejected_ids"]]
    if not all(stop in ids for ids in answers):
        raise HarnessError(
            f"An answer does not end with {tokenizer.eos_token}; the chat template must write it."
        )
    limit = config.max_length or math.inf
    truncated = sum(
        len(prompt) + max(len(chosen), len(rejected)) > limit
        for prompt, chosen, rejected in zip(
            tokenised["prompt_ids"], tokenised["chosen_ids"], tokenised["rejected_ids"], strict=True
        )
    )
    return {
        "pairs": str(len(pairs)),
        "truncated": str(truncated),
        "dropped": str(len(pairs) - len(tokenised)),
    }


def check_start(log: Log, config: Any) -> None:
    """Refuse a run whose reference was not its starting policy.

    Raises:
        HarnessError: a first margin other than 0, or a first sigmoid loss other than ln 2.
    """
    margin, loss = log[0]["rewards/margins"], log[0]["loss"]
    plain = (
        config.loss_type == ["sigmoid"] and not config.label_smoothing and not config.use_weighting
    )
    if abs(margin) > START_TOLERANCE or (plain and abs(loss - math.log(2)) > START_TOLERANCE):
        raise HarnessError(
            f"DPO started with margin {margin:.4f} and loss {loss:.4f}; where the reference is the "
            f"starting policy they are 0 and {math.log(2):.4f}. Dropout must be off, and the "
            "reference the parent checkpoint."
        )


def _held_out_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Loss, margin and accuracy on the held-out pairs."""
    return {
        name: metrics[name]
        for name in ("eval_loss", "eval_rewards/margins", "eval_rewards/accuracies")
        if name in metrics
    }
