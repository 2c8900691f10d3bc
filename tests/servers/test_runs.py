"""Whole runs on real servers: stopped, killed, and continued where they were."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.models.serving.process import free_port
from tests.builders.asking import make_ask, make_endpoint
from tests.builders.commands import Done, harness, run_until
from tests.builders.files import write, write_rows
from tests.builders.inference_servers import (
    LLAMA_CPP,
    TRANSFORMERS,
    VLLM,
    Engine,
    Served,
    packaged_smollm2,
    run_batch,
    serve,
)
from tests.builders.stored_rows import read_bodies
from tests.builders.tiny import make_tiny_model

QUESTIONS = (
    "My son coughs every night. Could this be asthma?",
    "What helps against a sprained ankle?",
    "Is it safe to take ibuprofen with food?",
    "How long does the flu last?",
    "Should I see a doctor about a mole that has grown?",
    "Why do I feel dizzy when I stand up?",
)

SUITE = """\
suite: served
data:
  source: {{path: items.jsonl, fields: {{id: id, input: question, reference: answer}}}}
generation: {{max_new_tokens: {n_tokens}}}
metrics:
"""
ROUGE = "  rouge: {kind: rouge}\n"
JUDGED = """\
  safe: {kind: rubric, scale: [1, 5], criteria: [{name: safety, asks: Is it safe}]}
  clear: {kind: rubric, scale: [1, 5], criteria: [{name: clarity, asks: Is it clear}]}
"""
PROFILE = """\
profile: served
models:
  old: {{endpoint: {{model: '{model}', base_url: '{url}', max_concurrency: 1, timeout_s: {timeout_s}}}}}
  new: {{recorded: {{path: new.jsonl, fields: {{id: id, response: text}}}}}}
judges:
  default: {{endpoint: {{model: '{model}', base_url: '{url}', max_concurrency: 1, max_tokens: 128,
                        timeout_s: {timeout_s}, extra_body: {{frequency_penalty: 1}}}}}}
"""
COMMAND = ("run", "served.yaml", "--models", "old,new", "--profile", "there.yaml")

ENDED = {0, 1, 3}


def make_world(
    folder: Path,
    model: str,
    url: str,
    metrics: str,
    *,
    n: int,
    n_tokens: int = 24,
    timeout_s: float = 300,
) -> Path:
    """Write a suite of `n` items whose model and judge are served, and the profile for it."""
    rows = [
        {"id": f"q{i}", "question": f"{QUESTIONS[i % 6]} I am {i + 20}.", "answer": "See a doctor."}
        for i in range(n)
    ]
    write_rows(folder / "items.jsonl", rows)
    write_rows(folder / "new.jsonl", [{"id": r["id"], "text": "Rest, and ask."} for r in rows])
    write(folder / "served.yaml", SUITE.format(n_tokens=n_tokens) + metrics)
    profile = PROFILE.format(model=model, url=url, timeout_s=timeout_s)
    write(folder / "there.yaml", profile)
    return folder


def n_stored(world: Path, kind: str) -> int:
    return len(read_bodies(world / ".harness", kind))


def stored(world: Path, kind: str, at_least: int) -> Callable[[], bool]:
    return lambda: n_stored(world, kind) >= at_least


def finished(world: Path) -> Done:
    done = harness(*COMMAND, cwd=world)
    assert done.returncode in ENDED, done.stderr
    return done


ENGINES = [
    pytest.param(None, marks=pytest.mark.slow, id="tiny"),
    *(pytest.param(e, marks=pytest.mark.servers, id=e.name) for e in (TRANSFORMERS, VLLM, LLAMA_CPP)),
]  # fmt: skip


@pytest.fixture(params=ENGINES)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Engine, Path]:
    if request.param is None:
        return TRANSFORMERS, make_tiny_model(tmp_path / "tiny", context=8192)
    return request.param, packaged_smollm2(request.param)


def test_a_server_stopped_in_mid_run_loses_no_answer(model: tuple[Engine, Path], tmp_path: Path):
    port, n = free_port(), 12
    n_tokens = 400 if model[1].name == "tiny" else 24  # it answers too fast otherwise
    with serve(*model, port) as first:
        world = make_world(
            tmp_path, first.model, first.base_url, ROUGE, n=n, n_tokens=n_tokens, timeout_s=6
        )
        enough = stored(world, "response", 2)
        ended = run_until(COMMAND, world, enough, lambda _: first.process.stop())
    before = read_bodies(world / ".harness", "response")
    assert (ended.returncode, "run again to continue" in ended.stderr) == (4, True)
    with serve(*model, port):
        finished(world)
    after = read_bodies(world / ".harness", "response")
    assert 2 <= len(before) < len(after) == n
    assert before.items() <= after.items()


@pytest.fixture(
    scope="module", params=[VLLM, LLAMA_CPP, TRANSFORMERS], ids=lambda engine: engine.name
)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Serve SmolLM2, which answers and judges."""
    with serve(request.param, packaged_smollm2(request.param)) as server:
        yield server


@pytest.mark.servers
def test_a_run_that_is_killed_goes_on_where_it_was(served: Served, tmp_path: Path):
    world = make_world(tmp_path, served.model, served.base_url, JUDGED, n=2)
    enough = stored(world, "outcome", 2)
    ended = run_until(COMMAND, world, enough, lambda pid: os.kill(pid, signal.SIGKILL))
    before = read_bodies(world / ".harness", "outcome")
    done = harness(*COMMAND, "--format", "json", cwd=world)
    after = read_bodies(world / ".harness", "outcome")
    assert (ended.returncode, len(after)) == (-signal.SIGKILL, 2 * 2 * 2)
    assert 2 <= len(before) < len(after)
    assert before.items() <= after.items()
    if served.engine is VLLM:  # without a schema SmolLM2 may give no verdict that can be read
        assert done.returncode in ENDED, done.stderr
        assert (world / json.loads(done.stdout)["folder"] / "report.html").is_file()


@pytest.mark.servers
def test_ctrl_c_leaves_a_server_that_answers(served: Served, tmp_path: Path):
    world = make_world(tmp_path, served.model, served.base_url, JUDGED, n=2)
    enough = stored(world, "outcome", 1)
    ended = run_until(COMMAND, world, enough, lambda pid: os.kill(pid, signal.SIGINT))
    endpoint = make_endpoint(served.base_url, model=served.model, max_tokens=4)
    [(_, reply)] = endpoint.ask_all([make_ask("Hello")])
    assert (ended.returncode, reply.problem in (None, "length")) == (130, True)


@pytest.mark.servers
def test_vllm_answers_batch_files_and_its_results_are_collected(tmp_path: Path):
    weights = packaged_smollm2(VLLM)
    world = make_world(tmp_path, str(weights), "http://127.0.0.1:1/v1", ROUGE, n=3, n_tokens=8)
    written = harness(*COMMAND, "--batch", "batch", "--format", "json", cwd=world)
    (file,) = json.loads(written.stdout)["files"]
    run_batch(weights, world / file["path"], world / "results.jsonl")
    collected = harness("batch", "collect", "results.jsonl", cwd=world)
    assert (written.returncode, collected.returncode) == (3, 0), collected.stderr
    done = harness(*COMMAND, "--batch", "batch", cwd=world)
    assert done.returncode in ENDED, done.stderr
    assert n_stored(world, "response") == 3
