import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.config import EndpointSpec
from harness.core.errors import HarnessError
from harness.core.store import Store
from harness.models.batch_files import (
    BatchFile,
    BatchIndex,
    BatchRequest,
    make_batch_request,
    write_batch_requests,
)
from harness.models.batch_results import BatchImport, import_batch_results
from harness.models.endpoint import Ask, Reply
from harness.models.endpoint.addresses import read_address
from harness.models.endpoint.replies import read_reply
from harness.models.endpoint.transport import make_body
from harness.types import Message
from reports.batches import describe_import

SPEC = {"model": "gpt-4o-mini", "price_per_million": {"input": 1.0, "output": 2.0}}


def question(text: str = "Why?", **spec: object) -> BatchRequest:
    made = EndpointSpec.model_validate(SPEC | spec)
    ask = Ask((Message(role="user", content=text),))
    return make_batch_request(made, read_address(made.base_url), ask)


def questions(n: int, **spec: object) -> list[BatchRequest]:
    return [question(f"Question {i}?", **spec) for i in range(n)]


def result(q: BatchRequest, text: str | None = "Rest.", **changed: Any) -> dict[str, Any]:
    """A result line as OpenAI and vLLM write it."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "b", "custom_id": q.id, "response": response, "error": None} | changed


def refused(q: BatchRequest, status: int, message: str) -> dict[str, Any]:
    body = {"error": {"message": message, "type": "some_error", "code": None}}
    return result(q, response={"status_code": status, "request_id": "r", "body": body})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


class Desk:
    """A workspace in which some questions were written, and results that come back to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "store"
        (folder / "batch").mkdir()

    def write(self, *asked: BatchRequest) -> list[Path]:
        with Store(self.workspace) as store:
            written = write_batch_requests(asked, self.folder / "batch", BatchIndex(store))
        return [file.path for file in written]

    def collect(self, *lines: dict[str, Any] | str | bytes, end: bytes = b"\n") -> BatchImport:
        raw = [json.dumps(line) if isinstance(line, dict) else line for line in lines]
        content = b"\n".join(r.encode() if isinstance(r, str) else r for r in raw) + end
        (self.folder / "results.jsonl").write_bytes(content)
        return import_batch_results([self.folder / "results.jsonl"], self.workspace)

    def reply(self, q: BatchRequest) -> Reply | None:
        with Store(self.workspace) as store:
            return store.get("reply", [q.id], Reply).get(q.id)

    def awaits(self, q: BatchRequest) -> bool:
        with Store(self.workspace) as store:
            return self.reply_missing(store, q) and BatchIndex(store).pending_in(q.id) is not None

    @staticmethod
    def reply_missing(store: Store, q: BatchRequest) -> bool:
        return not store.get("reply", [q.id], Reply)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# --- writing ---------------------------------------------------------------------------------


def test_a_line_holds_exactly_the_body_that_would_be_posted():
    spec = EndpointSpec.model_validate(SPEC)
    ask = Ask((Message(role="user", content="Wieso hier, Übelkeit?"),), {"type": "json_object"}, 5)
    line = json.loads(make_batch_request(spec, read_address(None), ask).line)
    assert line["body"] == json.loads(make_body(spec, read_address(None), ask))
    assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")


def test_the_same_question_has_the_same_id_and_another_endpoint_another():
    assert question().id == question().id
    others = [question("Who?"), question(model="m"), question(base_url="http://localhost:1/v1")]
    assert len({q.id for q in [question(), *others]}) == 4


def test_a_question_is_one_line_for_every_reader_of_lines():
    assert len(question("a\u2028b\u2029c\u0085d\ne").line.decode().splitlines()) == 1


def test_a_question_costs_at_most_its_bytes_and_the_token_limit():
    asked = question(max_tokens=50)
    body = json.dumps(json.loads(asked.line)["body"], ensure_ascii=False)
    assert asked.max_cost == pytest.approx((len(body.encode()) + 2 * 50) / 1e6)


