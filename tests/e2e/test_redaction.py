"""What endpoints with `redact: true` are sent, and what is kept here."""

import json
from pathlib import Path

import pytest

from tests.builders.commands import Done, harness_here
from tests.builders.endpoint_runs import SUITE, answer
from tests.builders.files import write, write_rows
from tests.loopback.server import LoopbackServer

N_ITEMS = 6
PRIVATE = ["jo@example.com", "555-123-4567", "0012345", "3 May 1970", "https://example.com/jo"]
QUESTION = (
    "I was born on 3 May 1970 (MRN 0012345). My knee {} hurts. Write to jo@example.com, call "
    "555-123-4567 or see https://example.com/jo"
)
PROFILE = """\
profile: private
data:
  items: {{path: items.jsonl, fields: {{id: id, input: question, reference: answer}}}}
models:
  old: {{endpoint: {{model: old-model, base_url: '{url}', redact: {models}}}}}
  new: {{endpoint: {{model: new-model, base_url: '{url}', redact: {models}}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}', redact: {judge}}}}}
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    rows = [{"id": f"q{i}", "question": QUESTION.format(i), "answer": f"Rest. {QUESTION.format(i)}"}
            for i in range(N_ITEMS)]  # fmt: skip
    write_rows(tmp_path / "items.jsonl", rows)
    write(tmp_path / "remote.yaml", SUITE)
    return tmp_path


def run(world: Path, server: LoopbackServer, *, models: bool, judge: bool) -> Done:
    flags = {"models": str(models).lower(), "judge": str(judge).lower()}
    write(world / "there.yaml", PROFILE.format(url=server.base_url, **flags))
    done = harness_here(
        "run", "remote.yaml", "--models", "old,new", "--profile", "there.yaml", cwd=world
    )
    assert done.returncode in {0, 1, 3}, done.stderr
    return done


def sent(server: LoopbackServer, *, judge: bool) -> str:
    bodies = [r.body for r in server.requests if (r.body["model"] == "judge-model") is judge]
    assert bodies
    return json.dumps(bodies)


def test_redacting_endpoints_are_sent_no_identifiers_and_reports_keep_them(world: Path) -> None:
    with LoopbackServer(answer) as server:
        run(world, server, models=True, judge=True)
    for judge in (False, True):
        said = sent(server, judge=judge)
        assert not any(text in said for text in PRIVATE)
        kinds = ("date", "record number", "e-mail", "phone", "url")
        assert all(f"[{kind}]" in said for kind in kinds)
    [folder] = (world / "runs" / "remote").iterdir()
    assert "0012345" in (folder / "results.json").read_text()
    assert "redacted" in (folder / "report.html").read_text()


def test_without_redaction_texts_go_out_as_they_are(world: Path) -> None:
    with LoopbackServer(answer) as server:
        run(world, server, models=False, judge=False)
    for judge in (False, True):
        assert all(text in sent(server, judge=judge) for text in PRIVATE)


def test_a_judge_may_redact_what_models_were_shown(world: Path) -> None:
    with LoopbackServer(answer) as server:
        run(world, server, models=False, judge=True)
    assert PRIVATE[0] in sent(server, judge=False)
    assert not any(text in sent(server, judge=True) for text in PRIVATE)


def test_redaction_asks_anew_and_its_second_run_asks_nothing(world: Path) -> None:
    with LoopbackServer(answer) as server:
        run(world, server, models=False, judge=False)
        run(world, server, models=True, judge=True)
        assert server.counts == {"ok": 2 * N_ITEMS * 8}
        run(world, server, models=True, judge=True)
        assert server.counts == {"ok": 2 * N_ITEMS * 8}
    assert len(list((world / "runs" / "remote").iterdir())) == 2
