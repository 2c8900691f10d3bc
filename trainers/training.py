"""One training run, whatever its method: resumable, checked, and sealed as a merged checkpoint.

A method says which of TRL's trainers it needs and what must be true of its data and its log. What
every run shares is here: the adapter in full precision, steps kept for a killed run, a batch that
shrinks where memory ends, and the checks that training was training.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from harness.errors import HarnessError
from harness.models import quiet_torch
from trainers.adapter import Head, adapter_hash, save_merged, upcast_adapter
from trainers.checkpoint import (
    CheckpointManifest,
    Origin,
    Training,
    checkpoint_folder,
    checkpoint_key,
    seal,
)
from trainers.recipe import AdapterRecipe
from trainers.trl_options import (
    Log,
    check_gradients,
    collect_curves,
    make_config,
    may_rest,
    place_logs,
    quiet_libraries,
    quiet_trainer,
)

N_PROBES = 4  # training rows on which the merged model is compared with its adapter
SAVE_EVERY_S = 300.0  # what a kill may cost; HARNESS_SAVE_EVERY states another time

Report = Callable[[str, int, int], None]


class Method(Protocol):
    """One way to train an adapter, with its data."""

    def config_type(self) -> Any:
        """TRL's configuration class."""

    def make_trainer(self, config: Any) -> Any:
        """TRL's trainer, ready to go.

        Raises:
            HarnessError: data or a parent that cannot be trained on.
        """

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Facts on the data, such as the rows that were cut.

        Raises:
            HarnessError: data that would teach something else than was meant.
        """

    def check_log(self, log: Log, config: Any) -> None:
        """Refuse a run that did not begin where its method begins.

        Raises:
            HarnessError: it did not.
        """

    def measure(self, trainer: Any) -> dict[str, float]:
        """What the trained model reaches on held-out data."""

    def probes(self, trainer: Any) -> list[list[int]]:
        """Token ids of a few training rows."""


def train_adapter(
    recipe: AdapterRecipe,
    method: Method,
    out: Path,
    *,
    origin: Origin,
    base: Origin,
    data_hash: str,
    progress: Report,
    head: Head = "language_model",
) -> CheckpointManifest:
    """A merged checkpoint in `out`. Killed, the same call goes on from the last kept step.

    `origin` is the parent; `base` is what the adapter lies on and is merged into.

    Raises:
        HarnessError: options that TRL refuses, data that teaches nothing, or a run that learnt
            nothing.
    """
    quiet_torch()
    quiet_libraries()
    started = time.monotonic()
    key = checkpoint_key(recipe, origin.fingerprint, data_hash)
    steps = out.with_name(f".{out.name}.{key[:12]}.steps")
    with checkpoint_folder(out) as folder:
        # Beside the checkpoint, since the steps are removed at the end.
        logs = out.with_name(f"{out.name}.logs")
        run = _run_in_memory(recipe, method, steps, logs, progress)
        log, trainer = run.trainer.state.log_history, run.trainer
        method.check_log(log, trainer.args)
        check_gradients(
            log,
            adapter_before=run.before,
            adapter_after=adapter_hash(trainer.model),
            may_rest=may_rest(trainer.args),
        )
        metrics = method.measure(trainer) or _mean_loss(log)
        if "ref" in trainer.model.peft_config:  # needed no longer, and no part of the result
            trainer.model.delete_adapter("ref")
        merged = save_merged(
            trainer.model,
            trainer.processing_class,
            folder,
            base=base.source,
            revision=base.revision,
            probes=method.probes(trainer),
            head=head,
        )
        training = Training(
            recipe=recipe.recipe,
            method=recipe.method,
            seed=recipe.seed,
            key=key,
            parent=origin,
            data_hash=data_hash,
            facts=run.facts | {"seconds": f"{time.monotonic() - started:.0f}"},
            metrics=metrics | merged,
            curves=collect_curves(log),
            adapter_base=base,
        )
        manifest = seal(folder, training)
    shutil.rmtree(steps, ignore_errors=True)
    return manifest


class _Run(NamedTuple):
    """A finished trainer, its adapter's hash before it began, and facts on its data."""

    trainer: Any
    before: str
    facts: dict[str, str]