def test_each_model_and_host_has_its_own_file(store: Store, tmp_path: Path):
    asked = [
        question("a"),
        question("b", model="org/other"),
        question("c"),
        question("a", base_url="http://localhost:8000/v1"),
    ]
    written = write_batch_requests(asked, tmp_path, BatchIndex(store))
    assert {(f.path.name, f.n_requests) for f in written} == {
        ("api.openai.com-gpt-4o-mini-1.jsonl", 2),
        ("api.openai.com-org-other-1.jsonl", 1),
        ("localhost-8000-gpt-4o-mini-1.jsonl", 1),
    }


def test_files_are_split_by_questions(store: Store, tmp_path: Path):
    written = write_batch_requests(questions(7), tmp_path, BatchIndex(store), max_requests=3)
    assert [file.n_requests for file in written] == [3, 3, 1]


def test_files_are_split_by_bytes(store: Store, tmp_path: Path):
    asked = questions(7)
    limit = 2 * len(asked[0].line)
    written = write_batch_requests(asked, tmp_path, BatchIndex(store), max_bytes=limit)
    assert [file.n_requests for file in written] == [2, 2, 2, 1]
    assert all(file.path.stat().st_size <= limit for file in written)
    ids = [
        json.loads(line)["custom_id"] for f in written for line in f.path.read_text().splitlines()
    ]
    assert ids == [q.id for q in asked]


def test_an_earlier_file_is_never_overwritten(store: Store, tmp_path: Path):
    earlier = tmp_path / "api.openai.com-gpt-4o-mini-1.jsonl"
    earlier.write_text("mine")
    (tmp_path / "api.openai.com-gpt-4o-mini-2.part").write_text("another's")
    [file] = write_batch_requests(questions(1), tmp_path, BatchIndex(store))
    assert file.path.name == "api.openai.com-gpt-4o-mini-3.jsonl"
    assert earlier.read_text() == "mine"
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


def test_a_written_question_is_awaited_until_its_file_is_gone(desk: Desk):
    asked = question()
    [path] = desk.write(asked)
    assert desk.awaits(asked)
    path.unlink()
    assert not desk.awaits(asked)


def test_a_register_is_the_same_when_read_again(store: Store, tmp_path: Path):
    first, second = questions(2)
    write_batch_requests([first], tmp_path, BatchIndex(store))
    write_batch_requests([second], tmp_path, BatchIndex(store))
    register = BatchIndex(store)
    assert first.id in register
    assert second.id in register
    assert register.pending_by_file() == {
        tmp_path / "api.openai.com-gpt-4o-mini-1.jsonl": 1,
        tmp_path / "api.openai.com-gpt-4o-mini-2.jsonl": 1,
    }


def test_a_question_registered_but_not_yet_in_its_file_is_lost_and_not_awaited(store: Store):
    # What a kill between the two leaves behind.
    store.put("batch", {"0": BatchFile(path="/nowhere/x-1.jsonl", ids=(question().id,))})
    register = BatchIndex(store)
    assert register.pending_in(question().id) is None
    assert register.is_lost(question().id)


# --- reading ---------------------------------------------------------------------------------


def test_thoughts_given_apart_come_with_a_reply(desk: Desk):
    asked = question()
    desk.write(asked)
    line = result(asked)
    line["response"]["body"]["choices"][0]["message"]["reasoning_content"] = "The knee."
    desk.collect(line)
    reply = desk.reply(asked)
    assert reply is not None
    assert (reply.text, reply.thoughts) == ("Rest.", "The knee.")


def test_a_reply_is_read_as_a_live_one(desk: Desk):
    asked = question()
    desk.write(asked)
    line = result(asked, "Rest \ud83d\ude42 and ice.")
    assert desk.collect(line).complete
    live = read_reply(200, {}, json.dumps(line["response"]["body"]).encode())
    stored = desk.reply(asked)
    assert stored is not None
    for name in ("text", "finish", "refusal", "input_tokens", "output_tokens", "problem", "detail"):
        assert getattr(stored, name) == getattr(live, name)
    assert (stored.seconds, stored.attempts) == (0.0, 1)


