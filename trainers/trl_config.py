"""TRL's configuration from a recipe's `trainer` block, and the metrics that TRL's trainers log."""

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError, did_you_mean
from harness.types import Curve
from trainers.resume import KEPT_STEPS
from trainers.trainer_options import passes_through, refusal

Log = list[dict[str, float]]

# Experiment trackers that `trainer.report_to` may name, and the packages that each needs (one of).
TRACKERS = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
}

# The largest norm of a gradient that is rounding alone: equal answers of a pair give 1e-7 in float32.
ROUNDING = 1e-6

# What counts rows, and is 1 at least.
_COUNTS = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
)

TRACKING_OPTIONS = ("report_to", "run_name", "project")  # options that do not change what is learnt
SUITE_PREFIX = "watch/"  # of the names of a suite's scores during training

CURVES = (
    "loss",
    "mean_token_accuracy",
    "rewards/margins",
    "rewards/accuracies",
    "rewards/chosen",
    "rewards/rejected",
    "logps/chosen",
    "logps/rejected",
    "nll_loss",
    "log_odds_ratio",
    "accuracy",  # a reward model's
    "margin",
    "reward",
    "reward_std",
    "frac_reward_zero_std",
    "unscored",
    "completions/mean_length",
    "completions/clipped_ratio",
    "kl",
    "entropy",
    "learning_rate",
    "grad_norm",
    "eval_loss",
    "eval_rewards/chosen",
    "eval_rewards/rejected",
    "eval_rewards/margins",
    "eval_rewards/accuracies",
    "eval_kl",
    "eval_accuracy",
    "eval_reward",
)


def make_config(
    kind: Any,
    options: Mapping[str, Any],
    *,
    recipe: str,
    seed: int,
    folder: Path,
    method: str = "sft",
    checkpointing: bool = True,
) -> Any:
    """Make a TRL configuration of `kind` (SFTConfig, DPOConfig) with the recipe's options.

    Without `checkpointing` TRL's default of it is switched off.

    Raises:
        HarnessError: an option that TRL does not know, that is none of a recipe's, or with a value that
            TRL refuses.
    """
    import torch

    fixed_options = {
        "output_dir": str(folder),
        "seed": seed,
        "save_strategy": "no",  # checkpoints to resume from are saved by the clock
        "save_total_limit": KEPT_STEPS,
        "disable_tqdm": True,
        "logging_first_step": True,  # the first step is checked
    }
    # Refuse unknown options, and those set here.
    known_names = {field.name for field in fields(kind) if field.init}
    for name in options:
        if name in fixed_options:
            raise HarnessError(f"{recipe}: trainer.{name} is set by the harness; remove it.")
        if name not in known_names:
            settable = (n for n in known_names - fixed_options.keys() if passes_through(n, method))
            hint = did_you_mean(name, sorted(settable))
            raise HarnessError(f"{recipe}: trainer.{name}: unknown to {kind.__name__}. {hint}")
        if not passes_through(name, method):
            raise HarnessError(f"{recipe}: trainer.{name} {refusal(name)}; remove it.")
    _check_values(options, recipe)
    trackers = check_trackers(options.get("report_to"), recipe)
    fixed_options |= {"report_to": trackers or "none"}
    if trackers:
        options = {"run_name": recipe} | dict(options)
    # TRL's defaults need a GPU, and raise without one.
    cpu = {"use_cpu": True, "bf16": False, "gradient_checkpointing": False}
    defaults: dict[str, Any] = {} if torch.cuda.is_available() else cpu
    if not checkpointing:
        defaults |= {"gradient_checkpointing": False}
    try:
        return kind(**defaults | dict(options) | fixed_options)
    except (TypeError, ValueError) as error:
        raise HarnessError(f"{recipe}: trainer: {error}") from None


