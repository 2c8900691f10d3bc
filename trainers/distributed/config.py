"""One training run in several processes: what an accelerate configuration may say, and what not.

    harness train RECIPE --launch fsdp2        ours, by name; or a file that `accelerate config` wrote

The configuration says how many processes there are and where the model lies. What is learnt stays the
recipe's: its batch, its precision, its optimiser.
"""

import math
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from harness.core.errors import HarnessError
from harness.core.paths import bundle_root, find_bundled
from trainers.recipe import AdapterRecipe

Kind = Literal["data_parallel", "fsdp", "deepspeed"]


KINDS: dict[str, Kind] = {"MULTI_GPU": "data_parallel", "FSDP": "fsdp", "DEEPSPEED": "deepspeed"}


# The recipe's own, or what this launch says itself.
_OF_LAUNCH = ("fsdp", "fsdp_config", "deepspeed", "use_cpu")


_OF_RECIPE = {
    "gradient_accumulation_steps": "trainer.gradient_accumulation_steps",
    "gradient_clipping": "trainer.max_grad_norm",
    "deepspeed_config_file": "trainer, and the other fields of deepspeed_config",
}


class Launch(NamedTuple):
    """A configuration that can be launched here.

    `offload` is whether DeepSpeed's optimiser leaves the GPU.
    """

    file: Path
    kind: Kind
    processes: int
    cpu: bool
    offload: bool

    @property
    def name(self) -> str:
        """How many processes, and how the model lies on them."""
        return f"{self.processes}x{self.kind}"


class WorldInfo(NamedTuple):
    """The processes of one run, this one among them; alone unless it was launched.

    Where memory ended, the batch was halved so many times.
    """

    rank: int = 0
    size: int = 1
    halvings: int = 0

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0


def load_launch(path_or_name: str) -> Launch:
    """An accelerate configuration: a file, or one of ours by name.

    Raises:
        HarnessError: no such file, one that accelerate refuses, one that would change what is learnt,
            or one that this machine cannot run.
    """
    from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

    file = _find(path_or_name)
    try:
        if not isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict):  # JSON is YAML
            raise HarnessError(f"{file}: is no accelerate configuration: it holds no options.")
        config = load_config_from_file(str(file))
    except HarnessError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever YAML, a constructor or accelerate itself says
        first_line = str(error).strip().partition("\n")[0]
        raise HarnessError(f"{file}: accelerate cannot read it: {first_line}") from None
    if not isinstance(config, ClusterConfig):
        raise HarnessError(f"{file}: only this machine can be launched on (LOCAL_MACHINE).")
    kind = _kind(config, file)
    _refuse_what_changes_learning(config, file)
    cpu = bool(config.use_cpu)
    processes = _processes(config.num_processes, cpu, kind, file)
    if kind == "deepspeed" and find_spec("deepspeed") is None:
        raise HarnessError(
            f"{file}: needs the package deepspeed, which is not installed. `pip install deepspeed`, or "
            "launch with fsdp2."
        )
    offload = str(config.deepspeed_config.get("offload_optimizer_device", "none")) != "none"
    return Launch(file, kind, processes, cpu, offload)


def known_launches() -> list[str]:
    """Return the names of the bundled configurations."""
    return sorted(path.stem for path in _bundled_dir().glob("*.yaml"))


def check_launch(recipe: AdapterRecipe, launch: Launch) -> None:
    """Return if the recipe means the same in several processes.

    Raises:
        HarnessError: it does not; says what to change.
    """
    name = recipe.recipe
    if recipe.one_process:
        raise HarnessError(
            f"{name}: {recipe.method} cannot be launched in several processes: {recipe.one_process}. "
            "Train it without --launch."
        )
    if recipe.watch is not None:
        raise HarnessError(
            f"{name}: watch: cannot be launched in several processes, none of which has the whole model "
            "to itself. Remove it, or train without --launch."
        )
    for option in _OF_LAUNCH:
        if option in recipe.trainer:
            raise HarnessError(f"{name}: trainer.{option}: is said by --launch; remove it.")
    if recipe.quantisation is not None and launch.cpu:
        raise HarnessError(f"{name}: 'quantisation' needs GPUs, and {launch.file} asks for CPUs.")
    optimiser = str(recipe.trainer.get("optim", ""))
    if any(word in optimiser for word in ("8bit", "paged", "bnb")):
        if launch.kind == "fsdp":
            raise HarnessError(
                f"{name}: trainer.optim: {optimiser} is bitsandbytes', whose kernels cannot read FSDP's "
                "sharded tensors. Use adamw_torch (an adapter's optimiser is small), or launch with "
                "multi_gpu."
            )
        if launch.offload:
            raise HarnessError(
                f"{name}: trainer.optim: {optimiser} runs on a GPU, and {launch.file} moves the optimiser "
                "to the CPU. Set offload_optimizer_device: none, or trainer.optim: adamw_torch."
            )
    split_batch(name, recipe.trainer, WorldInfo(size=launch.processes))


