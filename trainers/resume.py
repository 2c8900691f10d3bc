"""Periodic checkpoints of a run, so that a killed run resumes from the latest one."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.core.env import env_positive_float
from trainers.distributed.config import WorldInfo
from trainers.distributed.sync import broadcast_flag

SAVE_EVERY_S = 300.0  # the most that a kill may cost; HARNESS_SAVE_EVERY overrides it


def save_for_resume(trainer: Any) -> None:
    """Make the trainer save its state every few minutes; a shorter run saves nothing."""
    from transformers import TrainerCallback

    every_s = env_positive_float("HARNESS_SAVE_EVERY") or SAVE_EVERY_S

    class SavePeriodically(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        saved = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            due = time.monotonic() - self.saved >= every_s and state.global_step < state.max_steps
            if broadcast_flag(due, args.device):
                control.should_save = True
                self.saved = time.monotonic()

    trainer.add_callback(SavePeriodically())


def latest_checkpoint(steps: Path, world: WorldInfo) -> str | None:
    """Return the folder of the latest complete checkpoint, or None.

    The trainer writes `trainer_state.json` last. In a run of several processes the others may write
    their random states later still, so those must be there too.
    """
    by_step: dict[int, Path] = {}
    for state in steps.glob("checkpoint-*/trainer_state.json"):
        n_rng_states = len(list(state.parent.glob("rng_state_*.pth")))
        if world.world_size > 1 and n_rng_states < world.world_size:
            continue
        with suppress(ValueError, KeyError):  # a file that was cut off
            by_step[json.loads(state.read_bytes())["global_step"]] = state.parent
    return str(by_step[max(by_step)]) if by_step else None
