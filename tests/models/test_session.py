from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from harness.config import EndpointSpec
from harness.core.errors import HarnessError
from harness.core.store import Store
from harness.models.batch_files import make_batch_request
from harness.models.endpoint import (
    Ask,
    Budget,
    BudgetSpentError,
    ChatFlow,
    Endpoint,
    Reply,
)
from harness.models.endpoint.addresses import read_address
from harness.models.session import (
    BatchEndpoint,
    EndpointSession,
    PendingRepliesError,
    open_endpoint,
)
from tests.builders.asking import make_ask, upper
from tests.loopback.server import LoopbackServer

DECODINGS: list[dict[str, object]] = [
    {},
    {"temperature": 0.7, "top_p": 0.9, "top_k": 50, "seed": 3},
    {"max_tokens": 9, "structured": "text"},
    {"base_url": "http://LOCALHOST:8000/v1/"},
]


def spec_of(server: LoopbackServer | None = None, **more: object) -> EndpointSpec:
    url = server.base_url if server else "http://localhost:1/v1"
    return EndpointSpec.model_validate({"model": "m", "base_url": url} | more)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def keep_reply(store: Store, spec: EndpointSpec, text: str) -> None:
    said = Reply(
        text=f"by batch: {text}", finish="stop", refusal=None, input_tokens=1, output_tokens=1,
        seconds=0.0, attempts=1,
    )  # fmt: skip
    question = make_batch_request(spec, read_address(spec.base_url), make_ask(text))
    store.put("reply", {question.id: said})


def texts(endpoint: BatchEndpoint | Endpoint, asks: Iterable[Ask]) -> dict[int, str | None]:
    return {number: reply.text for number, reply in endpoint.ask_all(asks)}


@pytest.mark.parametrize("decoding", DECODINGS)
def test_a_judge_asked_by_batch_is_the_same_judge(store: Store, decoding: dict[str, object]):
    spec = spec_of(None, **decoding)
    by_batch = open_endpoint(spec, EndpointSession(store, folder=Path("batch")))
    live = Endpoint(spec)
    assert (by_batch.fingerprint, by_batch.host) == (live.fingerprint, live.host)


