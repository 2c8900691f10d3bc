"""Passages by vectors, from a real server of embeddings on this machine."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.config.retrieval import EmbeddingSpec, RetrievalSpec
from harness.core.errors import HarnessError
from harness.retrieval.corpus import Corpus, Document
from harness.retrieval.retriever import Retriever, open_retriever
from harness.types import FoundPassages
from tests.builders.embeddings import EmbeddingsServer, word_counts

TEXTS = ("An inhaler opens the airways.", "Creams keep the skin moist.", "Drink much water.")
CORPUS = Corpus("made", [Document(f"d{i}", text) for i, text in enumerate(TEXTS)], "hash")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("harness.core.retries.MAX_BACKOFF_S", 0.0)


def retriever(embeddings: EmbeddingSpec, root: Path = Path()) -> Retriever:
    spec = RetrievalSpec(corpus="made", retriever="dense", k=2, embeddings=embeddings)
    return open_retriever(spec, CORPUS, root)


def test_the_nearest_vectors_come_first() -> None:
    with EmbeddingsServer() as server:
        spec = EmbeddingSpec(base_url=server.base_url, model="counts")
        (found,) = retriever(spec).find(["What keeps skin moist?"])
    assert isinstance(found, FoundPassages)
    assert found.passages[0].document == "d1"
    assert found.passages[0].score > found.passages[1].score


def test_passages_are_embedded_once_and_kept() -> None:
    with EmbeddingsServer() as server:
        spec = EmbeddingSpec(base_url=server.base_url, model="counts", query_prefix="query: ")
        list(retriever(spec).find(["Skin?"]))
        list(retriever(spec).find(["Skin?"]))
        # The first is asked for once more: does the server hold the same model still?
        assert server.asked == {**dict.fromkeys(TEXTS, 1), TEXTS[0]: 2, "query: Skin?": 2}


def test_a_request_that_failed_is_repeated() -> None:
    told = [(503, "loading"), (429, "busy")]
    with EmbeddingsServer() as server:
        server.fail = lambda texts: told.pop() if told else None
        spec = EmbeddingSpec(base_url=server.base_url, model="counts")
        (found,) = retriever(spec).find(["What keeps skin moist?"])
    assert isinstance(found, FoundPassages)


def test_a_question_that_the_server_refuses_fails_alone() -> None:
    with EmbeddingsServer() as server:
        server.fail = lambda texts: (400, "too long") if "Long?" in texts else None
        spec = EmbeddingSpec(base_url=server.base_url, model="counts")
        found = list(retriever(spec).find(["Skin?", "Long?", "Water?"]))
    assert [isinstance(one, FoundPassages) for one in found] == [True, False, True]
    assert str(found[1]).endswith("HTTP 400: too long")


def test_a_server_that_failed_for_five_questions_in_a_row_is_asked_for_no_more() -> None:
    asked = list[str]()
    with EmbeddingsServer() as server:
        spec = EmbeddingSpec(base_url=server.base_url, model="counts")
        list(retriever(spec).find(["Skin?"]))  # makes the index

        def fail(texts: list[str]) -> tuple[int, str] | None:
            asked.extend(texts)
            return (400, "no") if texts[0].startswith("q") else None

        server.fail = fail
        found = list(retriever(spec).find([f"q{i}" for i in range(8)]))
    assert asked[1:] == [f"q{i}" for i in range(5)]
    assert [str(one).endswith("HTTP 400: no") for one in found] == [True] * 8


def test_vectors_made_before_a_failure_are_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.retrieval.dense.BATCH_SIZE", 1)
    with EmbeddingsServer() as server:
        spec = EmbeddingSpec(base_url=server.base_url, model="counts")
        server.fail = lambda texts: (400, "no") if TEXTS[2] in texts else None
        assert list(retriever(spec).find(["Skin?"])) != []
        server.fail = lambda texts: None
        (found,) = retriever(spec).find(["Skin?"])
        assert isinstance(found, FoundPassages)
        assert [server.asked[text] for text in TEXTS[1:]] == [1, 1]


def test_another_model_behind_the_server_is_refused_until_a_revision_is_stated() -> None:
    with EmbeddingsServer() as server:
        spec = EmbeddingSpec(base_url=server.base_url, model="counts")
        list(retriever(spec).find(["Skin?"]))
        server.embed = lambda text: word_counts(text)[::-1]
        with pytest.raises(HarnessError, match="another model is served"):
            list(retriever(spec).find(["Skin?"]))
        stated = spec.model_copy(update={"revision": "second"})
        (found,) = retriever(stated).find(["Skin?"])
    assert isinstance(found, FoundPassages)


def test_a_server_that_is_down_gives_its_words_and_no_passages() -> None:
    with EmbeddingsServer() as server:
        spec = EmbeddingSpec(base_url=server.base_url, model="counts")
    found = list(retriever(spec).find(["Skin?", "Water?"]))
    assert all(isinstance(one, str) and one.startswith("retrieval failed: ") for one in found)
    assert "no answer (ConnectError" in str(found[0])


def test_another_machine_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"example\.org is another machine"):
        EmbeddingSpec(base_url="https://example.org/v1", model="counts")


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="no folder of a sentence-transformers model"):
        retriever(EmbeddingSpec(checkpoint="gone"), tmp_path)
