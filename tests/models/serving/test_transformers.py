"""The real `transformers serve` answers for a checkpoint: checked, asked, and lost in the middle."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.config import Generation, ServeSpec, Source
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.endpoint import Ask, ask_once
from harness.models.generate import generate_responses
from harness.models.local import LocalModel, make_prompt
from harness.models.model_folder import fingerprint_model
from harness.models.model_kinds import CheckpointModel, Model, ServedCheckpoint, serve_checkpoint
from harness.models.serving.chat_format import Weights
from harness.models.serving.engines import command_line, engine_environment, find_engine
from harness.models.serving.process import EngineProcess, free_port
from harness.models.serving.servers import Servers
from harness.models.session import EndpointSession
from harness.training.context import TrainedModel, make_context
from harness.training.sampling import sample_gold_pairs
from harness.types import Response, Sample, Task
from judges.local import LocalBackend
from judges.served_checkpoint import ServedBackend
from tests.builders.files import write
from tests.builders.processes import running_with
from tests.builders.tiny import make_tiny_model
from trainers.recipe import GoldPairsRecipe, Parent

pytest.importorskip("fastapi", reason="`transformers serve` needs transformers[serving]")

ENGINE = ServeSpec(engine="transformers")
QUESTIONS = (
    "Could this be asthma?",
    "Say when to see a doctor.",
    "cough " * 200,
    "Could this be asthma?",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def running(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSpec]:
    """A server that somebody else runs on the folder."""
    port = free_port()
    command = command_line(find_engine("transformers"), ENGINE, str(folder), "", port)
    log = tmp_path_factory.mktemp("log") / "server.log"
    server = EngineProcess("server", command, engine_environment({}), port, log)
    server.wait_healthy(300)
    base_url = f"http://127.0.0.1:{port}/v1"
    yield ServeSpec(engine="transformers", base_url=base_url, model=str(folder))
    server.stop()


def task(**generation: float) -> Task:
    samples = tuple(Sample(id=f"q{i}", input=text, row=i) for i, text in enumerate(QUESTIONS))
    return Task(
        name="questions", source="s", items_hash="", n_items=len(samples), samples=samples,
        generation=Generation(max_new_tokens=12).model_copy(update=generation),
        system="Be brief.", metrics={},
    )  # fmt: skip


def answers(model: Model, store: Store, asked: Task) -> dict[str, Response]:
    found = generate_responses(asked, model, store, QuietProgress())
    return {response.sample_id: response for response in found}


def served(
    folder: Path, serve: ServeSpec, session: EndpointSession
) -> CheckpointModel | ServedCheckpoint:
    model = CheckpointModel("m", folder, fingerprint_model(folder))
    return serve_checkpoint(model, serve, session)


def test_a_started_engine_answers_as_this_process_does(folder: Path, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        session = EndpointSession(store)
        here = answers(CheckpointModel("m", folder, fingerprint_model(folder)), store, task())
        model = served(folder, ENGINE, session)
        there = answers(model, store, task())
        sampled = answers(model, store, task(temperature=1.0))
        session.servers.close()
    assert there == here
    assert (there["q2"].reason or "").startswith("the prompt has")
    assert sampled["q0"].text != here["q0"].text
    assert running_with(str(folder)) == []


def test_a_server_that_runs_is_checked_and_left_running(
    folder: Path, running: ServeSpec, tmp_path: Path
) -> None:
    with Store(tmp_path) as store:
        session = EndpointSession(store)
        assert answers(served(folder, running, session), store, task())["q0"].text
        session.servers.close()
    assert running_with(str(folder)) != []


def test_a_server_with_other_weights_is_refused(
    folder: Path, running: ServeSpec, tmp_path: Path
) -> None:
    other = make_tiny_model(tmp_path / "other", seed=1)
    with Store(tmp_path) as store, pytest.raises(HarnessError, match="it holds other weights"):
        answers(served(other, running, EndpointSession(store)), store, task())


@pytest.mark.parametrize("check", ["answers", "prompts"])
def test_a_server_with_another_chat_template_is_refused(
    folder: Path, running: ServeSpec, tmp_path: Path, check: str
) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    template = other / "chat_template.jinja"
    template.write_text(template.read_text() + "{{ 'Well,' if add_generation_prompt }}")
    serve = running.model_copy(update={"check": check})
    with Store(tmp_path) as store, pytest.raises(HarnessError, match="holds another one of them"):
        answers(served(other, serve, EndpointSession(store)), store, task())


@pytest.mark.slow
def test_an_engine_lost_in_the_middle_costs_no_answer_twice(folder: Path, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        session = EndpointSession(store)
        model = served(folder, ENGINE, session)
        assert isinstance(model, ServedCheckpoint)
        stream = generate_responses(task(), model, store, QuietProgress())
        first = [next(stream) for _ in range(2)]  # the one too long, and the first answer
        process = model.open().process
        assert process is not None
        subprocess.run(["pkill", "-9", "-P", str(process._process.pid)], check=True)
        with pytest.raises(InfrastructureError, match=r"transformers .* ended while it was asked"):
            list(stream)
        kept = len(store.keys("response"))
        again = answers(model, store, task())  # which starts the engine anew
        session.servers.close()
    assert kept == 2
    assert all(again[response.sample_id] == response for response in first)
    assert again["q1"].text


def test_a_served_judge_replies_as_one_in_this_process(
    folder: Path, running: ServeSpec, tmp_path: Path
) -> None:
    ask = Ask(make_prompt(None, "Is it safe?"))
    fingerprint = fingerprint_model(folder)
    here = LocalBackend(fingerprint, lambda: LocalModel.load(folder), max_new_tokens=9)
    with Store(tmp_path) as store:
        weights = Weights(str(folder), None, fingerprint)
        there = ServedBackend(weights, running, Servers(store), max_tokens=9)
        replies = [dict(backend.run_flows([ask_once(ask)]))[0] for backend in (here, there)]
    assert replies[0].text == replies[1].text
    assert here.fingerprint != there.fingerprint


def test_a_served_judge_that_is_asked_nothing_starts_no_engine(tmp_path: Path) -> None:
    nowhere = Weights(str(tmp_path / "none"), None, "0")
    with Store(tmp_path) as store:
        backend = ServedBackend(
            nowhere, ServeSpec(engine="transformers"), Servers(store), max_tokens=9
        )
        assert list(backend.run_flows([])) == []


def test_a_served_parent_gives_the_pairs_of_one_in_this_process_under_another_key(
    folder: Path, running: ServeSpec, tmp_path: Path
) -> None:
    write(tmp_path / "rows.jsonl", '{"q": "Is it safe?", "a": "Yes, it is."}\n')
    source = Source(path="rows.jsonl", fields={"input": "q", "reference": "a"})
    recipe = GoldPairsRecipe(
        recipe="own", method="gold_pairs", parent=Parent(checkpoint=str(folder)), data=source,
        generation=Generation(max_new_tokens=8),
    )  # fmt: skip
    parent = TrainedModel(str(folder), fingerprint_model(folder))
    context = make_context(tmp_path / "store", QuietProgress())
    with context.open():
        here = sample_gold_pairs(recipe, tmp_path, parent, context)
        by_server = recipe.model_copy(update={"serve": running})
        there = sample_gold_pairs(by_server, tmp_path, parent, context)
    assert there.pairs == here.pairs
    assert there.place != here.place
