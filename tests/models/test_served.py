"""Stored answers of a model that may have been replaced behind its name."""

import time
from pathlib import Path
from typing import Any

import pytest

from harness.config import EndpointSpec, Generation
from harness.config.request import NOTHING_AGAIN, AskAgain
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.endpoint import Budget, EndpointRefusedError
from harness.models.generate import generate_responses
from harness.models.model_kinds import EndpointModel
from harness.models.served import (
    choose_probes,
    describe_served,
    is_same_answer,
    lists_models,
    vouches,
)
from harness.models.session import EndpointSession
from harness.models.stored_answers import stored_answer_caveats
from harness.types import Sample, Task
from tests.loopback.faults import always
from tests.loopback.server import LoopbackServer

N = 12
OLD, NEW = "rest the knee and cool it", "see a doctor within two days"


class Lines(QuietProgress):
    """A progress display that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)


def make_task(temperature: float = 0.0) -> Task:
    samples = tuple(Sample(id=f"q{i}", input=f"question {i}", row=i) for i in range(N))
    generation = Generation(temperature=temperature, max_new_tokens=20)
    return Task(name="t", source="s", items_hash="0" * 64, n_items=N, system="", generation=generation,
                samples=samples, metrics={})  # fmt: skip


class World:
    """A store, and a server whose answers and list of models can be changed between runs."""

    def __init__(self, folder: Path, server: LoopbackServer) -> None:
        self.folder, self.server = folder, server
        self.log: list[str] = []
        self.caveats: list[str] = []

    def run(
        self,
        *,
        temperature: float = 0.0,
        again: AskAgain = NOTHING_AGAIN,
        budget: Budget | None = None,
        **spec: Any,
    ) -> list[str | None]:
        progress = Lines()
        endpoint = EndpointSpec(model="m", base_url=self.server.base_url, timeout_s=5, **spec)
        with Store(self.folder) as store:
            session = EndpointSession(store, again=again, budget=budget)
            model = EndpointModel("sft", endpoint, session)
            try:
                found = generate_responses(make_task(temperature), model, store, progress)
                return [response.text for response in sorted(found, key=lambda r: r.sample_id)]
            finally:
                self.log = progress.lines
                self.caveats = [caveat.text for caveat in stored_answer_caveats(session)]

    def serve(self, text: str, **fields: object) -> None:
        self.server.reply = lambda body: f"{text}, says {body['messages'][-1]['content']}"
        self.server.models = {"m": fields} if fields else {}

    @property
    def asked(self) -> int:
        return self.server.counts.total()


@pytest.fixture
def world(tmp_path: Path) -> Any:
    with LoopbackServer() as server:
        world = World(tmp_path, server)
        world.serve(OLD)
        yield world


def test_stored_answers_are_probed_where_the_server_cannot_vouch_for_them(world: World) -> None:
    first = world.run()
    assert world.run() == first
    assert world.asked == N + 3
    assert "3 stored answers asked for once more came out the same" in world.log[-1]
    assert time.strftime("%Y-%m-%d", time.gmtime()) in world.log[-1]
    assert world.caveats == []


def test_another_model_behind_the_same_name_ends_the_run(world: World) -> None:
    world.run()
    world.serve(NEW)
    with pytest.raises(HarnessError, match=r"3 of 3 .*otherwise.*--ask-again answers --model sft"):
        world.run()
    assert world.asked == N + 3


def test_asking_again_replaces_every_answer_and_is_then_the_state(world: World) -> None:
    world.run()
    world.serve(NEW)
    answers = world.run(again=AskAgain("answers", "sft"))
    assert all((text or "").startswith(NEW) for text in answers)
    assert world.run() == answers
    assert world.asked == N + N + 3


def test_asking_another_model_again_leaves_this_one(world: World) -> None:
    world.run()
    world.run(again=AskAgain("answers", "other"))
    assert world.asked == N + 3


def test_a_server_that_refuses_loses_no_stored_answer_when_asked_again(world: World) -> None:
    first = world.run()
    world.server.fault = always("401")
    with pytest.raises(EndpointRefusedError):
        world.run(again=AskAgain("answers"))
    assert world.run() == first


def test_a_server_that_vouches_by_its_time_of_creation_is_asked_nothing(world: World) -> None:
    world.serve(OLD, created=1_700_000_000, root="org/model")
    world.run()
    world.run()
    assert world.asked == N
    assert world.server.lists == 2


def test_a_later_creation_is_probed(world: World) -> None:
    world.serve(OLD, created=1_700_000_000)
    world.run()
    world.serve(NEW, created=1_700_000_001)
    with pytest.raises(HarnessError, match="created was 1700000000 and is 1700000001"):
        world.run()


def test_sampled_answers_cannot_be_probed_and_that_is_a_caveat(world: World) -> None:
    world.run(temperature=0.7)
    world.run(temperature=0.7)
    assert world.asked == N
    assert "not checked: its answers are sampled" in world.caveats[0]


def test_sampled_answers_of_another_root_end_the_run(world: World) -> None:
    world.serve(OLD, root="checkpoints/1")
    world.run(temperature=0.7)
    world.serve(NEW, root="checkpoints/2")
    with pytest.raises(HarnessError, match=r"root was checkpoints/1 and is checkpoints/2"):
        world.run(temperature=0.7)


def test_a_revision_has_answers_of_its_own_and_vouches_for_them(world: World) -> None:
    old = world.run(revision="1")
    world.serve(NEW)
    new = world.run(revision="2")
    assert (world.run(revision="1"), world.run(revision="2")) == (old, new)
    assert world.asked == 2 * N


def test_a_server_that_refuses_leaves_all_stored_answers_with_a_caveat(world: World) -> None:
    first = world.run()
    world.server.fault = always("401")
    assert world.run() == first
    assert "not checked" in world.caveats[0]


def test_a_spent_budget_leaves_all_stored_answers_with_a_caveat(world: World) -> None:
    prices = {"input": 1.0, "output": 1.0}
    first = world.run(price_per_million=prices)
    assert world.run(price_per_million=prices, budget=Budget(0.0)) == first
    assert "not checked" in world.caveats[0]


def test_a_killed_run_of_another_model_is_not_completed_by_this_one(world: World) -> None:
    world.run()
    with Store(world.folder) as store:
        keys = [
            k for (k,) in store._connection.execute("SELECT key FROM rows WHERE kind='response'")
        ]
        store.remove("response", keys[:4])
    world.serve(NEW)
    with pytest.raises(HarnessError, match="no longer gives the answers that are stored"):
        world.run()


def test_the_time_of_the_request_vouches_for_nothing() -> None:
    now = f'{{"data": [{{"id": "m", "created": {int(time.time())}, "root": "r"}}]}}'.encode()
    assert describe_served(now, "m") == {"root": "r"}
    assert not vouches({"root": "r"}, {"root": "r"})


@pytest.mark.parametrize(
    "listed",
    [
        *(None, b"", b"<html>", b"[]", b"7", b'{"data": 7}', b'{"data": [7, {"id": "x"}]}'),
        *(b"[" * 100_000, b'{"data": [{"id": "m"}, {"id": "m"}]}', b'{"data": {"id": "m"}}'),
    ],
)
def test_an_odd_list_tells_nothing(listed: bytes | None) -> None:
    assert describe_served(listed, "m") == {}


@pytest.mark.parametrize(
    ("stored", "now", "same"),
    [
        ("yes", "yes", True),
        ("yes\n", "yes", True),
        ("a long answer that ends one way", "a long answer that ends so", True),
        ("yes", "no", False),
        ("one thing", "other things", False),
        ("", "text", False),
    ],
)
def test_answers_that_begin_alike_are_of_one_model(stored: str, now: str, same: bool) -> None:
    assert is_same_answer(stored, now) is same


def test_probes_are_answers_of_about_median_length() -> None:
    assert choose_probes(["x" * n for n in (9, 1, 5, 4, 6, 100, 2)]) == [3, 2, 4]
    assert choose_probes(["a"]) == [0]
    assert choose_probes([]) == []


@pytest.mark.parametrize("page", [None, b"", b"<html>Sign in</html>", b"[]", b'{"data": {}}', b"7"])
def test_a_page_of_something_else_is_no_list_of_models(page: bytes | None) -> None:
    assert not lists_models(page)
    assert lists_models(b'{"object": "list", "data": [{"id": "m"}]}')
