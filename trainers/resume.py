"""Steps of a run that are kept now and then, so that a killed one goes on from the last of them."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.core.env import env_positive_float
from trainers.distributed.config import WorldInfo
from trainers.distributed.sync import broadcast_flag

SAVE_EVERY_S = 300.0  # what a kill may cost; HARNESS_SAVE_EVERY states another time


def save_for_resume(trainer: Any) -> None:
    """Save what resuming needs every few minutes, so that short runs save nothing."""
    from transformers import TrainerCallback

    every_s = env_positive_float("HARNESS_SAVE_EVERY") or SAVE_EVERY_S

    class KeepSteps(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        saved = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            due = time.monotonic() - self.saved >= every_s and state.global_step < state.max_steps
            if broadcast_flag(due, args.device):
                control.should_save = True
                self.saved = time.monotonic()

    trainer.add_callback(KeepSteps())


def latest_checkpoint(steps: Path, crew: WorldInfo) -> str | None:
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
