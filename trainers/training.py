"""One training run, whatever its method: resumable, checked, and sealed as a merged checkpoint.

A method says which of TRL's trainers it needs and what must be true of its data and its log. What
every run shares is here: the adapter in full precision, steps kept for a killed run, a batch that
shrinks where memory ends, and the checks that training was training.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.models.weights import quiet_torch
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
    finalise,
)
from trainers.cpu_logprobs import fast_cpu_logprobs
from trainers.distributed.config import Launch, WorldInfo, halve_batch, split_batch
from trainers.distributed.sync import is_zero3, seed_per_rank
from trainers.eval_callback import TrainingEval, add_eval_callback
from trainers.method import Job, Method, OutputPaths, ProgressCallback, RunSettings, Trained
from trainers.recipe import AdapterRecipe
from trainers.resume import latest_checkpoint, save_for_resume
from trainers.starting_model import StartingPoint
from trainers.trl_config import (
    Log,
    allow_zero_gradient,
    check_gradients,
    collect_curves,
    make_config,
    place_logs,
    quiet_libraries,
    quiet_trainer,
)

N_PROBES = 4  # training rows on which the merged model is compared with its adapter


def train_adapter(
    recipe: AdapterRecipe,
    method: Method,
    out: Path,
    *,
    start: StartingPoint,
    data_hash: str,
    progress: ProgressCallback,
    head: Head = "language_model",
    launch: Launch | None = None,
    setting: RunSettings = RunSettings(),  # noqa: B008 - a tuple, which nothing changes
) -> CheckpointManifest:
    """A merged checkpoint in `out`. Killed, the same call goes on from the last kept step.

    With `launch` it is trained in those processes, and merged in this one.

    Raises:
        HarnessError: options that TRL refuses, data that teaches nothing, or a run that learnt
            nothing.
    """
    quiet_torch()
    quiet_libraries()
    started = time.monotonic()
    # However it is launched: the batch is the recipe's, and the weights are, but for rounding.
    key = checkpoint_key(recipe, start.parent.fingerprint, data_hash)
    with checkpoint_folder(out) as folder:
        job = Job(recipe, method, _place(out, folder, key, launch))
        trained = _train(job, start.base, progress, launch, setting.watch)
        merged = merge_saved(
            folder,
            trained.tokenizer,
            base=start.base.source,
            revision=start.base.revision,
            probes=trained.probes,
            head=head,
            trained=trained.adapter,
        )
        seconds = {"seconds": f"{time.monotonic() - started:.0f}"}
        training = Training(
            recipe=recipe.recipe,
            method=recipe.method,
            seed=recipe.seed,
            key=key,
            parent=start.parent,
            data_hash=data_hash,
            facts=dict(setting.facts) | trained.facts | seconds,
            metrics=trained.metrics | merged,
            curves=trained.curves,
            adapter_base=start.base,
        )
        manifest = finalise(folder, training)
    for steps in out.parent.glob(f"{_steps_name(out, key)}.*steps"):
        shutil.rmtree(steps, ignore_errors=True)
    return manifest


def _place(out: Path, folder: Path, key: str, launch: Launch | None) -> OutputPaths:
    """Steps and logs lie beside the checkpoint: they outlive a run that was killed."""
    steps = f"{launch.name}.steps" if launch else "steps"
    return OutputPaths(
        steps=out.with_name(f"{_steps_name(out, key)}.{steps}"),
        logs=out.with_name(f"{out.name}.logs"),  # the steps are removed at the end
        folder=folder,
    )


def _steps_name(out: Path, key: str) -> str:
    """What the names of a run's steps begin with, however it is launched."""
    return f".{out.name}.{key[:12]}"


def _train(
    job: Job,
    base: Origin,
    progress: ProgressCallback,
    launch: Launch | None,
    watch: TrainingEval | None,
) -> Trained:
    """In the processes of `launch`, or in this one, where the model may be watched."""
    if launch is not None:
        from trainers.distributed.launch import train_launched

        return train_launched(job, progress, launch)
    watched = watch and partial(add_eval_callback, watch=watch, base=base.fingerprint)
    trained = train_here(job, progress, watch=watched)
    free_memory()  # the trainer and its model go before their base is loaded again
    return trained


