"""Preference pairs by batch files, judged by a jury behind an endpoint."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.builders.batch_service import Service, collect, new_files
from tests.builders.commands import Done, environment, harness_here
from tests.builders.files import write, write_rows
from tests.builders.tiny import make_tiny_model
from tests.loopback.server import LoopbackServer

N_PROMPTS = 4

PROFILE = """\
profile: there
models:
  base: {{checkpoint: base}}
judges:
  default: {{jury: {{members: [one, two]}}}}
  one: {{endpoint: {{model: judge-one, base_url: '{url}', api_key_env: NO_SUCH_KEY}}}}
  two: {{endpoint: {{model: judge-two, base_url: '{url}', api_key_env: NO_SUCH_KEY}}}}
"""
PAIRS = """\
recipe: mine
method: judged_pairs
parent: {checkpoint: base}
data: {path: rows.jsonl, fields: {id: id, input: q}}
generation: {max_new_tokens: 12, temperature: 1.0}
prefer: {kind: pairwise, asks: Which is better}
"""


def answer(body: dict[str, Any]) -> str:
    """The same to the same chat, whoever of the two is asked."""
    digest = sha256(json.dumps(body["messages"]).encode()).digest()
    return json.dumps({"reason": "so it is", "winner": ("first", "tie")[digest[0] % 2]})


@pytest.fixture
def world(tmp_path: Path) -> Path:
    make_tiny_model(tmp_path / "base", context=256)
    write_rows(tmp_path / "rows.jsonl", [{"id": f"q{i}", "q": f"cough {i}?"} for i in range(N_PROMPTS)])  # fmt: skip
    write(tmp_path / "pairs.yaml", PAIRS)
    return tmp_path


def pairs(world: Path, server: LoopbackServer, *args: str, key: str = "") -> Done:
    write(world / "there.yaml", PROFILE.format(url=server.base_url))
    env = environment({"NO_SUCH_KEY": key} if key else None)
    options = ["--profile", "there.yaml", "--format", "json"]
    return harness_here("pairs", "pairs.yaml", *options, *args, cwd=world, env=env)


@pytest.mark.slow
def test_pairs_by_batch_are_those_judged_live(world: Path) -> None:
    with LoopbackServer(answer) as server:
        live = pairs(world, server, "--store", "live", key="sk-a-key")
        assert live.returncode == 0, live.stderr
        assert server.counts.total() == 2 * 2 * N_PROMPTS  # judges and orders
        server.counts.clear()
        service = Service(server)
        files = new_files(pairs(world, server, "--batch", "batch"))
        assert len(files) == 2  # one for each model that is asked
        assert server.counts.total() == 0
        results = [service.answer_file(world / f, world / f"{f}.results") for f in files]
        assert collect(world, *results).returncode == 0
        done = pairs(world, server, "--batch", "batch")
        assert done.returncode == 0, done.stderr
    told, told_live = json.loads(done.stdout), json.loads(live.stdout)
    assert Path(told.pop("path")).name == Path(told_live.pop("path")).name
    assert told == told_live
    assert told["chosen by"] == "judge-one, judge-two"
    assert told["same verdict of two judges"].startswith("100.0 %")
