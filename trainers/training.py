"""One training run of any method: resumable, checked, and saved as a merged checkpoint.

A method brings TRL's trainer and the checks on its data and its first step. Everything that the
methods share is here: the adapter in full precision, checkpoints to resume a killed run from, a
smaller batch when memory runs out, and the check that training changed the adapter.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.models.gguf import describe_origin
from harness.models.local import context_length
from harness.models.weights import quiet_torch
from trainers.adapter import (
    free_memory,
    save_trained,
    trained_weights,
    upcast_adapter,
    weights_hash,
)
from trainers.adapter_kinds import Adapter, LoraPlus, Pissa
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
from trainers.finishing import finish
from trainers.method import Job, Method, OutputPaths, ProgressCallback, RunSettings, Trained
from trainers.peft_config import Head
from trainers.preflight import check_base
from trainers.recipe import AdapterRecipe
from trainers.resume import describe_set_aside, latest_checkpoint, save_for_resume
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
from trainers.usage import describe_usage, reset_peak_memory

TRAINED = "adapter"  # the subfolder in which what was trained is saved
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
    settings: RunSettings = RunSettings(),  # noqa: B008 - an immutable tuple
) -> CheckpointManifest:
    """Train an adapter, and write it as a checkpoint in `out`, merged with its base where that can be.

    After a kill, the same call resumes from the latest saved step. With `launch` the training, but
    not the merging, runs in several processes.

    Raises:
        HarnessError: options that TRL refuses, unsuitable data, or a run that learnt nothing.
    """
    quiet_torch()
    quiet_libraries()
    started = time.monotonic()
    check_base(recipe, start)
    # The key has no `launch`: the batch is the recipe's, and the weights differ by rounding only.
    key = checkpoint_key(recipe, start.parent.fingerprint, data_hash)
    with checkpoint_folder(out) as folder:
        # Train.
        job = Job(recipe, method, _output_paths(out, folder, key, launch))
        trained = _train(job, start.base, progress, launch, settings.training_eval)
        # Make the checkpoint's model of it, and compare the two.
        compared = finish(
            recipe.new_adapter,
            folder,
            trained.tokenizer,
            base=start.base,
            probes=trained.probes,
            head=head,
            trained=trained.adapter,
        )
        # Write the manifest.
        seconds = {"seconds": f"{time.monotonic() - started:.0f}"}
        training = Training(
            recipe=recipe.recipe,
            method=recipe.method,
            seed=recipe.seed,
            key=key,
            parent=start.parent,
            data_hash=data_hash,
            facts=describe_origin(start.base.source)
            | dict(settings.facts)
            | trained.facts
            | seconds,
            metrics=trained.metrics | compared,
            curves=trained.curves,
            adapter_base=start.base,
        )
        manifest = finalise(folder, training)
    for steps in out.parent.glob(f"{_steps_prefix(out, key)}.*steps"):
        shutil.rmtree(steps, ignore_errors=True)
    return manifest


def _output_paths(out: Path, folder: Path, key: str, launch: Launch | None) -> OutputPaths:
    """Return the run's folders; steps and logs are siblings of `out`, so that they survive a kill."""
    steps = f"{launch.name}.steps" if launch else "steps"
    return OutputPaths(
        steps=out.with_name(f"{_steps_prefix(out, key)}.{steps}"),
        logs=out.with_name(f"{out.name}.logs"),  # not in `steps`, which are removed at the end
        checkpoint=folder,
    )


def _steps_prefix(out: Path, key: str) -> str:
    """Return the start of the name of a run's step folders, with any launch."""
    return f".{out.name}.{key[:12]}"


def _train(
    job: Job,
    base: Origin,
    progress: ProgressCallback,
    launch: Launch | None,
    training_eval: TrainingEval | None,
) -> Trained:
    """Train in the processes of `launch`, or in this one, where the model can be evaluated too."""
    if launch is not None:
        from trainers.distributed.launch import train_launched

        return train_launched(job, progress, launch)
    add_callback = training_eval and partial(
        add_eval_callback, training_eval=training_eval, base=base.fingerprint
    )
    trained = train_in_process(job, progress, add_callback=add_callback)
    free_memory()  # of the trainer and its model, before the base is loaded again
    return trained


