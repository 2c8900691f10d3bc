"""A checkpoint's questions in files for `vllm run-batch` on any machine, and its results read back."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.config import Generation, ServeSpec
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.batch_results import import_batch_results
from harness.models.generate import generate_responses
from harness.models.model_folder import fingerprint_model
from harness.models.model_kinds import CheckpointModel, serve_checkpoint
from harness.models.serving.by_batch import endpoint_by_batch
from harness.models.serving.chat_format import Weights, read_chat_format
from harness.models.session import EndpointSession, PendingRepliesError
from harness.types import Response, Sample, Task
from tests.builders.files import write_rows
from tests.builders.tiny import make_tiny_model

ELSEWHERE = ServeSpec(engine="vllm", version="0.32.0")
QUESTIONS = ("Could this be asthma?", "Say when to see a doctor.", "Could this be asthma?")
TASK = Task(
    name="questions",
    source="s",
    items_hash="",
    n_items=3,
    samples=tuple(Sample(id=f"q{i}", input=text, row=i) for i, text in enumerate(QUESTIONS)),
    generation=Generation(max_new_tokens=12, temperature=0.5),
    system=None,
    metrics={},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


def answers(folder: Path, store: Path, serve: ServeSpec = ELSEWHERE) -> list[Response]:
    """Return the responses to all questions, of which none is awaited."""
    with Store(store) as opened:
        session = EndpointSession(opened, folder=store / "batch")
        checkpoint = CheckpointModel("tiny", folder, fingerprint_model(folder))
        model = serve_checkpoint(checkpoint, serve, session)
        with session.flush_pending():
            found = list(generate_responses(TASK, model, opened, QuietProgress()))
            session.check_complete()
        return found


def lines_of(folder: Path, store: Path) -> list[dict[str, Any]]:
    """Return the requests that a run has written."""
    with pytest.raises(PendingRepliesError) as pending:
        answers(folder, store)
    assert pending.value.pending is not None
    (file,) = (one for one in pending.value.pending.files if one.new)
    return [json.loads(line) for line in Path(file.path).read_text().splitlines()]


def result(line: dict[str, Any], folder: Path, more_tokens: int = 0) -> dict[str, Any]:
    """Return the engine's result of a request."""
    weights = CheckpointModel("tiny", folder, fingerprint_model(folder)).weights
    (turn,) = TASK.samples[0].chat(None)
    prompt = turn.model_copy(update={"content": line["body"]["messages"][-1]["content"]})
    n_tokens = len(read_chat_format(weights).encode((prompt,))) + more_tokens
    text = f"By batch: {prompt.content}"
    body = {
        "model": line["body"]["model"],
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": n_tokens, "completion_tokens": 5},
    }
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "v", "custom_id": line["custom_id"], "response": response, "error": None}


def test_a_file_names_the_checkpoint_and_asks_as_a_started_engine_is_asked(
    folder: Path, tmp_path: Path
) -> None:
    bodies = [line["body"] for line in lines_of(folder, tmp_path)]
    assert {body["model"] for body in bodies} == {str(folder)}
    assert all(body["stop_token_ids"] and body["max_tokens"] == 12 for body in bodies)
    assert len({body["seed"] for body in bodies}) == 3  # every item has its own
    assert not (tmp_path / "servers").exists()


def test_results_become_answers_of_that_engine_under_keys_of_their_own(
    folder: Path, tmp_path: Path
) -> None:
    lines = lines_of(folder, tmp_path)
    results = write_rows(tmp_path / "results.jsonl", [result(line, folder) for line in lines])
    assert import_batch_results([results], tmp_path).complete
    found = answers(folder, tmp_path)
    assert [one.text for one in found] == [f"By batch: {text}" for text in QUESTIONS]
    assert {one.n_tokens for one in found} == {4}  # without the stop token
    with pytest.raises(PendingRepliesError):  # another version gives answers of its own
        answers(folder, tmp_path, ServeSpec(engine="vllm", version="0.33.0"))


def test_a_request_that_the_engine_refused_is_open_again_with_its_words(
    folder: Path, tmp_path: Path
) -> None:
    lines = lines_of(folder, tmp_path)
    refused = {"message": "The model `other` does not exist.", "type": "NotFoundError", "code": 404}
    rows = [result(line, folder) for line in lines[1:]]
    response = {"status_code": 404, "request_id": "r", "body": {"error": refused}}
    rows.append(
        {"id": "v", "custom_id": lines[0]["custom_id"], "response": response, "error": None}
    )
    imported = import_batch_results([write_rows(tmp_path / "r.jsonl", rows)], tmp_path)
    assert imported.reopened == 1
    assert "does not exist" in imported.failed[0].detail
    assert [line["custom_id"] for line in lines_of(folder, tmp_path)] == [lines[0]["custom_id"]]


def test_a_reply_to_a_prompt_that_is_written_otherwise_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    rows = [result(line, folder, more_tokens=3) for line in lines_of(folder, tmp_path)]
    import_batch_results([write_rows(tmp_path / "r.jsonl", rows)], tmp_path)
    with pytest.raises(HarnessError, match=r"vllm 0\.32\.0, item 'q0'"):
        answers(folder, tmp_path)


def test_only_vllm_answers_files_and_only_of_whole_models(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="which only vllm answers"):
        answers(folder, tmp_path, ServeSpec(engine="transformers", version="5.13.0"))
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(HarnessError, match=r"is an adapter.*Merge it"):
        endpoint_by_batch(Weights(str(adapter), None, "f"), ELSEWHERE, "f")


class Lines(QuietProgress):
    """The lines that a run logs."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def log(self, line: str) -> None:
        self.said.append(line)


def test_an_engine_without_a_version_is_said_to_answer_here(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "vllm"
    program.write_text("#!/bin/sh\necho 0.31.0\n")
    program.chmod(0o700)
    monkeypatch.setenv("HARNESS_VLLM", str(program))
    progress = Lines()
    with Store(tmp_path) as store:
        session = EndpointSession(store, folder=tmp_path / "batch")
        checkpoint = CheckpointModel("tiny", folder, fingerprint_model(folder))
        model = serve_checkpoint(checkpoint, ServeSpec(engine="vllm"), session)
        with pytest.raises(InfrastructureError):  # a program that starts no server
            list(generate_responses(TASK, model, store, progress))
    assert "state its 'version'" in progress.said[0]


def test_an_engine_of_another_version_than_is_stated_is_not_started(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "vllm"
    program.write_text("#!/bin/sh\necho 0.31.0\n")
    program.chmod(0o700)
    monkeypatch.setenv("HARNESS_VLLM", str(program))
    with Store(tmp_path) as store:
        session = EndpointSession(store)
        checkpoint = CheckpointModel("tiny", folder, fingerprint_model(folder))
        model = serve_checkpoint(checkpoint, ELSEWHERE, session)
        with pytest.raises(HarnessError, match=r"0\.32\.0 is stated, and 0\.31\.0 is installed"):
            list(generate_responses(TASK, model, store, QuietProgress()))


def test_a_version_belongs_to_an_engine_and_not_to_a_server_of_others() -> None:
    with pytest.raises(ValueError, match="belongs to an engine that the harness starts"):
        ServeSpec(base_url="http://127.0.0.1:1/v1", model="m", version="1")
