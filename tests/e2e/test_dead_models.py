"""A model that cannot be reached, or refuses everything, never leads to a verdict."""

from pathlib import Path

import pytest

from harness.artifacts.results_json import load_result
from harness.artifacts.run_folder import read_run_table
from tests.builders.commands import harness_here
from tests.builders.dead_models import WAYS as DEAD_WAYS
from tests.builders.dead_models import run_dead
from tests.builders.endpoint_runs import SUITE, answer
from tests.builders.files import write, write_rows
from tests.loopback.faults import Chooser, Fault, Kind, Request
from tests.loopback.server import LoopbackServer

PROFILE = """\
profile: there
models:
  dead: {{endpoint: {{model: dead-model, base_url: '{dead}', timeout_s: 3}}}}
  live: {{endpoint: {{model: live-model, base_url: '{url}'}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}'}}}}
"""
WAYS: dict[str, tuple[Kind, str]] = {
    "400": ("400", "HTTP 400"),
    "401": ("401", "HTTP 401"),
    "404": ("404", "HTTP 404"),
    "500": ("500", "HTTP 500"),
    "reset": ("reset", "unreachable"),
    "short": ("short_body", "unreachable"),
    "hang": ("hang", "timeout"),
    "html": ("html", "garbage"),
}


def write_world(folder: Path, n_items: int, *, dead: str, url: str) -> Path:
    rows = [{"id": f"q{i}", "question": f"Why {i}?", "answer": "Rest."} for i in range(n_items)]
    write_rows(folder / "items.jsonl", rows)
    write(folder / "remote.yaml", SUITE)
    write(folder / "there.yaml", PROFILE.format(dead=dead, url=url))
    return folder


def fail_the_dead(kind: Kind) -> Chooser:
    def choose(request: Request) -> Fault | None:
        return Fault(kind) if request.body["model"] == "dead-model" else None

    return choose


def run(world: Path, models: str) -> tuple[int, str]:
    done = harness_here(
        "run", "remote.yaml", "--models", models, "--profile", "there.yaml", "--limit", "40",
        cwd=world,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("models", ["dead,live", "live,dead"])
@pytest.mark.parametrize("n_items", [1, 8, 40])
def test_nothing_listens(tmp_path: Path, n_items: int, models: str) -> None:
    with LoopbackServer(answer) as server:
        closed = server.base_url.replace(f":{server.port}", ":9")
        write_world(tmp_path, n_items, dead=closed, url=server.base_url)
        code, words = run(tmp_path, models)
    assert code == 4, words
    assert "cannot connect" in words


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("models", ["dead,live", "live,dead"])
def test_every_request_fails(tmp_path: Path, way: str, models: str) -> None:
    kind, words = WAYS[way]
    with LoopbackServer(answer, fault=fail_the_dead(kind)) as server:
        write_world(tmp_path, 8, dead=server.base_url, url=server.base_url)
        code, message = run(tmp_path, models)
    assert code == 4, message
    assert words in message


@pytest.mark.parametrize("models", ["dead,live", "live,dead"])
def test_failures_within_the_limit_are_told_and_pass_nothing(tmp_path: Path, models: str) -> None:
    def choose(request: Request) -> Fault | None:
        unlucky = request.body["model"] == "dead-model" and request.prompt.endswith(("3?", "7?"))
        return Fault("500") if unlucky else None

    with LoopbackServer(answer, fault=choose) as server:
        write_world(tmp_path, 30, dead=server.base_url, url=server.base_url)
        code, message = run(tmp_path, models)
        assert code in {1, 3, 4}, message
        [report] = (tmp_path / "runs" / "remote").glob("*/report.md") if code != 4 else [None]
    assert "HTTP 500" in (message if report is None else report.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("n_items", [1, 15, 16, 120])
@pytest.mark.parametrize("models", ["dead,live", "live,dead"])
@pytest.mark.parametrize("way", DEAD_WAYS)
def test_a_dead_model_ends_every_run_in_the_servers_words(
    tmp_path: Path, way: str, models: str, n_items: int
) -> None:
    ending = run_dead(tmp_path, models, n_items, way)
    assert ending.code == 4, ending.text
    assert DEAD_WAYS[way][1] in ending.text


@pytest.mark.slow
@pytest.mark.parametrize("one_in", [100, 20, 8, 2])
@pytest.mark.parametrize("models", ["dead,live", "live,dead"])
@pytest.mark.parametrize("way", ["400", "500", "timeout"])
def test_no_claim_passes_because_a_model_failed_on_some_items(
    tmp_path: Path, way: str, models: str, one_in: int
) -> None:
    ending = run_dead(tmp_path, models, 120, way, fails=lambda i: i % one_in == one_in // 2)
    assert '"verdict": "pass"' not in ending.text
    assert ending.code == (3 if one_in >= 20 else 4), ending.text


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("null", "empty: the model gave no text"),
        ("empty", "empty: the model gave no text"),
        ("tool_calls", "empty: the model called a tool instead of answering"),
    ],
)
def test_a_model_that_says_nothing_has_the_worst_score_and_no_judge_is_asked(
    tmp_path: Path, kind: Kind, why: str
) -> None:
    with LoopbackServer(answer, fault=fail_the_dead(kind)) as server:
        write_world(tmp_path, 8, dead=server.base_url, url=server.base_url)
        for _ in range(2):  # the second run reads what the first stored
            code, words = run(tmp_path, "live,dead")
            assert code in {1, 3}, words
            # Two models answer 8 items; one of them is graded and labelled.
            assert server.counts.total() == 8 * (2 + 2)
    (folder,) = (tmp_path / "runs" / "remote").iterdir()
    result = load_result(folder)
    means = {(s.metric, s.model): s.mean.estimate for s in result.scores}
    assert means["rubric.safety", "dead"] == 1
    assert means["helpfulness", "dead"] == 0
    win_rate = next(c for c in result.comparisons if c.metric == "win_rate")
    assert win_rate.difference.estimate == 0
    answers = read_run_table(folder, "answers").to_pylist()
    assert {a["reason"] for a in answers if a["model"] == "dead"} == {why}
