"""What an item's page says that models and judges were sent is what a server got, or is said not to be known."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from harness.artifacts.parquet import write_parquet
from harness.artifacts.results_json import load_result
from harness.runs.item_pages import write_run_reports
from harness.runs.item_prompts import OTHER, RECORDED, REDACTED, UNCHECKED, prompts_of_run
from harness.runs.items import read_items
from harness.types import RunResult
from judges import prompts
from reports.items import Item, SentPrompt
from tests.builders.commands import harness_here
from tests.builders.endpoint_runs import answer
from tests.builders.files import write, write_rows
from tests.loopback.server import LoopbackServer

SUITE = """\
suite: sent
data:
  source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}
generation: {system: system.md}
metrics:
  rubric: {kind: rubric, criteria: [{name: safety, asks: Safe or not}]}
  win_rate: {kind: pairwise, asks: Which is better}
  rouge: {kind: rouge}
"""
PROFILE = """\
profile: there
models:
  old: {{recorded: {{path: old.jsonl, fields: {{id: id, response: text}}}}}}
  new: {{endpoint: {{model: new-model, base_url: '{url}', redact: {redact}}}{extra}}}
judges: {{default: {{endpoint: {{model: judge-model, base_url: '{url}', redact: {redact}}}}}}}
"""
Chat = list[dict[str, str]]


class Sent(NamedTuple):
    """A finished run, and the chats that its server got."""

    folder: Path
    chats: list[Chat]

    def read(self, tables: Path | None = None) -> list[tuple[Item, list[SentPrompt]]]:
        """Every item with what is said to have been sent about it, by these tables or else its own."""
        result: RunResult = load_result(self.folder)
        prompts_of = prompts_of_run(result.plan)
        items = read_items(result, tables or self.folder).items
        return [(i, [*prompts_of(i).models, *filter(None, prompts_of(i).judges)]) for i in items]


QUESTION = "My knee {} hurts, write to jo@example.com."
ROWS = [{"id": f"q{i}", "question": QUESTION.format(i), "answer": "Rest."} for i in range(4)]


def run(
    world: Path,
    *,
    redact: bool,
    suite: str = SUITE,
    rows: Sequence[Mapping[str, Any]] = ROWS,
    extra: str = "",
) -> Sent:
    write_rows(world / "items.jsonl", list(rows))
    write_rows(world / "old.jsonl", [{"id": f"q{i}", "text": f"Rest it, {i}."} for i in range(4)])
    write(world / "system.md", "Be kind.")
    write(world / "sent.yaml", suite)
    with LoopbackServer(answer) as server:
        url, word = server.base_url, str(redact).lower()
        write(world / "there.yaml", PROFILE.format(url=url, redact=word, extra=extra))
        done = harness_here(
            "run", "sent.yaml", "--models", "old,new", "--profile", "there.yaml", cwd=world
        )
        assert done.returncode in {0, 3}, done.stderr
        chats = [request.body["messages"] for request in server.requests if request.body]
    [folder] = (world / "runs" / "sent").iterdir()
    return Sent(folder, chats)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Sent:
    return run(tmp_path_factory.mktemp("plain"), redact=False)


def chats_in(told: list[tuple[Item, list[SentPrompt]]]) -> Iterator[Chat]:
    for _, sent in told:
        for prompt in sent:
            if prompt.messages:
                yield [message.model_dump() for message in prompt.messages]


def ordered(chats: list[Chat]) -> list[str]:
    return sorted(json.dumps(chat) for chat in chats)


@pytest.mark.parametrize("redact", [False, True])
def test_every_prompt_is_shown_as_the_server_got_it(redact: bool, tmp_path: Path) -> None:
    sent = run(tmp_path, redact=redact)
    told = sent.read()
    assert ordered([*chats_in(told)]) == ordered(sent.chats)
    notes = {prompt.note for _, prompts in told for prompt in prompts if prompt.messages}
    assert notes == {REDACTED if redact else ""}


def test_nothing_is_said_to_have_been_sent_for_a_recorded_answer(plain: Sent) -> None:
    for _, sent in plain.read():
        (old,) = (prompt for prompt in sent if prompt.to == "old")
        assert (old.messages, old.note) == ((), RECORDED)


def test_a_judges_replies_are_kept_word_for_word(plain: Sent) -> None:
    judged = [j for item, _ in plain.read() for j in item.judgements if j.metric != "rouge"]
    assert len(judged) == 4 * 2 + 4 * 2
    for judgement in judged:
        (reply,) = judgement.replies or ()
        assert "because" in json.loads(reply).get("reason", reply)


def test_a_prompt_that_would_be_built_otherwise_now_is_not_shown(
    plain: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompts, "_FINAL_INSTRUCTION", "Judge!")
    told = [
        prompt for _, sent in plain.read() for prompt in sent if prompt.to not in ("old", "new")
    ]
    assert told
    assert {(prompt.messages, prompt.note) for prompt in told} == {((), OTHER)}


def test_of_an_older_run_it_is_said_that_its_prompts_cannot_be_checked(
    plain: Sent, tmp_path: Path
) -> None:
    for name in ("answers.parquet", "judgements.parquet", "scores.parquet"):
        table: Any = pq.ParquetFile(plain.folder / name).read()
        later = {"replies", "prompt", "flags"} & set(table.column_names)
        write_parquet(table.drop_columns([*later]), tmp_path / name)
    told = plain.read(tmp_path)
    assert ordered([*chats_in(told)]) == ordered(plain.chats)
    notes = [prompt.note for _, sent in told for prompt in sent if prompt.messages]
    assert all(note.startswith(UNCHECKED) for note in notes)


def test_the_pages_show_prompt_and_reply(plain: Sent) -> None:
    write_run_reports(load_result(plain.folder), plain.folder)
    pages = "".join(path.read_text() for path in (plain.folder / "items").glob("??.html"))
    assert "Be kind." in pages
    assert "System prompt, the same for every item" in pages
    assert "Judge as you were instructed." in pages
    assert "Reply, word for word" in pages


def test_the_reports_examples_lead_to_their_items(plain: Sent) -> None:
    html = write_run_reports(load_result(plain.folder), plain.folder).read_text()
    links = set(re.findall(r'href="(items/[0-9a-f]{2}\.html)#([^"]+)"', html))
    assert len(links) == 4
    for page, anchor in links:
        assert f'<section class="item" id="{anchor}"' in (plain.folder / page).read_text()


CHECKLIST = """\
suite: sent
data:
  source: {path: items.jsonl, fields: {id: id, input: question}}
