"""TRL's own configuration from a recipe's `trainer` block, and what its trainers report back."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, did_you_mean
from harness.types import Curve

Log = list[dict[str, float]]

CURVES = (
    "loss",
    "mean_token_accuracy",
    "rewards/margins",
    "rewards/accuracies",
    "rewards/chosen",
    "rewards/rejected",
    "logps/chosen",
    "logps/rejected",
)


def make_config(
    kind: Any, options: Mapping[str, Any], *, recipe: str, seed: int, folder: Path
) -> Any:
    """A TRL configuration of `kind` (SFTConfig, DPOConfig) with the recipe's options.

    Raises:
        HarnessError: an option that TRL does not know, that the harness sets itself, or with a
            value that TRL refuses.
    """
    import torch

    ours = {
        "output_dir": str(folder),
        "seed": seed,
        "save_strategy": "no",  # a checkpoint is written once, merged and checked
        "report_to": "none",
        "disable_tqdm": True,
        "logging_first_step": True,  # the first step is checked
    }
    known = {field.name for field in fields(kind) if field.init}
    for name in options:
        if name in ours:
            raise HarnessError(f"{recipe}: trainer.{name} is set by the harness; remove it.")
        if name not in known:
            hint = did_you_mean(name, known - ours.keys())
            raise HarnessError(f"{recipe}: trainer.{name}: unknown to {kind.__name__}. {hint}")
    # TRL's defaults are for a GPU and are refused without one.
    cpu = {"use_cpu": True, "bf16": False, "gradient_checkpointing": False}
    try:
        return kind(**({} if torch.cuda.is_available() else cpu) | dict(options) | ours)
    except (TypeError, ValueError) as error:
        raise HarnessError(f"{recipe}: trainer: {error}") from None


def quiet_trainer(trainer: Any, stage: str, progress: Callable[[str, int, int], None]) -> None:
    """Report each step to `progress` instead of printing it."""
    from transformers import PrinterCallback, TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress(stage, state.global_step, state.max_steps)

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Progress())


def quiet_libraries() -> None:
    """No progress bars while rows are tokenised, and no notes on the libraries' own futures."""
    from datasets import disable_progress_bars

    disable_progress_bars()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|trl|peft")


def collect_curves(log: Log) -> tuple[Curve, ...]:
    """The training curves in a trainer's log history."""
    return tuple(curve for name in CURVES if (curve := _curve(name, log)).steps)


def check_gradients(log: Log, *, adapter_before: str, adapter_after: str) -> None:
    """Refuse a run that looked like training and was none.

    Raises:
        HarnessError: a loss or gradient that is no number, a gradient of 0, or an unchanged adapter.
    """
    norms = [entry["grad_norm"] for entry in log if "grad_norm" in entry]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    if not all(math.isfinite(value) for value in [*norms, *losses]):
        raise HarnessError(
            "The loss or its gradient became NaN or infinite. Lower the learning rate."
        )
    if not norms or min(norms) <= 0:
        raise HarnessError("The gradient was 0 at some step, so nothing was learnt there.")
    if adapter_before == adapter_after:
        raise HarnessError(
            "Training left the adapter unchanged. Raise the learning rate or the steps."
        )


def _curve(name: str, log: Sequence[Mapping[str, float]]) -> Curve:
    points = [(int(entry["step"]), entry[name]) for entry in log if name in entry]
    return Curve(
        name=name,
        steps=tuple(step for step, _ in points),
        values=tuple(value for _, value in points),
    )
