"""Evaluation of the model during training, without a side effect on the training.

A `TrainingEval` brings a function from the model to named scores. They are entries of the trainer's
log, and so appear in the curves and in the trackers of `report_to`.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from harness.core.hashing import content_hash
from trainers.adapter import adapter_hash
from trainers.trl_config import SUITE_PREFIX

# From the model, its tokenizer and a fingerprint of its current weights to named scores.
Score = Callable[[Any, Any, str], Mapping[str, float]]


class TrainingEval(NamedTuple):
    """An evaluation before the first step, after every `every` steps, and after the last step."""

    every: int
    score: Score


def add_eval_callback(trainer: Any, training_eval: TrainingEval, base: str) -> None:
    """Evaluate the trainer's model while it trains.

    `base` is the fingerprint of the model under the adapter.
    """
    from transformers import TrainerCallback

    def evaluate(args: Any, state: Any, control: Any) -> None:
        fingerprint = content_hash("in training", base, adapter_hash(trainer.model))
        with preserve_state(trainer.model):
            scores = training_eval.score(trainer.model, trainer.processing_class, fingerprint)
        entry = {f"{SUITE_PREFIX}{name}": value for name, value in scores.items()}
        # Not with `trainer.log`, which would reset the running means of the current step.
        state.log_history.append(entry | {"step": state.global_step})
        should_log = control.should_log  # `on_log` resets it
        trainer.callback_handler.on_log(args, state, control, entry)
        control.should_log = should_log

    class Evaluate(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 0:  # a resumed run has this evaluation already
                evaluate(args, state, control)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            last = state.global_step == state.max_steps
            if last or state.global_step % training_eval.every == 0:
                evaluate(args, state, control)

    trainer.add_callback(Evaluate())


@contextmanager
def preserve_state(model: Any) -> Iterator[None]:
    """Restore the model's training modes and all random states on exit.

    Gradients stay as they are if the model is called without computing any.
    """
    import numpy as np
    import torch

    modes = [(module, module.training) for module in model.modules()]
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count())
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        for module, training in modes:
            module.training = training
        random.setstate(python_state)
        np.random.set_state(numpy_state)
