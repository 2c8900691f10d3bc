"""One training run, whatever its method: resumable, checked, and sealed as a merged checkpoint.

A method says which of TRL's trainers it needs and what must be true of its data and its log. What
every run shares is here: the adapter in full precision, steps kept for a killed run, a batch that
shrinks where memory ends, and the checks that training was training.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from harness.errors import HarnessError
from harness.models import quiet_torch
from harness.types import Curve
from trainers.adapter import (
    Head,
    free_memory,
    merge_saved,
    save_adapter,
    trained_weights,
    upcast_adapter,
    weights_hash,
)
from trainers.checkpoint import (
    CheckpointManifest,
    Origin,
    Training,
    checkpoint_folder,
    checkpoint_key,
    seal,
)
from trainers.crew import agreed, draw_own_noise, is_zero3
from trainers.processes import Crew, Launch, halved, share_batch
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
from trainers.vocabulary_head import project_at_once
from trainers.watch import Watch, watch_training

NOTHING: Mapping[str, str] = MappingProxyType({})
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


class Setting(NamedTuple):
    """What a run is given beside its recipe and its data; none of it changes what is learnt.

    `facts` are told of the data; `references` is where log-probabilities of references are kept,
    which changes weights by rounding only.
    """

    facts: Mapping[str, str] = NOTHING
    watch: Watch | None = None
    references: Path | None = None


class Place(NamedTuple):
    """Where a run puts things: steps to resume from, logs, and its adapter, in `folder`."""

    steps: Path
    logs: Path
    folder: Path


class Trained(NamedTuple):
    """What a run leaves beside its saved adapter: that adapter's hash, and what is known of it."""

    adapter: str
    tokenizer: Any
    probes: list[list[int]]
    facts: dict[str, str]
    metrics: dict[str, float]
    curves: tuple[Curve, ...]


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
    launch: Launch | None = None,
    setting: Setting = Setting(),  # noqa: B008 - a tuple, which nothing changes
) -> CheckpointManifest:
    """A merged checkpoint in `out`. Killed, the same call goes on from the last kept step.

    `origin` is the parent; `base` is what the adapter lies on and is merged into. With `launch` it
    is trained in those processes, and merged in this one.

    Raises:
        HarnessError: options that TRL refuses, data that teaches nothing, or a run that learnt
            nothing.
    """
    quiet_torch()
    quiet_libraries()
    started = time.monotonic()
    # However it is launched: the batch is the recipe's, and the weights are, but for rounding.
    key = checkpoint_key(recipe, origin.fingerprint, data_hash)
    steps = f".{out.name}.{key[:12]}"
    with checkpoint_folder(out) as folder:
        place = Place(
            steps=out.with_name(f"{steps}.{launch.name}.steps" if launch else f"{steps}.steps"),
            logs=out.with_name(f"{out.name}.logs"),  # the steps are removed at the end
            folder=folder,
        )
        if launch is None:
            watch = (
                None
                if setting.watch is None
                else partial(watch_training, watch=setting.watch, base=base.fingerprint)
            )
            trained = train_here(recipe, method, place, progress, watch=watch)
            free_memory()  # the trainer and its model go before their base is loaded again
        else:
            from trainers.launched import train_launched

            trained = train_launched(recipe, method, place, progress, launch)
        merged = merge_saved(
            folder,
            trained.tokenizer,
            base=base.source,
            revision=base.revision,
            probes=trained.probes,
            head=head,
            trained=trained.adapter,
        )
        training = Training(
            recipe=recipe.recipe,
            method=recipe.method,
            seed=recipe.seed,
            key=key,
            parent=origin,
            data_hash=data_hash,
            facts=dict(setting.facts)
            | trained.facts
            | {"seconds": f"{time.monotonic() - started:.0f}"},
            metrics=trained.metrics | merged,
            curves=trained.curves,
            adapter_base=base,
        )
        manifest = seal(folder, training)
    for left in out.parent.glob(f"{steps}.*steps"):
        shutil.rmtree(left, ignore_errors=True)
    return manifest