def test_results_come_in_any_order_and_what_is_missing_stays_awaited(desk: Desk):
    asked = questions(5)
    [path] = desk.write(*asked)
    collected = desk.collect(*(result(q) for q in reversed(asked[1:])))
    assert collected.replies == 4
    assert collected.awaited == {str(path.resolve()): 1}
    assert desk.awaits(asked[0])


def test_a_duplicate_is_counted_and_changes_nothing(desk: Desk):
    asked = question()
    desk.write(asked)
    collected = desk.collect(result(asked, "first"), result(asked, "second"))
    assert (collected.replies, collected.known, collected.differing) == (1, 1, 1)
    again = desk.collect(result(asked, "third"), result(asked, "first"))
    assert (again.replies, again.known, again.differing, again.complete) == (0, 2, 1, True)
    assert "  1 of the already imported say something else" in "\n".join(describe_import(again))
    stored = desk.reply(asked)
    assert stored is not None
    assert stored.text == "first"


def named(line: dict[str, Any], model: str) -> dict[str, Any]:
    line["response"]["body"]["model"] = model
    return line


def test_a_reply_of_another_family_of_models_is_no_reply(desk: Desk):
    asked = question()  # of gpt-4o-mini
    desk.write(asked)
    collected = desk.collect(named(result(asked), "claude-3-haiku"))
    [failure] = collected.failed
    assert failure.kind == "another model"
    assert "'claude-3-haiku' answers where 'gpt-4o-mini' was asked" in failure.detail
    assert (collected.replies, collected.reopened, collected.complete) == (0, 1, False)
    assert desk.reply(asked) is None


@pytest.mark.parametrize(
    ("spec", "answered"),
    [({}, "gpt-4o-mini-2024-07-18"), ({}, "deployment-7"), ({"answers_as": "claude"}, "claude-3")],
)
def test_a_reply_keeps_the_name_under_which_the_model_answered(
    desk: Desk, spec: dict[str, str], answered: str
):
    asked = question(**spec)
    desk.write(asked)
    assert desk.collect(named(result(asked), answered)).complete
    stored = desk.reply(asked)
    assert stored is not None
    assert stored.model == answered


def test_a_compressed_file_is_named_once(desk: Desk):
    asked = questions(9)
    desk.write(*asked)
    lines = gzip.compress(b"\n".join(json.dumps(result(q)).encode() for q in asked))
    collected = desk.collect(lines)
    assert collected.malformed == (
        f"{desk.folder / 'results.jsonl'}: is compressed; unpack it first",
    )


def test_foreign_lines_are_counted_and_not_kept(desk: Desk):
    asked, foreign = questions(2)
    desk.write(asked)
    collected = desk.collect(result(foreign), result(asked))
    assert (collected.replies, collected.foreign, collected.complete) == (1, 1, False)
    assert desk.reply(foreign) is None


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda q: refused(q, 429, "slow down"), "HTTP 429", "slow down"),
        (lambda q: refused(q, 500, "oops"), "HTTP 500", "oops"),
        (lambda q: refused(q, 400, "no such field"), "HTTP 400", "no such field"),
        (
            lambda q: result(q, response=None, error={"code": "batch_expired", "message": "late"}),
            "batch_expired",
            "late",
        ),
        (  # as vLLM writes it
            lambda q: result(
                q,
                response={"status_code": 500, "request_id": "r", "body": None},
                error={"error": {"message": "engine died", "type": "Internal", "code": 500}},
            ),
            "HTTP 500",
            "engine died",
        ),
        (
            lambda q: result(q, response={"status_code": 200, "body": {"id": "x"}}),
            "garbage",
            "no choices in the answer",
        ),
        (lambda q: result(q, error="broken"), "error", ""),
    ],
)
def test_a_failed_line_is_no_reply_and_is_open_again(desk: Desk, change: Any, kind: str, said: str):
    asked = question()
    desk.write(asked)
    collected = desk.collect(change(asked))
    [failure] = collected.failed
    assert (failure.kind, failure.n, failure.detail) == (kind, 1, said)
    assert (collected.replies, collected.reopened, collected.complete) == (0, 1, False)
    assert desk.reply(asked) is None
    assert not desk.awaits(asked)