@fast_cpu_logprobs()
def train_in_process(
    job: Job,
    progress: ProgressCallback,
    world: WorldInfo = WorldInfo(),  # noqa: B008 - an immutable tuple
    add_callback: Callable[[Any], None] | None = None,
) -> Trained:
    """Train in this process, which may be one of several; the main process saves the adapter.

    `add_callback` is called with the trainer before it starts.

    Raises:
        HarnessError: as `train_adapter`.
        OutOfMemoryError: memory ran out in one of several processes, which must all start again.
    """
    # Train.
    run = _train_with_halving(job, progress, world, add_callback)
    trainer, log = run.trainer, run.trainer.state.log_history
    weights = trained_weights(trainer.model)
    # Check that it was training.
    after = weights_hash(weights)
    job.method.check_first_step([entry for entry in log if "loss" in entry], trainer.args)
    check_gradients(
        log,
        adapter_before=weights_hash(run.before),
        adapter_after=after,
        allow_zero_gradient=allow_zero_gradient(trainer.args),
    )
    # Evaluate and save. Every process takes part in the evaluation.
    metrics = job.method.eval_metrics(trainer) or _mean_loss(log)
    if world.is_main:
        start = run.before if isinstance(job.recipe.new_adapter, Pissa) else None
        save_trained(trainer.model, weights, job.paths.checkpoint / TRAINED, start=start)
    return Trained(
        adapter=after,
        tokenizer=trainer.processing_class,
        probes=job.method.merge_probes(trainer),
        facts=run.facts | {"adapter entries that moved": changed_share(run.before, weights)},
        metrics=metrics,
        curves=collect_curves(log),
    )


class _FinishedRun(NamedTuple):
    """A finished trainer, its adapter's weights before training, and facts on its data."""

    trainer: Any
    before: dict[str, Any]
    facts: dict[str, str]


def _train_with_halving(
    job: Job,
    progress: ProgressCallback,
    world: WorldInfo,
    add_callback: Callable[[Any], None] | None,
) -> _FinishedRun:
    """Train; when memory runs out, start again with half the batch and twice the accumulation."""
    import torch

    recipe, halvings = job.recipe, world.halvings
    options: dict[str, Any] = dict(recipe.trainer)
    if world.world_size > 1:
        options |= split_batch(recipe.recipe, options, world)
    while True:
        config = make_config(
            job.method.config_type(),
            options,
            recipe=recipe.recipe,
            seed=recipe.seed,
            folder=job.paths.steps,
            method=recipe.method,
            checkpointing=recipe.new_adapter is None or recipe.new_adapter.checkpointing,
        )
        rows, accumulated = config.per_device_train_batch_size, config.gradient_accumulation_steps
        try:
            run = _train_once(job, config, progress, world, add_callback)
        except torch.OutOfMemoryError:
            if rows // 2 < recipe.least_rows:
                raise HarnessError(
                    f"{recipe.recipe}: not enough memory for a batch of {rows}. Lower trainer.max_length, "
                    "train in 4 bits ('quantisation'), or use a machine with more memory."
                ) from None
            if world.world_size > 1:
                raise
        else:
            if world.world_size > 1:
                run.facts["processes"] = f"{world.world_size}, with {rows} rows at a time in each"
            if halvings:
                batch = f"{rows} at a time, accumulated {accumulated} times: memory ended"
                run.facts["batch"] = batch
            return run
        # Outside the handler, so that the memory of the failed batch is free again.
        names = ("per_device_train_batch_size", "gradient_accumulation_steps")
        options |= dict(zip(names, halve_batch(rows, accumulated), strict=True))
        halvings += 1
        torch.cuda.empty_cache()


