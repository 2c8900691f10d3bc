"""Synchronisation of the processes of one run: shared flags, and seeds that differ by rank."""

from typing import Any

from trainers.distributed.config import WorldInfo


def broadcast_flag(flag: bool, device: Any) -> bool:
    """Broadcast rank 0's flag to all processes; in a single process return it.

    Clocks differ between processes, and processes that do not save the same step wait for each other
    for ever.
    """
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        return flag
    tensor = torch.tensor(int(flag), device=device)
    distributed.broadcast(tensor, 0)
    return bool(tensor)


def broadcast_text(text: str | None) -> str | None:
    """Broadcast rank 0's text to all processes; in a single process return it."""
    from torch import distributed

    if not distributed.is_initialized():
        return text
    found: list[str | None] = [text]
    distributed.broadcast_object_list(found, src=0)
    return found[0]


def wait_for_all() -> None:
    """Wait until all processes are here."""
    from torch import distributed

    if distributed.is_initialized():
        distributed.barrier()


def seed_per_rank(trainer: Any, world: WorldInfo) -> None:
    """Seed each process with the recipe's seed plus its rank, so that dropout differs.

    The adapter and the order of the rows were drawn from the seed alone, so all processes share them.
    A resumed run continues with the random states that were saved.
    """
    import torch
    from transformers import TrainerCallback

    class SeedPerRank(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            torch.manual_seed(args.seed + world.rank)

    trainer.add_callback(SeedPerRank())


def is_zero3(config: Any) -> bool:
    """Return whether DeepSpeed shards the model's parameters (ZeRO 3)."""
    plugin = getattr(config, "deepspeed_plugin", None)
    return plugin is not None and plugin.zero_stage == 3
