"""Items of three turns, answered by a local checkpoint, an endpoint and a record."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import harness_here
from tests.builders.conversations import conversation, write_talks
from tests.builders.endpoint_runs import answer
from tests.builders.files import write, write_rows
from tests.builders.tiny import make_tiny_model
from tests.loopback.server import LoopbackServer

N_ITEMS = 6
PROFILE = """\
profile: talks
models:
  local: {{checkpoint: tiny}}
  record: {{recorded: {{path: record.jsonl, join: input, fields: {{input: prompt, response: text}}}}}}
  remote: {{endpoint: {{model: remote-model, base_url: '{url}'}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}'}}}}
"""


@pytest.mark.slow
def test_conversations_are_answered_by_a_checkpoint_an_endpoint_and_a_record(
    tmp_path: Path,
) -> None:
    write_talks(tmp_path, N_ITEMS)
    make_tiny_model(tmp_path / "tiny", context=256)
    chats = [conversation(i) for i in range(N_ITEMS)]
    write_rows(
        tmp_path / "record.jsonl",
        [{"prompt": chat, "text": f"Perhaps, {i}."} for i, chat in enumerate(chats)],
    )
    bodies: list[dict[str, Any]] = []

    def reply(body: dict[str, Any]) -> str:
        bodies.append(body)
        return answer(body)

    with LoopbackServer(reply) as server:
        write(tmp_path / "there.yaml", PROFILE.format(url=server.base_url))
        args = ["talks.yaml", "--models", "local,record,remote", "--profile", "there.yaml"]
        done = harness_here("run", *args, cwd=tmp_path)
        n_asked = len(bodies)
        again = harness_here("run", *args, cwd=tmp_path)
    assert done.returncode in {0, 1, 3}, done.stderr
    # The endpoint was sent every turn, and the judge sees each in a block.
    asked = [body["messages"] for body in bodies if body["model"] == "remote-model"]
    assert sorted(map(json.dumps, asked)) == sorted(map(json.dumps, chats))
    shown = [body["messages"][1]["content"] for body in bodies if body["model"] == "judge-model"]
    assert all("-assistant-" in text and "Does he cough by day too?" in text for text in shown)
    # All of it is stored.
    assert (again.returncode, len(bodies)) == (done.returncode, n_asked)


def test_batch_files_hold_every_turn(tmp_path: Path) -> None:
    write_talks(tmp_path, N_ITEMS)
    write(tmp_path / "there.yaml", PROFILE.format(url="http://127.0.0.1:9"))
    args = [
        "talks.yaml",
        "--models",
        "remote",
        "--profile",
        "there.yaml",
        "--batch",
        "batches",
        "--limit",
        "2",
    ]
    done = harness_here("run", *args, cwd=tmp_path)
    (file,) = (tmp_path / "batches").rglob("*.jsonl")
    requests = [json.loads(line) for line in file.read_text().splitlines()]
    chats = [conversation(i) for i in range(2)]
    assert [request["body"]["messages"] for request in requests] == chats, done.stderr
