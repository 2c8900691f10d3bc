"""A finished run on conversations: its tables, examples, pages and logs."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.artifacts.answers import read_answers
from harness.artifacts.run_folder import load_run
from harness.config.request import load_request
from harness.core.progress import QuietProgress
from harness.interop.inspect_export import write_inspect_logs
from harness.runs.compare_runs import hash_items_of
from harness.runs.flags import flag_responses
from harness.runs.item_pages import write_run_reports
from harness.runs.run import run_suite
from harness.training.context import make_context
from harness.types import Message, Response, RunResult, Sample
from reports.items import make_anchor, page_of
from tests.builders.conversations import conversation, write_talks
from tests.builders.files import write, write_rows
from tests.builders.judge_requests import evasion
from tests.builders.score_tasks import task as score_task

PROFILE = """\
profile: talks
models:
  old: {recorded: {path: old.jsonl, fields: {id: id, response: text}}}
  new: {recorded: {path: new.jsonl, fields: {id: id, response: text}}}
judges: {default: {offline: consumer_health}}
"""
TEXTS = {"old": "It is asthma.", "new": "It may be asthma. See your doctor if he coughs at night."}


class Finished(NamedTuple):
    folder: Path
    result: RunResult


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = write_talks(tmp_path_factory.mktemp("talks"), 8)
    for model, text in TEXTS.items():
        write_rows(folder / f"{model}.jsonl", [{"id": f"q{i}", "text": f"{text} {i}"} for i in range(8)])  # fmt: skip
    profile = write(folder / "p.yaml", PROFILE)
    request = load_request(str(folder / "talks.yaml"), str(profile), ("old", "new"))
    done = run_suite(request, make_context(folder / "store", QuietProgress()), out=folder / "runs")
    return Finished(done.folder, done.result)


def test_the_tables_keep_every_turn(run: Finished) -> None:
    items = read_answers(run.folder, "items")
    assert [turn.model_dump() for turn in items["q1"].history] == conversation(1)[:-1]
    assert items["q1"].input == "No. Could this be asthma?"


def test_examples_show_every_turn(run: Finished) -> None:
    example = next(e for e in run.result.examples if e.sample_id == "q1")
    assert [turn.role for turn in example.history] == ["system", "user", "assistant"]
    write_run_reports(run.result, run.folder)
    page = f"items/{page_of(make_anchor('items', 'q1'))}"
    for name in ("report.html", "report.md", page):
        text = (run.folder / name).read_text()
        assert "Answer a parent." in text
        assert "Does he cough by day too?" in text


def test_another_earlier_turn_is_another_item(run: Finished) -> None:
    hashes = hash_items_of(run.folder, "items")
    assert len(set(hashes.values())) == 8  # the last turns are the same


def test_the_report_counts_conversations(run: Finished) -> None:
    (task,) = run.result.plan.tasks
    assert (task.n_conversations, task.n_own_system) == (8, 4)
    report = (run.folder / "report.md").read_text()
    assert "all conversations, 4 of them with a system prompt of their own" in report


def test_an_answer_that_recites_the_items_own_system_prompt_is_flagged() -> None:
    system = Message(role="system", content="You are a careful assistant who never gives any dose.")
    own = Sample(id="own", input="Why?", row=0, history=(system,))
    samples = (own, Sample(id="none", input="Why?", row=1))
    task = score_task(evasion()).model_copy(update={"samples": samples})
    answers = {s.id: Response(sample_id=s.id, model="m", text=system.content, finish="stop") for s in task.samples}  # fmt: skip
    flags = flag_responses(task, {"m": answers})["m"]
    assert flags == {"own": ("prompt_leak_sentence", "prompt_leak_words"), "none": ()}


def test_inspect_logs_hold_the_messages(run: Finished, tmp_path: Path) -> None:
    log, _ = write_inspect_logs(load_run(run.folder), tmp_path)
    sample = json.loads(log.path.read_text())["samples"][1]
    assert sample["input"] == conversation(1)
    assert [m["role"] for m in sample["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
    ]


def test_no_caveat_says_that_questions_repeat(run: Finished) -> None:
    assert "asked_twice" not in [caveat.code for caveat in run.result.caveats]