@project_at_once()
def train_here(
    recipe: AdapterRecipe,
    method: Method,
    place: Place,
    progress: Report,
    crew: Crew = Crew(),  # noqa: B008 - a tuple, which nothing changes
    watch: Callable[[Any], None] | None = None,
) -> Trained:
    """Train in this process, one of its `crew`; the first of them saves the adapter.

    `watch` is shown the trainer before it begins.

    Raises:
        HarnessError: as `train_adapter`.
        OutOfMemoryError: memory ended, and others of the crew wait for this process.
    """
    run = _run_in_memory(recipe, method, place, progress, crew, watch)
    trainer, log = run.trainer, run.trainer.state.log_history
    weights = trained_weights(trainer.model)
    after = weights_hash(weights)
    method.check_log([entry for entry in log if "loss" in entry], trainer.args)
    check_gradients(
        log,
        adapter_before=weights_hash(run.before),
        adapter_after=after,
        may_rest=may_rest(trainer.args),
    )
    metrics = method.measure(trainer) or _mean_loss(log)
    if crew.first:
        save_adapter(trainer.model, weights, place.folder)
    return Trained(
        adapter=after,
        tokenizer=trainer.processing_class,
        probes=method.probes(trainer),
        facts=run.facts | {"adapter entries that moved": moved_share(run.before, weights)},
        metrics=metrics,
        curves=collect_curves(log),
    )


class _Run(NamedTuple):
    """A finished trainer, its adapter's weights before it began, and facts on its data."""

    trainer: Any
    before: dict[str, Any]
    facts: dict[str, str]


def _run_in_memory(
    recipe: AdapterRecipe,
    method: Method,
    place: Place,
    progress: Report,
    crew: Crew,
    watch: Callable[[Any], None] | None,
) -> _Run:
    """Train; where memory ends, again with half the batch and twice the accumulation."""
    import torch

    options: Mapping[str, Any] = recipe.trainer
    if crew.size > 1:
        options = dict(options) | share_batch(recipe.recipe, options, crew)
    halvings = crew.halvings
    while True:
        config = make_config(
            method.config_type(),
            options,
            recipe=recipe.recipe,
            seed=recipe.seed,
            folder=place.steps,
        )
        batch = (config.per_device_train_batch_size, config.gradient_accumulation_steps)
        try:
            run = _run(recipe, method, config, place, progress, crew, watch)
        except torch.OutOfMemoryError:
            if batch[0] == 1:
                raise HarnessError(
                    f"{recipe.recipe}: not enough memory for a batch of one. Lower trainer.max_length, "
                    "train in 4 bits ('quantisation'), or take a machine with more memory."
                ) from None
            if crew.size > 1:
                raise
            names = ("per_device_train_batch_size", "gradient_accumulation_steps")
            options = dict(options) | dict(zip(names, halved(*batch), strict=True))
            halvings += 1
            torch.cuda.empty_cache()
            continue
        if crew.size > 1:
            run.facts["processes"] = f"{crew.size}, with {batch[0]} rows at a time in each"
        if halvings:
            run.facts["batch"] = f"{batch[0]} at a time, accumulated {batch[1]} times: memory ended"
        return run


def _run(
    recipe: AdapterRecipe,
    method: Method,
    config: Any,
    place: Place,
    progress: Report,
    crew: Crew,
    watch: Callable[[Any], None] | None,
) -> _Run:
    from jinja2 import TemplateError

    try:
        trainer = method.make_trainer(config)
    except TemplateError as error:
        raise HarnessError(f"{recipe.recipe}: the chat template refuses a row: {error}.") from None
    except (ValueError, NotImplementedError) as error:  # how TRL refuses what does not fit together
        raise HarnessError(f"{recipe.recipe}: trainer: {error}") from error
    facts = method.check_data(trainer) | trainable_share(trainer.model)
    quiet_trainer(trainer, recipe.method, progress)
    if not is_zero3(config):  # which keeps full precision in its optimiser, and wants one type
        upcast_adapter(trainer.model)
    place_logs(trainer, place.logs)
    _keep_steps(trainer)
    if crew.size > 1:
        draw_own_noise(trainer, crew)
    if watch is not None:
        watch(trainer)
    before = {name: weight.clone() for name, weight in trained_weights(trainer.model).items()}
    trainer.train(resume_from_checkpoint=_last_step(place.steps, crew))
    return _Run(trainer, before, facts)


def moved_share(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """How many of the trained numbers are not what they were, as a share.

    Far below one, steps were smaller than what the numbers can hold.
    """
    moved = sum(int((after[name] != weight).sum()) for name, weight in before.items())
    return f"{moved / sum(weight.numel() for weight in before.values()):.1%}"


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
            due = time.monotonic() - self.saved >= every_s and state.global_step < state.max_steps
            if agreed(due, args.device):
                control.should_save = True
                self.saved = time.monotonic()

    trainer.add_callback(KeepSteps())


def _last_step(steps: Path, crew: Crew) -> str | None:
    """The last step that was kept whole: the trainer's state is written last of all.

    Other processes of the crew may be later with the state of their random numbers.
    """
    kept: dict[int, Path] = {}
    for state in steps.glob("checkpoint-*/trainer_state.json"):
        if crew.size > 1 and len(list(state.parent.glob("rng_state_*.pth"))) < crew.size:
            continue
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