@fast_cpu_logprobs()
def train_here(
    job: Job,
    progress: ProgressCallback,
    crew: WorldInfo = WorldInfo(),  # noqa: B008 - a tuple, which nothing changes
    watch: Callable[[Any], None] | None = None,
) -> Trained:
    """Train in this process, one of its `crew`; the first of them saves the adapter.

    `watch` is shown the trainer before it begins.

    Raises:
        HarnessError: as `train_adapter`.
        OutOfMemoryError: memory ended, and others of the crew wait for this process.
    """
    run = _run_in_memory(job, progress, crew, watch)
    trainer, log = run.trainer, run.trainer.state.log_history
    weights = trained_weights(trainer.model)
    after = weights_hash(weights)
    job.method.check_log([entry for entry in log if "loss" in entry], trainer.args)
    check_gradients(
        log,
        adapter_before=weights_hash(run.before),
        adapter_after=after,
        allow_zero_gradient=allow_zero_gradient(trainer.args),
    )
    metrics = job.method.measure(trainer) or _mean_loss(log)
    if crew.first:
        save_adapter(trainer.model, weights, job.place.folder)
    return Trained(
        adapter=after,
        tokenizer=trainer.processing_class,
        probes=job.method.probes(trainer),
        facts=run.facts | {"adapter entries that moved": changed_share(run.before, weights)},
        metrics=metrics,
        curves=collect_curves(log),
    )


class _Run(NamedTuple):
    """A finished trainer, its adapter's weights before it began, and facts on its data."""

    trainer: Any
    before: dict[str, Any]
    facts: dict[str, str]


def _run_in_memory(
    job: Job, progress: ProgressCallback, crew: WorldInfo, watch: Callable[[Any], None] | None
) -> _Run:
    """Train; where memory ends, again with half the batch and twice the accumulation."""
    import torch

    recipe, halvings = job.recipe, crew.halvings
    options: dict[str, Any] = dict(recipe.trainer)
    if crew.size > 1:
        options |= split_batch(recipe.recipe, options, crew)
    while True:
        config = make_config(
            job.method.config_type(),
            options,
            recipe=recipe.recipe,
            seed=recipe.seed,
            folder=job.place.steps,
        )
        rows, accumulated = config.per_device_train_batch_size, config.gradient_accumulation_steps
        try:
            run = _run(job, config, progress, crew, watch)
        except torch.OutOfMemoryError:
            if rows == 1:
                raise HarnessError(
                    f"{recipe.recipe}: not enough memory for a batch of one. Lower trainer.max_length, "
                    "train in 4 bits ('quantisation'), or take a machine with more memory."
                ) from None
            if crew.size > 1:
                raise
        else:
            if crew.size > 1:
                run.facts["processes"] = f"{crew.size}, with {rows} rows at a time in each"
            if halvings:
                told = f"{rows} at a time, accumulated {accumulated} times: memory ended"
                run.facts["batch"] = told
            return run
        # Outside the handler, so that what the failed batch held is free again.
        names = ("per_device_train_batch_size", "gradient_accumulation_steps")
        options |= dict(zip(names, halve_batch(rows, accumulated), strict=True))
        halvings += 1
        torch.cuda.empty_cache()


def _run(
    job: Job,
    config: Any,
    progress: ProgressCallback,
    crew: WorldInfo,
    watch: Callable[[Any], None] | None,
) -> _Run:
    from jinja2 import TemplateError

    recipe, method = job.recipe, job.method
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
    place_logs(trainer, job.place.logs)
    save_for_resume(trainer)
    if crew.size > 1:
        seed_per_rank(trainer, crew)
    if watch is not None:
        watch(trainer)
    before = {name: weight.clone() for name, weight in trained_weights(trainer.model).items()}
    trainer.train(resume_from_checkpoint=latest_checkpoint(job.place.steps, crew))
    return _Run(trainer, before, facts)


def changed_share(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
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