def _train_once(
    job: Job,
    config: Any,
    progress: ProgressCallback,
    world: WorldInfo,
    add_callback: Callable[[Any], None] | None,
) -> _FinishedRun:
    from jinja2 import TemplateError

    # Make the trainer, and check the data as it tokenised them.
    recipe, method = job.recipe, job.method
    try:
        trainer = method.make_trainer(config)
    except TemplateError as error:
        raise HarnessError(f"{recipe.recipe}: the chat template refuses a row: {error}.") from None
    except (ValueError, NotImplementedError) as error:  # TRL's errors for options that conflict
        raise HarnessError(f"{recipe.recipe}: trainer: {error}") from error
    facts = method.check_data(trainer) | trainable_share(trainer.model)
    facts |= _describe_adapter(recipe.new_adapter)
    # Set it up.
    quiet_trainer(trainer, recipe.method, progress)
    if not is_zero3(config):  # ZeRO 3 needs one type, and keeps full precision in its optimiser
        upcast_adapter(trainer.model)
    if isinstance(recipe.new_adapter, LoraPlus):
        trainer.optimizer = _loraplus_optimiser(trainer, recipe.new_adapter.ratio)
    place_logs(trainer, job.paths.logs)
    save_for_resume(trainer)
    if world.world_size > 1:
        seed_per_rank(trainer, world)
    if add_callback is not None:
        add_callback(trainer)
    # Train, from the latest saved step if there is one.
    before = {name: weight.clone() for name, weight in trained_weights(trainer.model).items()}
    resumed_from = latest_checkpoint(job.paths.steps, world)
    facts |= describe_set_aside(job.paths.steps)
    reset_peak_memory()
    try:
        trainer.train(resume_from_checkpoint=resumed_from)
    except IndexError as error:  # torch's, of embeddings of positions
        context, longest = context_length(trainer.model.config), getattr(config, "max_length", None)
        if longest is not None and longest <= context:
            raise
        raise HarnessError(
            f"{recipe.recipe}: a row has more tokens than the {context} that the model has positions for. Lower "
            "trainer.max_length to that: longer rows are then cut and counted."
        ) from error
    facts |= describe_usage(trainer.state.log_history)
    return _FinishedRun(trainer, before, facts)


def changed_share(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the share of the trained numbers that changed, as a percentage.

    A share far below 100 % means that steps were smaller than the precision of the numbers.
    """
    changed = sum(int((after[name] != weight).sum()) for name, weight in before.items())
    return f"{changed / sum(weight.numel() for weight in before.values()):.1%}"


def trainable_share(model: Any) -> dict[str, str]:
    """Return the number of trainable parameters, as a fact.

    Raises:
        HarnessError: there are none, for example because the adapter was loaded for inference.
    """
    if hasattr(model, "peft_config"):
        trained, total = model.get_nb_trainable_parameters()
    else:
        total = sum(p.numel() for p in model.parameters())
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if not trained:
        raise HarnessError("No parameter is trainable, so there is nothing to learn.")
    return {"trainable parameters": f"{trained:,} of {total:,}"}


def _describe_adapter(adapter: Adapter | None) -> dict[str, str]:
    return {} if adapter is None else {"adapter": adapter.description}


def _loraplus_optimiser(trainer: Any, ratio: float) -> Any:
    """Make the optimiser of LoRA+, of the kind and with the options that `trainer` would use.

    An adapter on embeddings learns as its first matrix does; PEFT's own rate for it is 1e-6.
    """
    from peft.optimizers import create_loraplus_optimizer

    kind, options = trainer.get_optimizer_cls_and_kwargs(trainer.args)
    return create_loraplus_optimizer(
        trainer.model,
        kind,
        loraplus_lr_ratio=ratio,
        loraplus_lr_embedding=options["lr"],
        loraplus_weight_decay=trainer.args.weight_decay,
        **options,
    )


def _mean_loss(log: Log) -> dict[str, float]:
    """Return the mean loss over the run, including the steps before a kill.

    The trainer's own mean leaves those out. Each entry is the mean since the one before, and the last step is
    always logged; the steps between the last log entry and a kill are missing.
    """
    entries = [entry for entry in log if "loss" in entry]
    before = [0.0, *(entry["step"] for entry in entries)]
    total = sum(
        entry["loss"] * (entry["step"] - last) for entry, last in zip(entries, before, strict=False)
    )
    return {"train_loss": total / before[-1]} if entries else {}
