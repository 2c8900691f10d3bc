"""An engine's process: its beginning, its end, and its last words."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.config.serving import ServeSpec
from harness.core.errors import HarnessError, InfrastructureError
from harness.models.serving.engines import (
    Adapter,
    Engine,
    command_line,
    engine_environment,
    find_engine,
)
from harness.models.serving.process import EngineProcess, free_port
from tests.builders.processes import running_with, wait_until_none, wait_until_some

# An engine that starts a worker, prints a line, and takes no notice of SIGTERM.
STUBBORN = "trap '' TERM; echo loading $0; sleep 987 & while true; do sleep 0.1; done"


def start(folder: Path, *command: str) -> EngineProcess:
    return EngineProcess("engine", command, engine_environment({}), free_port(), folder / "e.log")


def test_stopping_ends_all_of_an_engine(tmp_path: Path) -> None:
    engine = start(tmp_path, "sh", "-c", "sleep 986 & sleep 986", str(tmp_path))
    assert wait_until_some("sleep\x00986", 5)
    engine.stop()
    assert not engine.alive
    assert running_with("sleep\x00986") == []


@pytest.mark.slow
def test_an_engine_that_ignores_sigterm_is_killed_when_its_harness_was(tmp_path: Path) -> None:
    holder = f"""
import sys, time
from pathlib import Path
from harness.models.serving.process import EngineProcess
EngineProcess("e", ["sh", "-c", {STUBBORN!r}, {str(tmp_path)!r}], {dict(os.environ)!r}, 1, Path({str(tmp_path / "e.log")!r}))
time.sleep(600)
"""
    harness = subprocess.Popen([sys.executable, "-c", holder])
    assert wait_until_some("sleep\x00987", 30)
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    assert wait_until_none("sleep\x00987", 20) == []
    assert wait_until_none(str(tmp_path), 5) == []


def test_an_engine_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    engine = start(tmp_path, "sh", "-c", "echo '\x1b[31mCUDA out of memory\x1b[0m'; exit 3")
    with pytest.raises(InfrastructureError, match=r"exit status 3(.|\n)*\n  CUDA out of memory"):
        engine.wait_healthy(20)
    engine.stop()


def test_an_engine_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    engine = start(tmp_path, "sh", "-c", "echo still loading; sleep 985")
    time.sleep(0.5)
    with pytest.raises(InfrastructureError, match=r"within 0.1 s(.|\n)*still loading"):
        engine.wait_healthy(0.1)
    engine.stop()
    assert running_with("sleep\x00985") == []


def test_only_the_user_can_read_what_an_engine_says(tmp_path: Path) -> None:
    engine = start(tmp_path, "sh", "-c", "echo a prompt")
    engine.stop()
    assert (tmp_path / "e.log").stat().st_mode & 0o077 == 0


def test_an_engine_sees_no_secrets_and_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "VLLM_API_KEY", "AWS_SECRET_ACCESS_KEY", "MY_PASS"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    env = engine_environment({"VLLM_API_KEY": "random"})
    assert "secret" not in env.values()
    assert env["VLLM_API_KEY"] == "random"
    assert env["HF_HUB_OFFLINE"] == "1"
    assert env["VLLM_CPU_KVCACHE_SPACE"] == "1"


def test_an_engine_that_is_missing_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("HARNESS_VLLM", raising=False)
    with pytest.raises(HarnessError, match=r"vllm: is not installed here.*HARNESS_VLLM=/path/to"):
        find_engine("vllm")
    monkeypatch.setenv("HARNESS_VLLM", "/nowhere/vllm")
    with pytest.raises(HarnessError, match="HARNESS_VLLM=/nowhere/vllm is no program"):
        find_engine("vllm")


def test_a_program_of_another_kind_is_asked_for_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "vllm"
    program.write_text('#!/bin/sh\necho "vllm 0.99.1"\n')
    program.chmod(0o755)
    monkeypatch.setenv("HARNESS_VLLM", str(program))
    assert find_engine("vllm").version == "0.99.1"
    program.with_name("broken").write_text("#!/bin/sh\necho no torch here >&2; exit 1\n")
    program.with_name("broken").chmod(0o755)
    monkeypatch.setenv("HARNESS_VLLM", str(tmp_path / "broken"))
    with pytest.raises(HarnessError, match="does not tell its version: no torch here"):
        find_engine("vllm")


def test_a_program_may_not_be_read_and_may_tell_its_version_in_other_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "vllm"
    program.write_bytes(b"#!/bin/sh\necho 'vllm 1.0\xff'\n")
    program.chmod(0o711)
    monkeypatch.setenv("HARNESS_VLLM", str(program))
    assert find_engine("vllm").version.startswith("1.0")


def test_a_python_that_has_vllm_runs_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python3.11"
    program.write_text("#!/bin/sh\necho 0.32.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("HARNESS_VLLM", str(program))
    engine = find_engine("vllm")
    assert engine.version == "0.32.0"
    command = command_line(engine, ServeSpec(engine="vllm"), "/base", "base", 9)
    started = [str(program), "-m", "vllm.entrypoints.openai.api_server", "--model=/base"]
    assert command[:4] == started


def test_a_python_that_has_transformers_runs_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python3"
    program.write_text("#!/bin/sh\necho 5.1.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("HARNESS_TRANSFORMERS", str(program))
    command = command_line(
        find_engine("transformers"), ServeSpec(engine="transformers"), "/base", "base", 9
    )
    started = [str(program), "-m", "transformers.cli.transformers", "serve", "/base"]
    assert command[:5] == started


def test_vllm_holds_adapters_beside_their_base() -> None:
    spec = ServeSpec(
        engine="vllm", options={"tensor-parallel-size": 2, "enable-prefix-caching": False}
    )
    adapters = [Adapter("a-1", "/a", 8), Adapter("b-2", "/b", 24)]
    command = command_line(
        Engine("vllm", ("vllm", "serve"), "1"), spec, "/base", "base", 9, adapters
    )
    assert command[:3] == ["vllm", "serve", "/base"]
    assert command[-6:] == [
        "--max-lora-rank=32",
        "--lora-modules",
        "a-1=/a",
        "b-2=/b",
        "--tensor-parallel-size=2",
        "--no-enable-prefix-caching",
    ]
