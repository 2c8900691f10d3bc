"""Methods that fail in one process of several; the processes import them by this name."""

import os
from typing import Any, NamedTuple

from trainers.sft import Sft


class LittleMemory(NamedTuple):
    """The second process has memory for one row at a time."""

    sft: Sft

    def make_trainer(self, config: Any) -> Any:
        import torch

        trainer = self.sft.make_trainer(config)

        def check(module: Any, args: Any, kwargs: Any) -> None:
            if os.environ["RANK"] == "1" and len(kwargs["input_ids"]) > 1:
                raise torch.OutOfMemoryError

        trainer.model.register_forward_pre_hook(check, with_kwargs=True)
        return trainer

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.sft, name)


class Faulty(NamedTuple):
    """The second process meets a fault of ours, or is killed, while the first one goes on."""

    sft: Sft
    killed: bool = False

    def make_trainer(self, config: Any) -> Any:
        if os.environ["RANK"] == "1":
            if self.killed:
                os.kill(os.getpid(), 9)
            raise ZeroDivisionError("one over nothing")
        return self.sft.make_trainer(config)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.sft, name)
