"""Passages by vectors, from a real server of embeddings on this machine."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.config.retrieval import EmbeddingSpec, RetrievalSpec
from harness.core.errors import HarnessError
from harness.retrieval.corpus import Corpus, Document
from harness.retrieval.retriever import Retriever, open_retriever
from harness.types import FoundPassages
from tests.builders.embeddings import EmbeddingsServer

TEXTS = ("An inhaler opens the airways.", "Creams keep the skin moist.", "Drink much water.")
CORPUS = Corpus("made", [Document(f"d{i}", text) for i, text in enumerate(TEXTS)], "hash")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))


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
        assert server.asked == {**dict.fromkeys(TEXTS, 1), "query: Skin?": 2}


def test_a_server_that_is_down_gives_its_words_and_no_passages() -> None:
    with EmbeddingsServer() as server:
        spec = EmbeddingSpec(base_url=server.base_url, model="counts")
    found = list(retriever(spec).find(["Skin?", "Water?"]))
    assert all(isinstance(one, str) and one.startswith("retrieval failed: ") for one in found)
    assert "Connection error" in str(found[0])


def test_another_machine_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"example\.org is another machine"):
        EmbeddingSpec(base_url="https://example.org/v1", model="counts")


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="no folder of a sentence-transformers model"):
        retriever(EmbeddingSpec(checkpoint="gone"), tmp_path)