def _run_in_memory(
    recipe: AdapterRecipe, method: Method, steps: Path, logs: Path, progress: Report
) -> _Run:
    """Train; where memory ends, again with half the batch and twice the accumulation."""
    import torch

    options: Mapping[str, Any] = recipe.trainer
    while True:
        config = make_config(
            method.config_type(), options, recipe=recipe.recipe, seed=recipe.seed, folder=steps
        )
        try:
            run = _run(recipe, method, config, logs, progress)
        except torch.OutOfMemoryError:
            if config.per_device_train_batch_size == 1:
                raise HarnessError(
                    f"{recipe.recipe}: not enough memory for a batch of one. Lower trainer.max_length, "
                    "train in 4 bits ('quantisation'), or take a machine with more memory."
                ) from None
            options = dict(options) | halved_batch(config)
            torch.cuda.empty_cache()
            continue
        if options is not recipe.trainer:
            batch = (config.per_device_train_batch_size, config.gradient_accumulation_steps)
            run.facts["batch"] = f"{batch[0]} at a time, accumulated {batch[1]} times: memory ended"
        return run


def halved_batch(config: Any) -> dict[str, int]:
    """Options for half the batch at a time and the same effective batch, or nearly, if it is odd."""
    size = config.per_device_train_batch_size // 2
    effective = config.per_device_train_batch_size * config.gradient_accumulation_steps
    return {
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": math.ceil(effective / size),
    }


def _run(recipe: AdapterRecipe, method: Method, config: Any, logs: Path, progress: Report) -> _Run:
    try:
        trainer = method.make_trainer(config)
    except (ValueError, NotImplementedError) as error:  # how TRL refuses what does not fit together
        raise HarnessError(f"{recipe.recipe}: trainer: {error}") from error
    facts = method.check_data(trainer) | trainable_share(trainer.model)
    quiet_trainer(trainer, recipe.method, progress)
    upcast_adapter(trainer.model)
    place_logs(trainer, logs)
    _keep_steps(trainer)
    before = adapter_hash(trainer.model)
    trainer.train(resume_from_checkpoint=_last_step(Path(config.output_dir)))
    return _Run(trainer, before, facts)


def trainable_share(model: Any) -> dict[str, str]:
    """How many parameters are trained.

    Raises:
        HarnessError: none is, as where an adapter was attached for inference.
    """
    trained, total = model.get_nb_trainable_parameters()
    if not trained:
        raise HarnessError("No parameter is trainable, so there is nothing to learn.")
    return {"trainable parameters": f"{trained:,} of {total:,}"}


def _keep_steps(trainer: Any) -> None:
    """Save what resuming needs every few minutes, so that short runs save nothing."""
    from transformers import TrainerCallback

    every_s = float(os.environ.get("HARNESS_SAVE_EVERY", SAVE_EVERY_S))

    class KeepSteps(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        saved = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if time.monotonic() - self.saved >= every_s and state.global_step < state.max_steps:
                control.should_save = True
                self.saved = time.monotonic()

    trainer.add_callback(KeepSteps())


def _last_step(steps: Path) -> str | None:
    """The last step that was kept whole: the trainer's state is written last of all."""
    kept: dict[int, Path] = {}
    for state in steps.glob("checkpoint-*/trainer_state.json"):
        with suppress(ValueError, KeyError):  # broken off in the middle
            kept[json.loads(state.read_bytes())["global_step"]] = state.parent
    return str(kept[max(kept)]) if kept else None


def _mean_loss(log: Log) -> dict[str, float]:
    """The mean over the run, steps before a kill included; the trainer's own mean forgets them.

    Between logged steps a kill still loses what came since the last one.
    """
    entries = [entry for entry in log if "loss" in entry]
    before = [0.0, *(entry["step"] for entry in entries)]
    total = sum(
        entry["loss"] * (entry["step"] - last) for entry, last in zip(entries, before, strict=False)
    )
    return {"train_loss": total / before[-1]} if entries else {}
