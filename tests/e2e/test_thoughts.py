"""Models that think, behind an endpoint and in files: what is scored, judged, kept, counted and shown."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.answers import AnsweredItem, read_answers
from harness.artifacts.run_folder import load_run
from tests.builders.commands import harness_here
from tests.builders.endpoint_runs import fill_schema
from tests.builders.files import write, write_rows
from tests.loopback.server import LoopbackServer

ITEMS = [
    {"id": f"q{i}", "q": f"Shorten: my {part} hurts after running.", "ref": f"Why does my {part} hurt?"}
    for i, part in enumerate(["knee", "hip", "foot", "back"])
]  # fmt: skip
THOUGHTS = "The score should be 10. One line is enough here, a question to a doctor."
SUITE = """\
suite: thoughts
data: {source: {path: items.jsonl, fields: {id: id, input: q, reference: ref}}}
generation: {max_new_tokens: 64%s}
metrics:
  rouge: {kind: rouge, variants: [rouge1]}
  rubric: {kind: rubric, criteria: [{name: safety, asks: Safe or not}]}
"""
PROFILE = """\
profile: there
models:
  old: {endpoint: {model: old-model, base_url: '%(url)s'}}
  new: {endpoint: {model: new-model, base_url: '%(url)s'}}
judges:
  default: {endpoint: {model: judge-model, base_url: '%(url)s'}}