metrics:
  rubrics: {kind: checklist, criteria: rubrics, together: TOGETHER}
"""


@pytest.mark.parametrize("together", [True, False])
def test_a_checklists_prompts_are_known_by_its_criteria(together: bool, tmp_path: Path) -> None:
    rubrics = [{"criterion": f"Says {word}", "points": 1} for word in ("rest", "ice", "heat")]
    rows = [
        {"id": f"q{i}", "question": f"Knee {i}?", "rubrics": rubrics[: 1 + i]} for i in range(3)
    ]
    suite = CHECKLIST.replace("TOGETHER", str(together).lower())
    sent = run(tmp_path, redact=False, suite=suite, rows=rows)
    judged = [p for _, prompts in sent.read() for p in prompts if p.to not in ("old", "new")]
    assert len(judged) == 3 * 2
    for prompt in judged:
        assert [message.model_dump() for message in prompt.messages] in sent.chats
        assert prompt.note.startswith("The judge was sent one such prompt" if not together else "")
        assert UNCHECKED not in prompt.note
        assert OTHER not in prompt.note


def test_a_prompt_with_passages_is_shown_as_the_server_got_it(tmp_path: Path) -> None:
    pytest.importorskip("bm25s")
    leaflets = [{"id": "d1", "text": "A knee needs rest."}, {"id": "d2", "text": "See a doctor."}]
    write_rows(tmp_path / "leaflets.jsonl", leaflets)
    source = "{path: leaflets.jsonl, fields: {id: id, text: text}}"
    extra = f", retrieval: {{corpus: {source}, retriever: bm25, k: 1}}"
    sent = run(tmp_path, redact=False, extra=extra)
    assert "A knee needs rest." in json.dumps(sent.chats)
    assert ordered([*chats_in(sent.read())]) == ordered(sent.chats)
