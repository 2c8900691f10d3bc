"""What the processes of one run agree on, and where they must differ."""

from typing import Any

from trainers.distributed.config import WorldInfo


def broadcast_flag(flag: bool, device: Any) -> bool:
    """The first process's answer, in every process; one alone agrees with itself.

    Clocks differ, and processes that do not save the same step wait for each other for ever.
    """
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        return flag
    answer = torch.tensor(int(flag), device=device)
    distributed.broadcast(answer, 0)
    return bool(answer)


def seed_per_rank(trainer: Any, crew: WorldInfo) -> None:
    """Have each process draw its own dropout, from the recipe's seed and its rank.

    The adapter was drawn from the seed alone, alike in all of them, and so is the order of the rows.
    A resumed run goes on with the states that were saved.
    """
    import torch
    from transformers import TrainerCallback

    class OwnNoise(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            torch.manual_seed(args.seed + crew.rank)

    trainer.add_callback(OwnNoise())


def is_zero3(config: Any) -> bool:
    """Whether DeepSpeed shards the very parameters of the model."""
    plugin = getattr(config, "deepspeed_plugin", None)
    return plugin is not None and plugin.zero_stage == 3