def split_batch(recipe: str, options: Mapping[str, Any], crew: WorldInfo) -> dict[str, int]:
    """Options with which all processes together take the recipe's batch in each step.

    The accumulation is divided first, then the rows that one process takes at a time.

    Raises:
        HarnessError: it cannot be shared out evenly; says among how many processes it can.
    """
    size = options.get("per_device_train_batch_size", 8)
    accumulated = options.get("gradient_accumulation_steps", 1)
    if not isinstance(size, int) or not isinstance(accumulated, int) or min(size, accumulated) < 1:
        raise HarnessError(
            f"{recipe}: trainer.per_device_train_batch_size and trainer.gradient_accumulation_steps are "
            "whole numbers from 1."
        )
    shared = _shared(size, accumulated, crew.size)
    if shared is None:
        among = [str(n) for n in range(2, size * accumulated + 1) if _shared(size, accumulated, n)]
        raise HarnessError(
            f"{recipe}: a step learns from {size * accumulated} rows ({size} at a time, accumulated "
            f"{accumulated} times), which {crew.size} processes cannot share evenly. num_processes may "
            f"be {', '.join(among) or '1'}."
        )
    for _ in range(crew.halvings):
        shared = halve_batch(*shared)
    return dict(
        zip(("per_device_train_batch_size", "gradient_accumulation_steps"), shared, strict=True)
    )


def halve_batch(size: int, accumulated: int) -> tuple[int, int]:
    """Half as many rows at a time and as many for each step, or nearly, if their number is odd."""
    return size // 2, math.ceil(size * accumulated / (size // 2))


def is_single_process() -> bool:
    """Whether this process trains by itself, by the launcher's own variable."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1


def sharding_strategy() -> Literal["fsdp", "deepspeed"] | None:
    """How this process was launched to shard its model, by accelerate's own variables."""
    kinds: tuple[Literal["fsdp", "deepspeed"], ...] = ("fsdp", "deepspeed")
    for kind in kinds:
        if os.environ.get(f"ACCELERATE_USE_{kind.upper()}", "false").lower() == "true":
            return kind
    return None


def _shared(size: int, accumulated: int, processes: int) -> tuple[int, int] | None:
    common = math.gcd(accumulated, processes)
    rest = processes // common
    return None if size % rest else (size // rest, accumulated // common)


def _find(path_or_name: str) -> Path:
    path = Path(path_or_name)
    bundled = [_bundled_dir() / f"{path.stem}.yaml"] if path.parent == Path() else []
    candidates = (path.resolve(), *bundled)
    label = f"--launch {path_or_name}"
    return find_bundled(label, "file", candidates, known_launches(), wanted=path.stem)


def _bundled_dir() -> Path:
    return bundle_root() / "trainers" / "launch"


def _kind(config: Any, file: Path) -> Kind:
    stated = str(getattr(config.distributed_type, "value", config.distributed_type))
    if stated == "MULTI_CPU":
        raise HarnessError(
            f"{file}: accelerate starts only one process for MULTI_CPU. Write distributed_type: "
            "MULTI_GPU with use_cpu: true, as in two_cpu."
        )
    if stated not in KINDS:
        raise HarnessError(
            f"{file}: distributed_type {stated} is not supported; known: {', '.join(KINDS)}."
        )
    if stated == "FSDP" and str(config.fsdp_config.get("fsdp_version", 1)) != "2":
        raise HarnessError(f"{file}: fsdp_config.fsdp_version must be 2; FSDP 1 is going.")
    if config.num_machines != 1:
        raise HarnessError(f"{file}: num_machines must be 1: the store is kept by one machine.")
    if config.parallelism_config:
        raise HarnessError(
            f"{file}: parallelism_config would have processes share rows; remove it."
        )
    return KINDS[stated]


def _refuse_what_changes_learning(config: Any, file: Path) -> None:
    if config.mixed_precision not in (None, "no"):
        raise HarnessError(
            f"{file}: mixed_precision {config.mixed_precision}: the precision is the recipe's "
            "(trainer.bf16, trainer.fp16), so that it is part of what the checkpoint was made from. "
            "Write 'no' here."
        )
    for option, place in _OF_RECIPE.items():
        if option in config.deepspeed_config:
            raise HarnessError(
                f"{file}: deepspeed_config.{option}: is the recipe's ({place}); remove it."
            )


def _processes(stated: int, cpu: bool, kind: Kind, file: Path) -> int:
    """As many as it says, or one for each GPU."""
    import torch

    if cpu and kind != "data_parallel":
        raise HarnessError(f"{file}: {kind} shards over GPUs; use_cpu must be false.")
    gpus = torch.cuda.device_count()
    if not cpu and not gpus:
        raise HarnessError(
            f"{file}: needs NVIDIA GPUs, and this machine has none. Try --launch two_cpu."
        )
    processes = stated if stated > 0 else (2 if cpu else gpus)
    if not cpu and processes > gpus:
        raise HarnessError(f"{file}: num_processes is {processes}, and there are {gpus} GPUs here.")
    if kind == "data_parallel" and processes < 2:
        raise HarnessError(f"{file}: is for one process alone; leave --launch out.")
    return processes
