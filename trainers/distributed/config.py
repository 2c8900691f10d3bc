"""One training run in several processes: the accelerate configuration, and the checks on it.

    harness train RECIPE --launch fsdp2        a bundled name; or a file that `accelerate config` wrote

The configuration decides the number of processes and how the model is distributed over them. The
recipe alone decides what is learnt: batch, precision and optimiser.
"""

import math
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from harness.core.errors import HarnessError, first_line
from harness.core.paths import bundle_root, find_bundled
from trainers.recipe import AdapterRecipe

Kind = Literal["data_parallel", "fsdp", "deepspeed"]
KINDS: dict[str, Kind] = {"MULTI_GPU": "data_parallel", "FSDP": "fsdp", "DEEPSPEED": "deepspeed"}

# Options of a recipe's `trainer` that the launch sets.
_LAUNCH_OPTIONS = ("fsdp", "fsdp_config", "deepspeed", "use_cpu")

# Options of a configuration's `deepspeed_config` that the recipe sets, and where.
_RECIPE_OPTIONS = {
    "gradient_accumulation_steps": "trainer.gradient_accumulation_steps",
    "gradient_clipping": "trainer.max_grad_norm",
    "deepspeed_config_file": "trainer, and the other fields of deepspeed_config",
}


class Launch(NamedTuple):
    """A configuration that can be launched on this machine.

    With `offload` DeepSpeed moves the optimiser off the GPU.
    """

    file: Path
    kind: Kind
    processes: int
    cpu: bool
    offload: bool

    @property
    def name(self) -> str:
        """Return the number of processes and the kind of distribution, such as "4xfsdp"."""
        return f"{self.processes}x{self.kind}"


class WorldInfo(NamedTuple):
    """This process among the processes of its run; by default it is the only one.

    `halvings` counts how often the batch was halved because memory ran out.
    """

    rank: int = 0
    world_size: int = 1
    halvings: int = 0

    @property
    def is_main(self) -> bool:
        """Return whether this process is the one that writes files."""
        return self.rank == 0


def load_launch(path_or_name: str) -> Launch:
    """Load an accelerate configuration from a file, or a bundled one by its name.

    Raises:
        HarnessError: no such file, one that accelerate refuses, one that would change what is learnt,
            or one that this machine cannot run.
    """
    from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

    # Read the file.
    file = _find_file(path_or_name)
    try:
        if not isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict):  # JSON is YAML
            raise HarnessError(f"{file}: is no accelerate configuration: it holds no options.")
        config = load_config_from_file(str(file))
    except HarnessError:
        raise
    except Exception as error:  # noqa: BLE001 - any error of YAML, of a constructor or of accelerate
        raise HarnessError(f"{file}: accelerate cannot read it: {first_line(error)}") from None
    # Check that it can be launched here, and that it leaves training to the recipe.
    if not isinstance(config, ClusterConfig):
        raise HarnessError(f"{file}: only this machine can be launched on (LOCAL_MACHINE).")
    kind = _kind(config, file)
    _refuse_training_options(config, file)
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
    """List the names of the bundled configurations."""
    return sorted(path.stem for path in _bundled_dir().glob("*.yaml"))


def check_launch(recipe: AdapterRecipe, launch: Launch) -> None:
    """Check that the recipe trains the same model in the launch's processes as in one.

    Raises:
        HarnessError: it does not, with the option to change.
    """
    name = recipe.recipe
    # Refuse what needs a single process.
    if recipe.one_process:
        raise HarnessError(
            f"{name}: {recipe.method} cannot be launched in several processes: {recipe.one_process}. "
            "Train it without --launch."
        )
    adapter = recipe.new_adapter
    if adapter is not None and adapter.one_process:
        raise HarnessError(
            f"{name}: adapter: '{adapter.kind}' cannot be launched in several processes: "
            f"{adapter.one_process}. Train it without --launch."
        )
    if recipe.watch is not None:
        raise HarnessError(
            f"{name}: watch: cannot be launched in several processes, none of which holds the whole "
            "model. Remove it, or train without --launch."
        )
    # Refuse options that the launch sets, or cannot run.
    for option in _LAUNCH_OPTIONS:
        if option in recipe.trainer:
            raise HarnessError(f"{name}: trainer.{option}: is set by --launch; remove it.")
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
    split_batch(name, recipe.trainer, WorldInfo(world_size=launch.processes))