def test_a_question_too_long_for_the_model_is_answered_by_that(desk: Desk):
    asked = question()
    desk.write(asked)
    line = refused(asked, 400, "This model's maximum context length is 8192 tokens.")
    assert desk.collect(line).complete
    stored = desk.reply(asked)
    assert stored is not None
    assert (stored.text, stored.problem) == (None, "context_length")


def test_a_reply_counts_wherever_a_failure_of_the_same_question_stands(desk: Desk):
    asked = question()
    desk.write(asked)
    collected = desk.collect(refused(asked, 429, "slow"), result(asked))
    assert (collected.replies, collected.known, collected.complete) == (1, 1, True)


def test_failures_are_counted_by_kind(desk: Desk):
    asked = questions(5)
    desk.write(*asked)
    busy = [refused(q, 429, f"slow down {i}") for i, q in enumerate(asked[:3])]
    collected = desk.collect(*busy, refused(asked[3], 500, "oops"), result(asked[4]))
    assert [(f.kind, f.n) for f in collected.failed] == [("HTTP 429", 3), ("HTTP 500", 1)]
    said = list(describe_import(collected))
    assert said[0] == "1 new reply, 4 failed"
    assert "  HTTP 429 (3): slow down 0" in said


def test_an_old_failure_does_not_open_what_was_written_again(desk: Desk):
    asked = question()
    desk.write(asked)
    failure = refused(asked, 429, "slow")
    desk.collect(failure)
    desk.write(asked)
    collected = desk.collect(failure)
    assert collected.reopened == 0
    assert desk.awaits(asked)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"custom_id": "' + b"0" * 64 + b'", "response": {"sta', "is no JSON"),
        (b'{"custom_id": "\xff\xfe"}', "is not UTF-8"),
        (b"[1, 2]", "has no custom_id"),
        (b'{"custom_id": 7}', "has no custom_id"),
        (b'{"custom_id": "x", "response": null, "error": null}', "neither a response"),
        (b'{"custom_id": "x", "response": {"status_code": true}}', "neither a response"),
        (b"[" * 100_000, "is no JSON"),
    ],
)
def test_a_malformed_line_names_file_and_line(desk: Desk, line: bytes, why: str):
    asked = question()
    desk.write(asked)
    collected = desk.collect(result(asked), "", line)
    [said] = collected.malformed
    assert said.startswith(f"{desk.folder / 'results.jsonl'}:3: ")
    assert why in said
    assert (collected.replies, collected.complete) == (1, False)


def test_half_a_line_at_the_end_is_open_again_if_it_tells_whose_it_is(desk: Desk):
    first, second = questions(2)
    desk.write(first, second)
    half = json.dumps(result(second))[:120]
    collected = desk.collect(result(first), half, end=b"")
    assert "it breaks off" in collected.malformed[0]
    assert collected.reopened == 1
    assert not desk.awaits(second)


def test_a_file_of_questions_is_not_taken_for_results(desk: Desk):
    asked = question()
    [path] = desk.write(asked)
    collected = import_batch_results([path], desk.workspace)
    assert "is a question, not its reply" in collected.malformed[0]
    assert desk.awaits(asked)


def test_a_missing_file_is_named_and_nothing_is_kept(desk: Desk):
    asked = question()
    desk.write(asked)
    there = desk.folder / "there.jsonl"
    there.write_text(json.dumps(result(asked)))
    with pytest.raises(HarnessError, match=r"gone\.jsonl: cannot be read"):
        import_batch_results([there, desk.folder / "gone.jsonl"], desk.workspace)
    assert desk.reply(asked) is None


def test_what_a_service_says_cannot_paint_the_terminal(desk: Desk):
    asked = question()
    desk.write(asked)
    error = {"code": "\x1b[31mred", "message": "\x1b[2Jgone\nnext"}
    said = "\n".join(describe_import(desk.collect(result(asked, response=None, error=error))))
    assert "\x1b" not in said
    assert "gone next" in said