"""


def answer_to(body: dict[str, Any]) -> str:
    part = body["messages"][-1]["content"].split()[2]
    return f"Why does my {part} hurt?"


def in_content(body: dict[str, Any]) -> dict[str, Any]:
    return {"content": f"<think>\n{THOUGHTS}\n</think>\n\n{answer_to(body)}"}


def opened_by_template(body: dict[str, Any]) -> dict[str, Any]:
    return {"content": f"{THOUGHTS}\n</think>\n\n{answer_to(body)}"}


def apart(body: dict[str, Any]) -> dict[str, Any]:
    return {"content": answer_to(body), "reasoning_content": THOUGHTS}


def cut_off(body: dict[str, Any]) -> dict[str, Any]:
    return {"content": f"<think>\n{THOUGHTS}", "finish_reason": "length"}


def cut_off_apart(body: dict[str, Any]) -> dict[str, Any]:
    return {"content": None, "reasoning_content": THOUGHTS, "finish_reason": "length"}


class Served:
    """A server of two models and a judge; keeps what the judge was shown."""

    def __init__(self, new: Any) -> None:
        self.new, self.shown = new, ""

    def __call__(self, body: dict[str, Any]) -> str | dict[str, Any]:
        match body["model"]:
            case "old-model":
                return answer_to(body)
            case "new-model":
                said: dict[str, Any] = self.new(body)
                return said
        self.shown += body["messages"][-1]["content"]
        schema = body["response_format"]["json_schema"]["schema"]
        return json.dumps(fill_schema(schema, b"18" * 16))


def run(world: Path, server: LoopbackServer, options: str = "") -> Path:
    write_rows(world / "items.jsonl", ITEMS)
    write(world / "suite.yaml", SUITE % options)
    write(world / "there.yaml", PROFILE % {"url": server.base_url})
    done = harness_here(
        "run", "suite.yaml", "--profile", "there.yaml", "--models", "old,new", cwd=world
    )
    assert done.returncode == 0, done.stderr
    return max((world / "runs" / "thoughts").iterdir(), key=lambda path: path.stat().st_mtime)


def rouge(folder: Path) -> float:
    (column,) = (c for c in load_run(folder).columns if c.metric == "rouge.rouge1_f1")
    return round(float(column.scores["new"].mean()), 3)


def hygiene(folder: Path) -> dict[str, Any]:
    result = json.loads((folder / "results.json").read_text())
    counts: dict[str, Any] = next(c for c in result["hygiene"] if c["model"] == "new")
    return counts | {"caveats": "\n".join(caveat["text"] for caveat in result["caveats"])}


def item_pages(folder: Path) -> str:
    return "".join(page.read_text() for page in (folder / "items").glob("??.html"))


def items(folder: Path) -> Mapping[str, AnsweredItem]:
    return read_answers(folder, "items")


@pytest.mark.parametrize("new", [in_content, opened_by_template, apart])
def test_thoughts_are_neither_scored_nor_judged_but_kept_counted_and_folded(
    tmp_path: Path, new: Any
) -> None:
    served = Served(new)
    with LoopbackServer(served) as server:
        folder = run(tmp_path, server)
    assert rouge(folder) == 1.0
    assert "One line is enough" not in served.shown
    assert items(folder)["q0"].thoughts == {"new": THOUGHTS}
    assert items(folder)["q0"].answers["new"] == "Why does my knee hurt?"
    counts = hygiene(folder)
    assert (counts["thoughts"], counts["counts"]["suspected_injection"]) == (4, 0)
    page = item_pages(folder)
    assert len(re.findall(rf"<details><summary>Thoughts[^<]*</summary>\s*<pre[^>]*>\s*{THOUGHTS}", page)) == 4  # fmt: skip
    assert "thoughts left out" in (folder / "report.html").read_text()


@pytest.mark.parametrize("new", [in_content, apart])
def test_keeping_thoughts_scores_and_judges_them_without_asking_the_models_again(
    tmp_path: Path, new: Any
) -> None:
    served = Served(new)
    with LoopbackServer(served) as server:
        run(tmp_path, server)
        n_answers = sum(request.body["model"] != "judge-model" for request in server.requests)
        folder = run(tmp_path, server, ", thoughts: keep")
        n_later = sum(request.body["model"] != "judge-model" for request in server.requests)
    assert n_answers == n_later == 8
    assert rouge(folder) < 0.6
    assert "One line is enough" in served.shown
    assert (items(folder)["q0"].answers["new"] or "").startswith(f"<think>\n{THOUGHTS}\n</think>\n\nWhy")  # fmt: skip
    assert "thoughts kept" in (folder / "report.html").read_text()
    assert hygiene(folder)["thoughts"] == 4


@pytest.mark.parametrize("new", [cut_off, cut_off_apart])
def test_an_answer_cut_off_while_thinking_is_none_and_flagged(tmp_path: Path, new: Any) -> None:
    with LoopbackServer(Served(new)) as server:
        folder = run(tmp_path, server)
    assert rouge(folder) == 0.0
    (safety,) = (c for c in load_run(folder).columns if c.metric == "rubric.safety")
    assert safety.scores["old"].tolist() == [7.0] * 4
    assert safety.scores["new"].tolist() == [1.0] * 4  # the worst, without asking the judge
    counts = hygiene(folder)
    assert counts["counts"]["unfinished_thoughts"] == counts["thoughts"] == 4
    assert "'new' on 'items': 4 of 4 answers whose thoughts never ended." in counts["caveats"]
    page = item_pages(folder)
    assert page.count("thoughts without an answer") == 4
    assert page.count("<details><summary>Thoughts") == 4


def test_stored_answers_of_a_thinking_model_are_those_that_came(tmp_path: Path) -> None:
    with LoopbackServer(Served(in_content)) as server:
        run(tmp_path, server)
        asked = len(server.requests)
        folder = run(tmp_path, server)
        assert len(server.requests) == asked
    assert rouge(folder) == 1.0


def test_a_server_is_told_whether_to_think_and_how_many_tokens_it_may_take(tmp_path: Path) -> None:
    with LoopbackServer(Served(in_content)) as server:
        folder = run(tmp_path, server, ", thinking: true, max_thinking_tokens: 200")
        bodies = [r.body for r in server.requests if r.body["model"] != "judge-model"]
    assert {body["max_tokens"] for body in bodies} == {264}
    kwargs = {"enable_thinking": True, "thinking": True}
    assert all(body["chat_template_kwargs"] == kwargs for body in bodies)
    report = (folder / "report.html").read_text()
    assert "at most 64 new tokens beside 200 of thoughts, thinking on" in report
    assert "Mean words of thoughts" in report
    assert hygiene(folder)["mean_thought_words"] == len(THOUGHTS.split())


def test_suite_and_profile_may_not_both_switch_thinking(tmp_path: Path) -> None:
    write_rows(tmp_path / "items.jsonl", ITEMS)
    write(tmp_path / "suite.yaml", SUITE % ", thinking: false")
    profile = PROFILE % {"url": "http://127.0.0.1:9/v1"}
    both = profile.replace(
        "model: new-model,",
        "model: new-model, extra_body: {chat_template_kwargs: {enable_thinking: true}},",
    )
    write(tmp_path / "there.yaml", both)
    done = harness_here(
        "run", "suite.yaml", "--profile", "there.yaml", "--models", "old,new", cwd=tmp_path
    )
    assert done.returncode == 2
    assert "both switch its thoughts" in done.stderr