def split_batch(recipe: str, options: Mapping[str, Any], world: WorldInfo) -> dict[str, int]:
    """Split the recipe's batch over the processes, and return the options of one process.

    Rows at a time x accumulation x processes stays the same. The accumulation is divided first, then
    the rows at a time. `world.halvings` then halves the rows at a time.

    Raises:
        HarnessError: the batch cannot be split evenly, with the numbers of processes that can.
    """
    # Read the recipe's batch, with TRL's defaults.
    size = options.get("per_device_train_batch_size", 8)
    accumulated = options.get("gradient_accumulation_steps", 1)
    if not isinstance(size, int) or not isinstance(accumulated, int) or min(size, accumulated) < 1:
        raise HarnessError(
            f"{recipe}: trainer.per_device_train_batch_size and trainer.gradient_accumulation_steps are "
            "whole numbers from 1."
        )
    # Divide it.
    share = _divide_batch(size, accumulated, world.world_size)
    if share is None:
        possible = [
            n for n in range(2, size * accumulated + 1) if _divide_batch(size, accumulated, n)
        ]
        raise HarnessError(
            f"{recipe}: a step learns from {size * accumulated} rows ({size} at a time, accumulated "
            f"{accumulated} times), which {world.world_size} processes cannot share evenly. "
            f"num_processes may be {', '.join(map(str, possible)) or '1'}."
        )
    # Halve it where memory ran out.
    for _ in range(world.halvings):
        share = halve_batch(*share)
    return dict(
        zip(("per_device_train_batch_size", "gradient_accumulation_steps"), share, strict=True)
    )


def halve_batch(size: int, accumulated: int) -> tuple[int, int]:
    """Halve the rows at a time, and accumulate as many rows a step, or a few more if odd."""
    return size // 2, math.ceil(size * accumulated / (size // 2))


def is_single_process() -> bool:
    """Return whether this process trains alone, from the launcher's environment variable."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1


def sharding_strategy() -> Literal["fsdp", "deepspeed"] | None:
    """Return how this process shards its model, from accelerate's environment variables."""
    kinds: tuple[Literal["fsdp", "deepspeed"], ...] = ("fsdp", "deepspeed")
    for kind in kinds:
        if os.environ.get(f"ACCELERATE_USE_{kind.upper()}", "false").lower() == "true":
            return kind
    return None


def _divide_batch(size: int, accumulated: int, processes: int) -> tuple[int, int] | None:
    common = math.gcd(accumulated, processes)
    rest = processes // common
    return None if size % rest else (size // rest, accumulated // common)


def _find_file(path_or_name: str) -> Path:
    path = Path(path_or_name)
    bundled = [_bundled_dir() / f"{path.stem}.yaml"] if path.parent == Path() else []
    candidates = (path.resolve(), *bundled)
    label = f"--launch {path_or_name}"
    return find_bundled(label, "file", candidates, known_launches(), wanted=path.stem)


def _bundled_dir() -> Path:
    return bundle_root() / "trainers" / "launch"


def _kind(config: Any, file: Path) -> Kind:
    distributed_type = str(getattr(config.distributed_type, "value", config.distributed_type))
    if distributed_type == "MULTI_CPU":
        raise HarnessError(
            f"{file}: accelerate starts only one process for MULTI_CPU. Write distributed_type: "
            "MULTI_GPU with use_cpu: true, as in two_cpu."
        )
    if distributed_type not in KINDS:
        raise HarnessError(
            f"{file}: distributed_type {distributed_type} is not supported; known: {', '.join(KINDS)}."
        )
    if distributed_type == "FSDP" and str(config.fsdp_config.get("fsdp_version", 1)) != "2":
        raise HarnessError(f"{file}: fsdp_config.fsdp_version must be 2; FSDP 1 is deprecated.")
    if config.num_machines != 1:
        raise HarnessError(f"{file}: num_machines must be 1: the store is local to one machine.")
    if config.parallelism_config:
        raise HarnessError(
            f"{file}: parallelism_config would have processes share rows; remove it."
        )
    return KINDS[distributed_type]


def _refuse_training_options(config: Any, file: Path) -> None:
    if config.mixed_precision not in (None, "no"):
        raise HarnessError(
            f"{file}: mixed_precision {config.mixed_precision}: the precision is the recipe's "
            "(trainer.bf16, trainer.fp16), so that the checkpoint's key covers it. Write 'no' here."
        )
    for option, place in _RECIPE_OPTIONS.items():
        if option in config.deepspeed_config:
            raise HarnessError(
                f"{file}: deepspeed_config.{option}: is the recipe's ({place}); remove it."
            )


def _processes(num_processes: int, cpu: bool, kind: Kind, file: Path) -> int:
    """Return the configured number of processes, by default one for each GPU, or two on CPUs."""
    import torch

    if cpu and kind != "data_parallel":
        raise HarnessError(f"{file}: {kind} shards over GPUs; use_cpu must be false.")
    gpus = torch.cuda.device_count()
    if not cpu and not gpus:
        raise HarnessError(
            f"{file}: needs NVIDIA GPUs, and this machine has none. Try --launch two_cpu."
        )
    processes = num_processes if num_processes > 0 else (2 if cpu else gpus)
    if not cpu and processes > gpus:
        raise HarnessError(f"{file}: num_processes is {processes}, and there are {gpus} GPUs here.")
    if kind == "data_parallel" and processes < 2:
        raise HarnessError(f"{file}: is for one process alone; omit --launch.")
    return processes
