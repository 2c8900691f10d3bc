"""Passages chosen among those found by the scores of a real server on this machine, and what of that is kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.config import Generation
from harness.config.retrieval import RerankSpec, RetrievalSpec
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.retrieved import AskedTask, find_passages
from harness.retrieval.corpus import Corpus, Document
from harness.retrieval.retriever import open_retriever
from harness.stores.contents import common_fields
from harness.types import RetrievalCard, Sample, ServerProbe, Task
from tests.builders.embeddings import EmbeddingsServer
from tests.builders.files import write

QUESTION = "Which cream is for dry skin?"
TEXTS = (
    "This cream is for dry skin.",
    "A cream is for dry skin, and so is this much longer text about it.",
    "Skin.",
)
TASK = Task(
    name="t", source="s", items_hash="h", n_items=1, system=None, generation=Generation(), metrics={},
    samples=(Sample(id="q", input=QUESTION, row=0),),
)  # fmt: skip
CORPUS = Corpus("made", [Document(f"d{i}", text) for i, text in enumerate(TEXTS)], "hash")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("harness.core.retries.MAX_BACKOFF_S", 0.0)


@pytest.fixture
def server() -> Iterator[EmbeddingsServer]:
    with EmbeddingsServer() as started:
        yield started


def find(server: EmbeddingsServer, folder: Path, k: int = 2, **more: Any) -> AskedTask:
    rerank = RerankSpec(base_url=server.base_url, model="m", candidates=3, **more)
    spec = RetrievalSpec(corpus="made", k=k, rerank=rerank)
    retriever = open_retriever(spec, CORPUS, folder)
    with Store(folder / "store") as store:
        return find_passages(TASK, retriever, store, QuietProgress(), "open")


def test_the_best_of_those_found_are_given_by_the_rerankers_scores(
    server: EmbeddingsServer, tmp_path: Path
) -> None:
    (given,) = find(server, tmp_path).passages.values()
    assert [(p.document, p.rank, p.found_rank) for p in given] == [("d1", 1, 2), ("d0", 2, 1)]
    assert given[0].score == len(TEXTS[1])


def test_a_pair_is_scored_once(server: EmbeddingsServer, tmp_path: Path) -> None:
    find(server, tmp_path)
    find(server, tmp_path, k=1)
    assert [server.pairs[QUESTION, text] for text in TEXTS] == [1, 1, 1]


def test_a_reranker_that_fails_gives_its_words_and_no_passages(
    server: EmbeddingsServer, tmp_path: Path
) -> None:
    server.fail = lambda texts: (500, "out of memory")
    asked = find(server, tmp_path)
    assert asked.passages == {}
    (reason,) = asked.failed.values()
    assert reason.startswith("retrieval failed: scores of m at ")
    assert reason.endswith("HTTP 500: out of memory")
    server.fail = lambda texts: None
    assert find(server, tmp_path).failed == {}


@pytest.mark.parametrize(
    "results",
    [None, [], [{"index": 0, "relevance_score": 1.0}] * 3,
     [{"index": i, "relevance_score": float("nan")} for i in range(3)]],
)  # fmt: skip
def test_a_reply_without_a_score_for_each_passage_is_a_failure(
    server: EmbeddingsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: Any
) -> None:
    monkeypatch.setattr(server, "rerank", lambda question, texts: results)
    asked = find(server, tmp_path)
    assert (asked.passages, len(asked.failed)) == ({}, 1)


def test_another_model_behind_the_server_is_refused_until_a_revision_is_stated(
    server: EmbeddingsServer, tmp_path: Path
) -> None:
    find(server, tmp_path)
    server.score = lambda question, text: -float(len(text))
    with pytest.raises(HarnessError, match="another model is served"):
        find(server, tmp_path)
    (given,) = find(server, tmp_path, revision="second").passages.values()
    assert given[0].document == "d2"


def test_the_key_of_a_search_without_reranking_is_that_of_earlier_versions() -> None:
    card = RetrievalCard(
        retriever="bm25", k=4, words=200, overlap=40, corpus="c", corpus_hash="h", documents=1, passages=1,
        version="v", prompt="p",
    )  # fmt: skip
    assert card.fingerprint == "0b26845efead93eb2c8dd3aa6e7df2b641278d689d9d4e0b5503d6655c14df15"


def test_fewer_candidates_than_passages_are_refused() -> None:
    with pytest.raises(ValidationError, match="fewer than the 4 of 'k'"):
        RetrievalSpec(corpus="made", rerank=RerankSpec(checkpoint="m", candidates=3))


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    write(tmp_path / "m" / "config.json", '{"architectures": ["BertModel"]}')
    spec = RetrievalSpec(corpus="made", rerank=RerankSpec(checkpoint="m"))
    with pytest.raises(HarnessError, match=r"sequence classification. Found: BertModel"):
        open_retriever(spec, CORPUS, tmp_path)


def test_stores_whose_servers_held_two_models_under_one_name_contradict_each_other() -> None:
    one, rounded, other = (
        ServerProbe(values=values).model_dump_json()
        for values in ((0.9, 0.4), (0.9001, 0.4), (0.4, 0.9))
    )
    assert common_fields("retrieval m at a server", one, rounded) == one
    assert common_fields("retrieval m at a server", one, other) is None
