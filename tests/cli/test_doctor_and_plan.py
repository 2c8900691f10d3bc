"""What `doctor --profile` asks of endpoints, and what `plan` shows of keys and hosts, before a run."""

import json
from pathlib import Path

import pytest

from tests.builders.commands import Done, harness_here
from tests.builders.endpoint_runs import SUITE, answer
from tests.builders.files import write, write_rows
from tests.loopback.faults import Chooser, Fault, Kind, Request
from tests.loopback.server import LoopbackServer

PROFILE = """\
profile: there
models:
  old: {{endpoint: {{model: old-model, base_url: '{url}', api_key_env: OLD_KEY}}}}
  new: {{endpoint: {{model: new-model, base_url: '{url}'}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}'}}}}
"""
KEYS = {"OLD_KEY": "sk-not-to-be-shown"}


def call(folder: Path, url: str, *args: str, keys: dict[str, str] | None = None) -> Done:
    write(folder / "there.yaml", PROFILE.format(url=url))
    given = KEYS if keys is None else keys
    allowed = {"HARNESS_ALLOW_KEY": "OLD_KEY@127.0.0.1"} if given else {}
    return harness_here(*args, "--profile", "there.yaml", cwd=folder, env=given | allowed)


def of(model: str, kind: Kind) -> Chooser:
    def choose(request: Request) -> Fault | None:
        return Fault(kind) if request.body["model"] == model else None

    return choose


def test_the_doctor_asks_each_endpoint_once_and_reads_a_verdict(tmp_path: Path) -> None:
    with LoopbackServer(answer) as server:
        done = call(tmp_path, server.base_url, "doctor")
        assert done.returncode == 0, done.stdout + done.stderr
        asked = [str(request.body["model"]) for request in server.requests]
        keys = {str(r.body["model"]): r.headers.get("authorization", "") for r in server.requests}
    assert sorted(asked) == ["judge-model", "new-model", "old-model"]
    assert keys["old-model"] == f"Bearer {KEYS['OLD_KEY']}"
    assert KEYS["OLD_KEY"] not in keys["new-model"]
    assert "old-model at 127.0.0.1" in done.stdout
    assert "gave a verdict that can be read" in done.stdout
    assert KEYS["OLD_KEY"] not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        ("new-model", "404", "HTTP 404"),
        ("new-model", "null", "empty"),
        ("judge-model", "prose", "no verdict"),
        ("judge-model", "401", "HTTP 401"),
        ("judge-model", "empty", "no verdict"),
    ],
)
def test_the_doctor_names_what_would_fail(
    tmp_path: Path, model: str, kind: Kind, words: str
) -> None:
    with LoopbackServer(answer, fault=of(model, kind)) as server:
        done = call(tmp_path, server.base_url, "doctor")
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert "it replied: \n" not in done.stdout
    assert "Traceback" not in done.stderr


def test_the_doctor_says_in_which_format_a_judge_is_asked(tmp_path: Path) -> None:
    def refuse_schema(request: Request) -> Fault | None:
        format_ = request.body.get("response_format", {}).get("type")
        return Fault("400") if format_ == "json_schema" else None

    verdict = '{"reasons": {"clarity": "plain"}, "scores": {"clarity": 4}}'
    with LoopbackServer(lambda _: verdict, fault=refuse_schema) as server:
        done = call(tmp_path, server.base_url, "doctor")
    assert "gave a verdict that can be read" in done.stdout
    assert "is asked as 'json_object'" in " ".join(done.stdout.split())


def test_the_doctor_names_a_key_that_is_not_set(tmp_path: Path) -> None:
    with LoopbackServer(answer) as server:
        done = call(tmp_path, server.base_url, "doctor", keys={})
    assert done.returncode != 0
    assert "OLD_KEY" in done.stdout + done.stderr


def test_a_plan_names_the_key_and_the_host_that_would_get_it_and_sends_nothing(
    tmp_path: Path,
) -> None:
    write(tmp_path / "remote.yaml", SUITE)
    rows = [{"id": f"q{i}", "question": f"Why {i}?", "answer": "Rest."} for i in range(60)]
    write_rows(tmp_path / "items.jsonl", rows)
    with LoopbackServer(answer) as server:
        done = call(tmp_path, server.base_url, "plan", "remote.yaml", "--models", "old,new",
                    "--format", "json")  # fmt: skip
        assert server.counts.total() == server.lists == 0
        shown = call(tmp_path, server.base_url, "plan", "remote.yaml", "--models", "old,new")
    assert done.returncode == 0, done.stderr
    lines = {line["who"]: line for line in json.loads(done.stdout)["remote"]}
    assert "OLD_KEY" in lines["old"]["key"]
    assert lines["old"]["host"].startswith("127.0.0.1")
    assert lines["new"]["key"] is None
    assert "OLD_KEY" in shown.stdout
    assert KEYS["OLD_KEY"] not in done.stdout + shown.stdout