def _check_values(options: Mapping[str, Any], recipe: str) -> None:
    """Check values that TRL would find fault with late, or not at all.

    Raises:
        HarnessError: nothing would be trained, or a chat template is not there.
    """
    epochs, steps = options.get("num_train_epochs"), options.get("max_steps", -1)
    trains_by_steps = isinstance(steps, int) and steps > 0
    if not trains_by_steps and isinstance(epochs, int | float) and epochs <= 0:
        raise HarnessError(
            f"{recipe}: trainer.num_train_epochs {epochs}: nothing would be trained."
        )
    if steps == 0:
        raise HarnessError(f"{recipe}: trainer.max_steps 0: nothing would be trained.")
    for name in _COUNTS:
        if _is_number(options.get(name)) and options[name] < 1:
            raise HarnessError(f"{recipe}: trainer.{name} {options[name]}: must be 1 or more.")
    rate = options.get("learning_rate")
    if rate is not None and not (_is_number(rate) and 0 < rate < math.inf):
        raise HarnessError(f"{recipe}: trainer.learning_rate {rate}: must be a number above 0.")
    template = options.get("chat_template_path")
    if template is not None and not Path(str(template)).exists():
        raise HarnessError(
            f"{recipe}: trainer.chat_template_path {template}: is no file or folder here. The recipe's own "
            "'chat_template' takes a file in the recipe's folder, or a bundled template."
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_trackers(report_to: object, recipe: str) -> list[str]:
    """Return the trackers that a recipe's `report_to` names: one or a list, by default none.

    Raises:
        HarnessError: an unknown tracker, or one whose package is not installed.
    """
    if report_to is None or report_to == "none":
        return []
    names = [str(name) for name in (report_to if isinstance(report_to, list) else [report_to])]
    for name in names:
        if name not in TRACKERS:
            hint = did_you_mean(name, TRACKERS)
            raise HarnessError(f"{recipe}: trainer.report_to: '{name}' is unknown. {hint}")
        if not any(find_spec(package) for package in TRACKERS[name]):
            package = TRACKERS[name][0]
            raise HarnessError(
                f"{recipe}: trainer.report_to: {name} needs the package {package}, which is not "
                f"installed. `pip install {package}`, or remove the line."
            )
    return names


def place_logs(trainer: Any, folder: Path) -> None:
    """Make TensorBoard write to `folder`, unless TENSORBOARD_LOGGING_DIR names another."""
    from transformers.integrations import TensorBoardCallback

    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
            callback.logging_dir = str(folder)


def quiet_trainer(trainer: Any, stage: str, progress: Callable[[str, int, int], None]) -> None:
    """Report each step to `progress` instead of printing it."""
    from transformers import PrinterCallback, TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress(stage, state.global_step, state.max_steps)
            if state.global_step == state.max_steps:
                control.should_log = True  # so that the log covers every step

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            check_finite(state.log_history[-1:])  # now, not hours later at the end of the run

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Progress())


def quiet_libraries() -> None:
    """Disable progress bars of tokenisation, and the libraries' warnings of future changes."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from datasets import disable_progress_bars

    disable_progress_bars()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|trl|peft")


def collect_curves(log: Log) -> tuple[Curve, ...]:
    """Return the training curves of a trainer's log history, and a suite's scores during training."""
    scores = {name: None for entry in log for name in entry if name.startswith(SUITE_PREFIX)}
    return tuple(curve for name in (*CURVES, *scores) if (curve := _curve(name, log)).steps)


def held_out_metrics(trainer: Any, names: Sequence[str]) -> dict[str, float]:
    """Return the trainer's final metrics on its held-out rows, if there are any."""
    if trainer.eval_dataset is None:
        return {}
    state = trainer.state
    at_end = [
        entry
        for entry in state.log_history
        if "eval_loss" in entry and entry["step"] == state.global_step
    ]
    metrics = at_end[-1] if at_end else trainer.evaluate()
    return {name: float(metrics[name]) for name in names if name in metrics}


def check_gradients(
    log: Log, *, adapter_before: str, adapter_after: str, allow_zero_gradient: bool = False
) -> None:
    """Check that a run learnt something.

    With `allow_zero_gradient` single steps, but not all, may have a gradient of 0.

    Raises:
        HarnessError: a loss or gradient is not finite, a gradient is 0, or the adapter is unchanged.
    """
    check_finite(log)
    norms = [entry["grad_norm"] for entry in log if "grad_norm" in entry]
    if not norms or (max(norms) if allow_zero_gradient else min(norms)) <= 0:
        when = "every" if allow_zero_gradient else "some"
        raise HarnessError(f"The gradient was 0 at {when} step, so nothing was learnt there.")
    first = max(norms) if allow_zero_gradient else norms[0]
    if first <= ROUNDING:
        raise HarnessError(
            f"The first gradient was {first:.1g}, which is rounding and nothing to learn from. Are the "
            "examples that the first step compares different?"
        )
    if adapter_before == adapter_after:
        raise HarnessError(
            "Training left the adapter unchanged. Raise the learning rate or the steps."
        )


def allow_zero_gradient(config: Any) -> bool:
    """Return whether a single step may correctly have a gradient of 0.

    This happens when all pairs of a batch are beyond a hinge, and when all answers to a prompt have
    the same reward, or none.
    """
    return "hinge" in (getattr(config, "loss_type", None) or ()) or hasattr(
        config, "num_generations"
    )


def check_finite(log: Log) -> None:
    """Check that all losses and gradients are finite.

    Raises:
        HarnessError: one is not, with its step.
    """
    for entry in log:
        values = [entry[name] for name in ("loss", "grad_norm") if name in entry]
        if not all(math.isfinite(value) for value in values):
            raise HarnessError(
                f"The loss or its gradient became NaN or infinite at step {entry.get('step', 0):.0f}. "
                "Lower the learning rate."
            )


def _curve(name: str, log: Sequence[Mapping[str, float]]) -> Curve:
    # TRL logs None for a reward where no answer of a step was scored.
    points = [(int(entry["step"]), entry[name]) for entry in log if entry.get(name) is not None]
    return Curve(
        name=name,
        steps=tuple(step for step, _ in points),
        values=tuple(value for _, value in points),
    )
