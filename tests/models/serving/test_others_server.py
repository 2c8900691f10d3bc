"""A server that somebody else runs: the same model from the first answer to the last, or no answer is kept."""

from pathlib import Path

import pytest

from harness.config import Generation
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.generate import generate_responses
from harness.models.model_folder import fingerprint_model
from harness.models.model_kinds import CheckpointModel, serve_checkpoint
from harness.models.serving.check import PROBES
from harness.models.session import EndpointSession
from harness.types import Response, Sample, Task
from tests.builders.checkpoint_server import CheckpointServer
from tests.builders.tiny import make_tiny_model

QUESTIONS = ("Could this be asthma?", "Say when to see a doctor.", "Is fever bad?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("other"), seed=1)


def answer(folder: Path, server: CheckpointServer, store: Store) -> list[Response]:
    samples = tuple(Sample(id=f"q{i}", input=text, row=i) for i, text in enumerate(QUESTIONS))
    task = Task(
        name="questions", source="s", items_hash="", n_items=len(samples), samples=samples,
        generation=Generation(max_new_tokens=6), system="Be brief.", metrics={},
    )  # fmt: skip
    model = CheckpointModel("m", folder, fingerprint_model(folder))
    served = serve_checkpoint(model, server.serve, EndpointSession(store))
    return [*generate_responses(task, served, store, QuietProgress())]


def test_a_server_is_checked_before_and_behind_its_answers(folder: Path, tmp_path: Path) -> None:
    with Store(tmp_path) as store, CheckpointServer(folder) as server:
        assert len(answer(folder, server, store)) == len(QUESTIONS)
        assert server.n_asked == 2 * len(PROBES) + len(QUESTIONS)
        assert len(answer(folder, server, store)) == len(QUESTIONS)
        assert server.n_asked == 2 * len(PROBES) + len(QUESTIONS)  # all are stored


def test_answers_of_a_server_that_holds_another_model_by_the_end_are_not_kept(
    folder: Path, other: Path, tmp_path: Path
) -> None:
    started_anew = [folder] * (len(PROBES) + 1) + [other]
    with Store(tmp_path) as store, CheckpointServer(*started_anew) as server:
        with pytest.raises(HarnessError, match=r"other weights.* 3 answers .* are not kept"):
            answer(folder, server, store)
        assert store.keys("response") == []