def test_no_key_is_needed_to_write_questions(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    spec = EndpointSpec(model="gpt-4o-mini")
    assert (
        open_endpoint(spec, EndpointSession(store, folder=Path("batch"))).host == "api.openai.com"
    )
    with pytest.raises(HarnessError, match="OPENAI_API_KEY"):
        open_endpoint(spec, EndpointSession(store))


def test_stored_replies_are_taken_and_only_the_rest_is_asked(store: Store, tmp_path: Path):
    with LoopbackServer(upper) as server:
        spec = spec_of(server)
        write_one(store, spec, tmp_path, "elsewhere")  # so that batches are in use
        keep_reply(store, spec, "b")
        got = texts(open_endpoint(spec, EndpointSession(store)), map(make_ask, "abc"))
        assert got == {0: "A", 1: "by batch: b", 2: "C"}
        assert server.counts == {"ok": 2}


def test_asks_may_follow_from_stored_and_from_live_replies(store: Store, tmp_path: Path):
    """As a judge asks once more."""

    def ask_again() -> ChatFlow[list[str | None]]:
        replies = []
        for text in ("a", "b", "again"):
            replies.append((yield make_ask(text)))
        return [reply.text for reply in replies]

    with LoopbackServer(upper) as server:
        spec = spec_of(server)
        write_one(store, spec, tmp_path, "elsewhere")
        keep_reply(store, spec, "a")
        endpoint = open_endpoint(spec, EndpointSession(store))
        [(_, heard)] = endpoint.run_flows([ask_again()])
    assert heard == ["by batch: a", "B", "AGAIN"]


def test_what_is_awaited_is_neither_asked_nor_written_again(store: Store, tmp_path: Path):
    with LoopbackServer(upper) as server:
        spec = spec_of(server)
        path = write_one(store, spec, tmp_path, "a")
        for folder in (None, tmp_path / "other"):
            session = EndpointSession(store, folder=folder)
            assert texts(open_endpoint(spec, session), [make_ask("a")]) == {0: None}
            [file] = session.write_pending().files
            assert (file.path, file.questions, file.new) == (path, 1, False)
        assert server.counts.total() == 0
        assert not (tmp_path / "other").exists()


def test_a_lost_question_is_written_again_and_that_is_said(store: Store, tmp_path: Path):
    spec = spec_of()
    Path(write_one(store, spec, tmp_path, "a")).unlink()
    session = EndpointSession(store, folder=tmp_path)
    texts(open_endpoint(spec, session), [make_ask("a"), make_ask("b")])
    pending = session.write_pending()
    assert (pending.questions, pending.repeated) == (2, 1)


def test_a_question_asked_twice_is_written_once(store: Store, tmp_path: Path):
    session = EndpointSession(store, folder=tmp_path)
    texts(open_endpoint(spec_of(), session), map(make_ask, "aab"))
    [file] = session.write_pending().files
    assert file.questions == 2


def test_a_batch_above_the_budget_is_refused_before_a_file_is_written(store: Store, tmp_path: Path):
    spec = spec_of(price_per_million={"input": 1, "output": 1}, max_tokens=1000)
    session = EndpointSession(store, budget=Budget(0.001), folder=tmp_path / "batch")
    texts(open_endpoint(spec, session), map(make_ask, "ab"))
    with pytest.raises(BudgetSpentError, match="may cost up to"):
        session.write_pending()
    assert not (tmp_path / "batch").exists()
    assert store.keys("batch") == []


def test_prices_in_another_currency_than_the_budget_are_refused(store: Store, tmp_path: Path):
    spec = spec_of(price_per_million={"input": 1, "output": 1, "currency": "EUR"})
    with pytest.raises(HarnessError, match="EUR"):
        open_endpoint(spec, EndpointSession(store, budget=Budget(1), folder=tmp_path))


def test_without_batches_nothing_is_looked_up(tmp_path: Path):
    with LoopbackServer(upper) as server:
        with Store(tmp_path / "store") as store:
            session = EndpointSession(store)
            assert len(session.index) == 0
        # The store is closed: a look-up would fail.
        assert texts(open_endpoint(spec_of(server), session), [make_ask("a")]) == {0: "A"}


def write_one(store: Store, spec: EndpointSpec, folder: Path, text: str) -> str:
    """The file into which one question was written."""
    session = EndpointSession(store, folder=folder)
    texts(open_endpoint(spec, session), [make_ask(text)])
    [file] = session.write_pending().files
    return file.path


def test_work_that_awaits_replies_ends_with_its_questions_written_down(tmp_path: Path):
    with Store(tmp_path / "store") as store:
        session = EndpointSession(store, folder=tmp_path / "batch")

        def work() -> None:
            with session.flush_pending():
                list(open_endpoint(spec_of(), session).ask_all([make_ask("a")]))
                session.check_complete()
                raise AssertionError("goes on with half of the replies")

        with pytest.raises(PendingRepliesError) as ending:
            work()
        assert ending.value.pending is not None
        assert ending.value.pending.questions == 1


def test_work_that_awaits_nothing_is_left_alone(tmp_path: Path):
    with Store(tmp_path / "store") as store, EndpointSession(store).flush_pending():
        pass


def test_a_session_forgets_what_earlier_work_waited_for(tmp_path: Path):
    session = EndpointSession(Store(tmp_path / "store"), folder=tmp_path / "batch")
    assert session.store is not None
    with session.store, pytest.raises(PendingRepliesError), session.flush_pending():
        list(open_endpoint(spec_of(), session).ask_all([make_ask("a")]))
    with session.store, session.flush_pending():
        assert not session.has_pending
        assert len(session.index) == 1  # the file that the earlier work wrote
