"""Runs whose engine the harness starts, ended in every way: no answer lost or asked twice, no process left."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders.commands import environment, harness, run_until
from tests.builders.files import write, write_rows
from tests.builders.inference_servers import (
    ENVIRONMENTS,
    THREADS,
    TRANSFORMERS,
    VLLM,
    Engine,
    packaged_smollm2,
)
from tests.builders.processes import largest, running_in, wait_until_none_in
from tests.builders.stored_rows import read_bodies

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1800)]  # engines start five times

N_ITEMS = 16
N_PROBES = 7
RUN = ("run", "small.yaml", "--models", "old,new", "--profile", "served.yaml")
SUITE = """\
suite: small
data: {source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}}
generation: {max_new_tokens: 32}
metrics: {rouge: {kind: rouge}}
"""
PROFILE = """\
profile: served
models:
  old: {{recorded: {{path: old.jsonl, fields: {{id: id, response: text}}}}}}
  new: {{checkpoint: {weights}, serve: {{engine: {engine}, concurrency: 1, check: prompts, options: {options}}}}}
"""
OPTIONS = {
    "vllm": "dtype: float32, enforce-eager: true, max-num-seqs: 2, max-model-len: 1024",
    "transformers": "device: cpu",
}
# What an engine refuses before it can answer, and how it says so.
REFUSED = {
    "vllm": ("max-model-len: 999999", "999999"),
    "transformers": ("device: cuda", "CUDA"),
}


def make_world(folder: Path, engine: Engine, options: str) -> Path:
    """Write a suite and a profile whose candidate is SmolLM2, answered by an engine that is started."""
    rows = [
        {"id": f"q{i}", "question": f"I am {i + 20}. Is a cough bad?", "answer": "See a doctor."}
        for i in range(N_ITEMS)
    ]
    write_rows(folder / "items.jsonl", rows)
    write_rows(folder / "old.jsonl", [{"id": r["id"], "text": "Rest, and ask."} for r in rows])
    write(folder / "small.yaml", SUITE)
    weights = packaged_smollm2(engine)
    profile = PROFILE.format(weights=weights, engine=engine.name, options=f"{{{options}}}")
    write(folder / "served.yaml", profile)
    return folder


def variables(engine: Engine) -> dict[str, str]:
    vllm = str(ENVIRONMENTS / "vllm" / "bin" / "python")
    return {"HARNESS_VLLM": vllm, "OMP_NUM_THREADS": THREADS, **engine.env}


def answered(world: Path) -> dict[str, str]:
    """The stored answers of the engine, those of the recorded model left out."""
    bodies = read_bodies(world / ".harness", "response")
    return {key: body for key, body in bodies.items() if "Rest, and ask." not in body}


def n_requests(world: Path) -> int:
    """How often the engine that was started last was asked, by its own log."""
    (log,) = (world / ".harness" / "servers").glob("*.log")
    return log.read_text().count("POST /v1/chat/completions")


def end_harness(number: signal.Signals) -> Callable[[int], None]:
    return lambda harness_id: os.kill(harness_id, number)


@pytest.mark.parametrize("engine", [TRANSFORMERS, VLLM], ids=lambda engine: engine.name)
def test_a_run_ended_in_three_ways_loses_nothing_and_leaves_no_process(
    engine: Engine, tmp_path: Path
) -> None:
    world = make_world(tmp_path, engine, OPTIONS[engine.name])

    def end_engine(harness_id: int) -> None:
        os.kill(largest(set(running_in(world)) - {harness_id}), signal.SIGKILL)

    env, before = environment(variables(engine)), answered(world)
    for end, code in (
        (end_harness(signal.SIGINT), 130),
        (end_engine, 4),
        (end_harness(signal.SIGKILL), -signal.SIGKILL),
    ):
        enough = len(before) + 2
        ended = run_until(
            RUN, world, lambda enough=enough: len(answered(world)) >= enough, end, env
        )
        after = answered(world)
        assert ended.returncode == code, ended.stderr
        assert wait_until_none_in(world, 20) == []
        assert len(before) < len(after) < N_ITEMS
        assert before.items() <= after.items()
        assert n_requests(world) <= N_PROBES + len(after) - len(before) + 1  # and the one in flight
        if end is end_engine:
            assert f"{engine.name} " in ended.stderr
            assert "ended while it was asked" in ended.stderr
        before = after
    done = harness(*RUN, cwd=world, env=variables(engine))
    assert done.returncode in {0, 1, 3}, done.stderr
    assert before.items() <= answered(world).items()
    assert n_requests(world) == N_PROBES + N_ITEMS - len(before)
    assert running_in(world) == []


@pytest.mark.parametrize("engine", [TRANSFORMERS, VLLM], ids=lambda engine: engine.name)
def test_an_engine_that_refuses_its_model_ends_the_run_in_its_words(
    engine: Engine, tmp_path: Path
) -> None:
    options, words = REFUSED[engine.name]
    world = make_world(tmp_path, engine, options)
    done = harness(*RUN, cwd=world, env=variables(engine))
    assert done.returncode == 4, done.stderr
    assert words in done.stderr
    assert running_in(world) == []
