"""Runs against models that are down, or fail on some items, through the command's own code.

A run is made in this process, because the grid of ways, sides and sizes is large. Both models say
the same, except that the candidate is rude on the very items that fail for one of them. So no claim
holds, and only a failure that counts as an answer, or an item left out, could make one pass.
"""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.builders.endpoint_runs import fill_schema
from tests.builders.files import write, write_rows
from tests.loopback.faults import Fault, Kind, Request
from tests.loopback.server import LoopbackServer

SUITE = """\
suite: support
data:
  source: {path: tickets.jsonl, fields: {id: id, input: question, reference: answer}}
generation: {max_new_tokens: 64}
metrics:
  quality:
    kind: rubric
    criteria: [{name: tone, asks: Is it polite}]
  win_rate: {kind: pairwise, asks: Which reply is better}
gate:
  require: any
  max_unscored: 0.1
  claims:
    - {metric: quality.tone, claim: superior}
    - {metric: quality.tone, claim: non_inferior, margin: 0.02}
    - {metric: win_rate, claim: superior}
"""
PROFILE = """\
profile: support
models:
  dead: {{endpoint: {{model: dead-model, base_url: '{dead}', timeout_s: {timeout_s}}}}}
  live: {{endpoint: {{model: live-model, base_url: '{url}'}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}'}}}}
"""
# What befalls every request, and the words that a user must see.
WAYS: dict[str, tuple[Kind | None, str]] = {
    "no listener": (None, "cannot connect"),
    "400": ("400", "HTTP 400: Unsupported value"),
    "401": ("401", "HTTP 401: Incorrect API key"),
    "404": ("404", "HTTP 404: The model does not exist"),
    "500": ("500", "HTTP 500: The server had an error"),
    "timeout": ("hang", "no answer within"),
    "reset": ("reset", "the connection was reset"),
    "empty body": ("no_body", "no JSON"),
}


class Ending(NamedTuple):
    """How a run ended: its exit code, and what was printed."""

    code: int
    text: str


def run_dead(
    folder: Path,
    models: str,
    n_items: int,
    way: str = "500",
    *,
    fails: Callable[[int], bool] = lambda _: True,
) -> Ending:
    """Run on fresh folders with a model that fails in this `way` on the items that `fails` names.

    Items are numbered from 0.
    """
    kind, _ = WAYS[way]
    candidate = f"{models.partition(',')[2]}-model"

    def choose(request: Request) -> Fault | None:
        if request.body["model"] != "dead-model" or kind is None:
            return None
        return Fault(kind) if fails(_number(request.prompt)) else None

    def say(body: dict[str, Any]) -> str:
        if body["model"] == "judge-model":
            return _judge(body)
        question = body["messages"][-1]["content"]
        rude = body["model"] == candidate and fails(_number(question))
        return f"{'Rude' if rude else 'Kind'} words on {question}"

    with LoopbackServer(say, fault=choose, keep=False) as server:
        dead = server.base_url.replace(f":{server.port}", ":9") if kind is None else server.base_url
        _write_world(
            folder,
            n_items,
            dead=dead,
            url=server.base_url,
            # A busy machine must not be late with the requests that are to be answered.
            timeout_s=1.0 if kind == "hang" and all(map(fails, range(n_items))) else 4.0,
        )
        return _command(
            "run", str(folder / "support.yaml"), "--profile", str(folder / "there.yaml"),
            "--models", models, "--limit", str(n_items), "--store", str(folder / "store"), "--out", str(folder / "runs"),
            "--format", "json",
        )  # fmt: skip


def _number(question: str) -> int:
    return int(question.split()[-1])


def _judge(body: dict[str, Any]) -> str:
    """Give rude words 2 of 10 and others 8; of a pair always prefer the first."""
    score = 2 if "Rude words" in body["messages"][-1]["content"] else 8
    schema = body["response_format"]["json_schema"]["schema"]
    return json.dumps(fill_schema(schema, bytes([score - 1]) * 32))


def _write_world(folder: Path, n_items: int, *, dead: str, url: str, timeout_s: float) -> None:
    rows = [{"id": f"t{i}", "question": f"Where is my order {i}", "answer": "On its way."}
            for i in range(n_items)]  # fmt: skip
    write_rows(folder / "tickets.jsonl", rows)
    write(folder / "support.yaml", SUITE)
    write(folder / "there.yaml", PROFILE.format(dead=dead, url=url, timeout_s=timeout_s))


def _command(*args: str) -> Ending:
    from harness.cli import app
    from harness.cli.exit_codes import exit_on_error

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            with exit_on_error():
                code = app(list(args), standalone_mode=False)
        except SystemExit as ending:
            code = ending.code
    out.seek(0)
    text = out.read()
    assert isinstance(code, int), text
    assert "Traceback" not in text, text
    return Ending(code, text)
