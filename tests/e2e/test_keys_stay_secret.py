"""A key is sent to its own host, and stands nowhere else: not in what is said, nor in any file."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Done, environment, harness
from tests.builders.endpoint_runs import SUITE, answer
from tests.builders.files import write, write_rows
from tests.loopback.faults import Fault, always, script
from tests.loopback.server import LoopbackServer

KEY = "sk-canary-4f1c9be2d07a"
OTHER_KEY = "sk-other-83aa10c65e9b"
KEYS = {"CANARY_KEY": KEY, "OTHER_KEY": OTHER_KEY}
N_ITEMS = 8

PROFILE = """\
profile: remote
models:
  old: {{endpoint: {{model: old-model, base_url: '{models}', api_key_env: CANARY_KEY}}}}
  new: {{endpoint: {{model: new-model, base_url: '{models}', api_key_env: CANARY_KEY}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{judge}', api_key_env: {judge_key}}}}}
"""

# The command line with a fault that nobody foresaw, where the key is at hand.
CRASHING = """
import harness.models.endpoint.attempts as calls
def broken(*_):
    raise RuntimeError("an unforeseen fault")
calls.read_reply = broken
from harness.cli import main
main()
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    rows = [{"id": f"q{i}", "question": f"Why does my knee {i} hurt?", "answer": "Rest may help."}
            for i in range(N_ITEMS)]  # fmt: skip
    write_rows(tmp_path / "items.jsonl", rows)
    write(tmp_path / "remote.yaml", SUITE)
    return tmp_path


def bind(world: Path, models: str, judge: str | None = None, judge_key: str = "CANARY_KEY") -> None:
    text = PROFILE.format(models=models, judge=judge or models, judge_key=judge_key)
    write(world / "there.yaml", text)


def options(command: str = "run") -> list[str]:
    return [command, "remote.yaml", "--models", "old,new", "--profile", "there.yaml"]


def said_by(done: Done) -> bytes:
    return (done.stdout + done.stderr).encode()


def kept_in(world: Path) -> bytes:
    """All bytes of all files, the store and its write-ahead log among them."""
    return b"\n".join(path.read_bytes() for path in world.rglob("*") if path.is_file())


def indiscreet(body: dict[str, Any]) -> str:
    """Models and judge that repeat the key they were sent."""
    if body["model"] == "judge-model":
        return answer(body).replace("because", f"because {KEY}")
    return f"Your key is {KEY}. {answer(body)}"


# What a careless proxy does before it answers well: the key in bodies of all kinds, and in headers.
CARELESS = script(
    Fault("429", echo=True),
    Fault("500", echo=True),
    Fault("html", echo=True),
    Fault("error_200", echo=True),
    Fault("400", echo=True, headers={"X-Key": KEY, "Retry-After": KEY}),
    Fault("no_usage", headers={"X-Key": KEY, "Set-Cookie": f"key={KEY}"}),
)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_run_against_an_indiscreet_endpoint_keeps_the_key(world: Path, form: str) -> None:
    with LoopbackServer(indiscreet, fault=CARELESS) as server:
        bind(world, server.base_url)
        done = harness(*options(), "--format", form, cwd=world, env=KEYS)
        assert done.returncode in {0, 1, 3, 4}, done.stderr
    assert {r.headers["authorization"] for r in server.requests} == {f"Bearer {KEY}"}
    kept = kept_in(world)
    assert b"Your key is [key]." in kept  # it was said, and was blotted out
    assert b"because [key]" in kept
    assert KEY.encode() not in said_by(done) + kept


def test_plan_doctor_and_report_do_not_tell_the_key(world: Path) -> None:
    with LoopbackServer(indiscreet) as server:
        bind(world, server.base_url)
        harness(*options(), cwd=world, env=KEYS)
        [folder] = (world / "runs" / "remote").iterdir()
        commands = [options("plan"), ["validate", "remote.yaml", "--profile", "there.yaml"],
                    ["doctor"], ["report", str(folder)]]  # fmt: skip
        for command in commands:
            for form in ("text", "json"):
                done = harness(*command, "--format", form, cwd=world, env=KEYS)
                assert done.returncode != 2, done.stderr
                assert KEY.encode() not in said_by(done)
    assert KEY.encode() not in kept_in(world)


@pytest.mark.parametrize("kind", ["401", "403", "insufficient_quota"])
def test_a_refusal_that_quotes_the_key_is_told_without_it(world: Path, kind: Any) -> None:
    with LoopbackServer(answer, fault=always(kind, echo=True)) as server:
        bind(world, server.base_url)
        done = harness(*options(), cwd=world, env=KEYS)
    assert done.returncode == 4
    assert "Bearer [key]" in done.stderr
    assert KEY.encode() not in said_by(done) + kept_in(world)


def test_an_unforeseen_crash_shows_its_traceback_without_the_key(world: Path) -> None:
    with LoopbackServer(answer) as server:
        bind(world, server.base_url)
        done = subprocess.run(
            [sys.executable, "-c", CRASHING, *options()],
            cwd=world, env=environment(KEYS), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert done.returncode == 4
    assert "RuntimeError: an unforeseen fault" in done.stderr
    assert KEY.encode() not in said_by(done) + kept_in(world)


def test_a_killed_run_leaves_no_key_in_the_write_ahead_log(world: Path) -> None:
    with LoopbackServer(indiscreet, latency_s=0.05) as server:
        bind(world, server.base_url)
        with subprocess.Popen(
            [sys.executable, "-m", "harness", *options()],
            cwd=world, env=environment(KEYS), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            while server.counts.total() < N_ITEMS * 4 and process.poll() is None:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
    assert b"[key]" in (world / ".harness" / "store.sqlite-wal").read_bytes()
    assert KEY.encode() not in kept_in(world)


# --- whom a key is sent to -------------------------------------------------------------------


def test_each_host_is_sent_its_own_key_only(world: Path) -> None:
    with LoopbackServer(answer) as models, LoopbackServer(answer) as judge:
        bind(world, models.base_url, judge.base_url, judge_key="OTHER_KEY")
        done = harness(*options(), cwd=world, env=KEYS)
        assert done.returncode in {0, 1, 3}, done.stderr
    seen = {
        server: {value for request in server.requests for value in request.headers.values()}
        for server in (models, judge)
    }
    assert f"Bearer {KEY}" in seen[models]
    assert f"Bearer {OTHER_KEY}" in seen[judge]
    assert not any(OTHER_KEY in value for value in seen[models])
    assert not any(KEY in value for value in seen[judge])
    bodies = json.dumps([r.body for server in seen for r in server.requests])
    assert KEY not in bodies
    assert OTHER_KEY not in bodies


def test_a_redirect_to_another_port_is_not_followed(world: Path) -> None:
    with LoopbackServer(answer) as elsewhere:
        away = {"Location": f"{elsewhere.base_url}/chat/completions?key={KEY}"}
        with LoopbackServer(answer, fault=always("redirect", headers=away)) as server:
            bind(world, server.base_url)
            done = harness(*options(), cwd=world, env=KEYS)
    assert done.returncode == 4
    assert "redirects to" in done.stderr
    assert elsewhere.counts.total() == 0
    assert KEY.encode() not in said_by(done) + kept_in(world)


def test_plain_http_to_another_machine_is_refused(world: Path) -> None:
    bind(world, "http://192.0.2.1:8000/v1")
    done = harness(*options(), cwd=world, env=KEYS)
    assert done.returncode == 2
    assert "plain http would show the key" in done.stderr
    assert KEY.encode() not in said_by(done) + kept_in(world)


# --- nobody else listens ---------------------------------------------------------------------


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A port that takes connections, which then wait until they are asked for."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        port.setblocking(False)
        yield port


def was_called(port: socket.socket) -> bool:
    try:
        port.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_tracing_that_the_environment_asks_for_is_not_done(world: Path) -> None:
    with LoopbackServer(answer) as server, listening() as tracer:
        bind(world, server.base_url)
        url = f"http://127.0.0.1:{tracer.getsockname()[1]}"
        tracing = {f"{name}_{key}": value for name in ("LANGSMITH", "LANGCHAIN")
                   for key, value in [("TRACING", "true"), ("TRACING_V2", "true"),
                                      ("ENDPOINT", url), ("API_KEY", "lsv2_none")]}  # fmt: skip
        done = harness(*options(), cwd=world, env=KEYS | tracing)
        assert done.returncode in {0, 1, 3}, done.stderr
        assert server.counts.total() == N_ITEMS * 8
        assert not was_called(tracer)


def test_a_call_would_be_seen() -> None:
    with listening() as port, socket.create_connection(port.getsockname()):
        assert was_called(port)
