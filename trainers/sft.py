"""Supervised fine-tuning: a LoRA adapter learns the answers, and the end of its turn."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
)
from trainers.examples import Example, data_hash
from trainers.recipe import SftRecipe
from trainers.trl_options import (
    check_gradients,
    collect_curves,
    make_config,
    quiet_libraries,
    quiet_trainer,
)

N_PROBES = 4  # training rows on which the merged model is compared with its adapter


def train_sft(
    recipe: SftRecipe,
    parent: str | Path,
    out: Path,
    *,
    rows: Sequence[Example],
    progress: Callable[[str, int, int], None],
) -> CheckpointManifest:
    """A merged checkpoint in `out`, trained from `parent` on the rows' completions alone.

    Raises:
        HarnessError: options that TRL refuses, rows that teach nothing, or a run that learnt nothing.
    """
    quiet_torch()
    quiet_libraries()
    started = time.monotonic()
    revision = recipe.parent.revision
    origin = Origin(
        source=str(parent),
        revision=revision,
        fingerprint=fingerprint_model(parent, revision=revision),
    )
    with tempfile.TemporaryDirectory() as scratch, checkpoint_folder(out) as folder:
        trainer = _make_trainer(recipe, parent, rows, Path(scratch))
        facts = check_rows(trainer.train_dataset, rows, trainer.processing_class, trainer.args)
        quiet_trainer(trainer, "sft", progress)
        upcast_adapter(trainer.model)
        before = adapter_hash(trainer.model)
        trainer.train()
        log = trainer.state.log_history
        check_gradients(log, adapter_before=before, adapter_after=adapter_hash(trainer.model))
        divergence = save_merged(
            trainer.model,
            trainer.processing_class,
            folder,
            base=parent,
            revision=revision,
            probes=trainer.train_dataset["input_ids"][:N_PROBES],
        )
        hashed = data_hash(rows)
        training = Training(
            recipe=recipe.recipe,
            method=recipe.method,
            seed=recipe.seed,
            key=checkpoint_key(recipe, origin.fingerprint, hashed),
            parent=origin,
            data_hash=hashed,
            facts=facts | {"seconds": f"{time.monotonic() - started:.0f}"},
            metrics={"train_loss": log[-1]["train_loss"], "merge_kl": divergence},
            curves=collect_curves(log),
        )
        return seal(folder, training)


def _make_trainer(
    recipe: SftRecipe, parent: str | Path, rows: Sequence[Example], scratch: Path
) -> Any:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    config = make_config(
        SFTConfig, recipe.trainer, recipe=recipe.recipe, seed=recipe.seed, folder=scratch
    )
    model, tokenizer = load_base(
        parent, revision=recipe.parent.revision, quantisation=recipe.quantisation
    )
    return SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list([_columns(row) for row in rows]),
        processing_class=tokenizer,
        peft_config=lora_config(recipe.lora),
    )


def _columns(row: Example) -> dict[str, list[dict[str, str]]]:
    """Chats, not rendered text: the template writes the one BOS and the end of the turn."""
    return {
        "prompt": [message.model_dump() for message in row.prompt],
        "completion": [{"role": "assistant", "content": row.completion}],
    }


def check_rows(
    tokenised: Any, rows: Sequence[Example], tokenizer: Any, config: Any
) -> dict[str, str]:
    """Count what TRL cut or dropped, and refuse data that would not teach the model to stop.

    Raises:
        HarnessError: two BOS tokens, answers without a learnt end of turn, or no rows left.
    """
    lengths = [_lengths(row, tokenizer) for row in rows]
    limit = config.max_length or max(length for _, length in lengths)
    dropped = sum(prompt >= limit for prompt, _ in lengths)
    truncated = sum(length > limit for _, length in lengths) - dropped
    if dropped == len(rows):
        raise HarnessError(f"No row fits into max_length {limit}. Raise trainer.max_length.")
    bos = tokenizer.bos_token_id
    if bos is not None and any(list(ids[:2]) == [bos, bos] for ids in tokenised["input_ids"]):
        raise HarnessError("The chats begin with two BOS tokens; the chat template must write one.")
    stops = sum(labels.count(tokenizer.eos_token_id) for labels in tokenised["labels"])
    complete = len(rows) - truncated - dropped
    if stops < complete:
        raise HarnessError(
            f"Only {stops} of {complete} answers end with a learnt {tokenizer.eos_token}, so the model "
            "would not learn to stop. Set trainer.eos_token to what ends a turn in the chat template."
        )
    return {"rows": str(len(rows)), "truncated": str(truncated), "dropped": str(dropped)}


def _lengths(row: Example, tokenizer: Any) -> tuple[int, int]:
    """Tokens of the prompt, and of the prompt with its completion."""
    columns = _columns(row)
    prompt = tokenizer.apply_chat_template(
        columns["prompt"], add_generation_prompt=True, return_dict=True
    )
    whole = tokenizer.apply_chat_template(
        columns["prompt"] + columns["completion"], return_dict=True
    )
    return len(prompt["input_ids"]), len(whole["input_ids"])
