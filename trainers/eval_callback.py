"""The model scored while it trains, and left as it was.

Who scores is not known here: a `TrainingEval` brings a function from the model to named numbers. They stand
in the trainer's log, and so in the curves and with whoever `report_to` tells.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from harness.core.hashing import content_hash
from trainers.adapter import adapter_hash
from trainers.trl_config import WATCHED

# The model, its tokenizer, and a fingerprint of the weights as they are now.
Score = Callable[[Any, Any, str], Mapping[str, float]]


class TrainingEval(NamedTuple):
    """Scores the model before the first step, after `every` so many, and after the last."""

    every: int
    score: Score


def add_eval_callback(trainer: Any, watch: TrainingEval, base: str) -> None:
    """Have the trainer's model scored; `base` is the fingerprint of what its adapter lies on."""
    from transformers import TrainerCallback

    def look(args: Any, state: Any, control: Any) -> None:
        fingerprint = content_hash("in training", base, adapter_hash(trainer.model))
        with preserve_state(trainer.model):
            scores = watch.score(trainer.model, trainer.processing_class, fingerprint)
        entry = {f"{WATCHED}{name}": value for name, value in scores.items()}
        # Not through `trainer.log`, which would close the means of the step that is under way.
        state.log_history.append(entry | {"step": state.global_step})
        wanted = control.should_log  # being told of a log ends the wish for one
        trainer.callback_handler.on_log(args, state, control, entry)
        control.should_log = wanted

    class Look(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 0:  # a resumed run has been looked at
                look(args, state, control)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step % watch.every == 0 or state.global_step == state.max_steps:
                look(args, state, control)

    trainer.add_callback(Look())


@contextmanager
def preserve_state(model: Any) -> Iterator[None]:
    """Whatever happens inside, the model's modes and all random numbers go on as if it had not.

    Gradients are not touched by who asks the model without them.
    """
    import numpy as np
    import torch

    modes = [(module, module.training) for module in model.modules()]
    ours, numpys = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count())
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        for module, training in modes:
            module.training = training
        random.setstate(ours)
        np.random.set_state(numpys)
