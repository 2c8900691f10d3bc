"""Periodic checkpoints of a run, so that a killed run resumes from the latest whole one.

    checkpoint-40/          the trainer's files
    checkpoint-40/whole.json   every file's sha256, written when all of them are there
    incomplete-45/          a step that was found damaged, and why (WHY); it is not resumed from

A process that is killed, a full disk and a lost power supply leave a file cut off, or none.
"""

import json
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.core.env import env_positive_float
from harness.core.files import write_atomically
from harness.core.hashing import content_hash, file_hash
from trainers.distributed.config import WorldInfo
from trainers.distributed.sync import broadcast_flag, broadcast_text, wait_for_all

SAVE_EVERY_S = 300.0  # the most that a kill may cost; HARNESS_SAVE_EVERY overrides it
KEPT_STEPS = 2  # the latest, and the one before in case it is damaged
MARK = "whole.json"
WHY = "WHY"


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

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            wait_for_all()  # the others may still be writing their random states
            if state.is_world_process_zero:
                mark_whole(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    trainer.add_callback(SavePeriodically())


def mark_whole(step: Path) -> None:
    """Write the hashes of all files of a step, which is then whole."""
    files = {p.relative_to(step).as_posix(): file_hash(p) for p in step.rglob("*") if p.is_file()}
    files.pop(MARK, None)
    text = json.dumps({"files": files, "check": content_hash(files)}, indent=1)
    write_atomically(step / MARK, text.encode())


def latest_checkpoint(steps: Path, world: WorldInfo) -> str | None:
    """Return the folder of the latest whole checkpoint, or None; set later ones aside.

    In a run of several processes the first one decides for all.
    """
    found = _latest_whole(steps, world) if world.is_main else None
    return broadcast_text(found)


def describe_set_aside(steps: Path) -> dict[str, str]:
    """Return a fact that names the steps that were set aside, if there are any."""
    found = sorted(steps.glob(f"incomplete-*/{WHY}"), key=lambda path: _step_of(path.parent))
    told = [f"step {_step_of(path.parent)} ({path.read_text(encoding='utf-8')})" for path in found]
    return {"kept steps set aside": ", ".join(told)} if told else {}


def _latest_whole(steps: Path, world: WorldInfo) -> str | None:
    kept = sorted(steps.glob("checkpoint-*"), key=_step_of, reverse=True)
    # Of a version that wrote no marks, the trainer's own order of writing decides.
    unmarked = not any((step / MARK).is_file() for step in kept)
    for step in kept:
        problem = _ends_early(step, world) if unmarked else _damage(step)
        if problem is None:
            return str(step)
        _set_aside(step, problem)
    return None


def _damage(step: Path) -> str | None:
    """Return what is wrong with a step that should have a mark; None if it is whole."""
    files: dict[str, str] = {}
    with suppress(OSError, ValueError, KeyError, TypeError):
        mark = json.loads((step / MARK).read_bytes())
        files = mark["files"] if mark["check"] == content_hash(mark["files"]) else {}
    if not files:
        return "not written to its end"
    for name, sha256 in files.items():
        path = step / name
        if not path.is_file():
            return f"{name} is missing"
        if file_hash(path) != sha256:
            return f"{name} is damaged"
    return None


def _ends_early(step: Path, world: WorldInfo) -> str | None:
    """Return what is missing of a step without a mark: the trainer writes its state last.

    In a run of several processes the others may write their random states later still.
    """
    n_rng_states = len(list(step.glob("rng_state_*.pth")))
    if world.world_size > 1 and n_rng_states < world.world_size:
        return "random states are missing"
    with suppress(OSError, ValueError, KeyError):
        if json.loads((step / "trainer_state.json").read_bytes())["global_step"] == _step_of(step):
            return None
    return "not written to its end"


def _set_aside(step: Path, problem: str) -> None:
    aside = step.with_name(f"incomplete-{_step_of(step)}")
    shutil.rmtree(aside, ignore_errors=True)
    step.rename(aside)
    (aside / WHY).write_text(problem, encoding="utf-8")


def _step_of(step: Path) -> int:
    number = step.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1
