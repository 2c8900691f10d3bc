"""BM25 on PubMedQA and MedQuAD: what is found, and its recall, are those of the two libraries by themselves."""

import json
import os
from pathlib import Path
from typing import Any

import bm25s
import ir_measures
import numpy as np
import pytest
from ir_measures import RR, R, nDCG

from harness.config import Profile
from harness.config.retrieval import RetrievalSpec
from harness.data.convert import convert_file, make_options
from harness.data.text import normalise_words
from harness.retrieval.bm25 import K1, METHOD, B
from harness.retrieval.corpus import read_corpus
from harness.retrieval.retriever import open_retriever
from harness.types import FoundPassages
from judges.retrieval import measure_ranking, rank_documents

DATA = os.environ.get("HARNESS_DATA_DIR")
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(DATA is None, reason="HARNESS_DATA_DIR is not set"),
]
K = 10
PROFILE = Profile.model_validate_json(
    '{"profile": "p", "data": {"corpus": {"path": "corpus.jsonl"}}, "models": {"m": {"checkpoint": "m"}}}'
)


def convert(name: str, to: str, out: Path) -> list[dict[str, Any]]:
    convert_file(str(Path(DATA or "", name)), out, make_options(fields="", to=to))
    return [json.loads(line) for line in out.read_text().split("\n") if line]


@pytest.mark.parametrize(
    ("name", "n_documents", "recall_at_1", "recall_at_10"),
    [("pubmedqa/ori_pqal.json", 1000, 0.953, 0.985), ("MedQuAD", 210, 0.966, 0.999)],
)
def test_recall_is_that_of_bm25s_and_ir_measures_by_themselves(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    n_documents: int,
    recall_at_1: float,
    recall_at_10: float,
) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    documents = convert(name, "corpus", tmp_path / "corpus.jsonl")
    questions = convert(name, "questions", tmp_path / "questions.jsonl")
    # Ours, on whole documents.
    spec = RetrievalSpec(corpus="corpus", k=K, words=100_000, overlap=0)
    retriever = open_retriever(spec, read_corpus(spec, PROFILE, tmp_path), tmp_path)
    found = list(retriever.find([str(row["input"]) for row in questions]))
    ours = []
    for row, result in zip(questions, found, strict=True):
        assert isinstance(result, FoundPassages)
        ours.append(measure_ranking(rank_documents(result.passages), row["sources"]))
    # The libraries'.
    index = bm25s.BM25(method=METHOD, k1=K1, b=B)
    index.index([normalise_words(str(row["text"])) for row in documents], show_progress=False)
    queries = [normalise_words(str(row["input"])) for row in questions]
    ids = [row["id"] for row in documents]
    # Equal scores in the order of the corpus: trec_eval would order their documents by name.
    best = [np.argsort(-index.get_scores(words), kind="stable")[:K] for words in queries]
    run = {
        str(row["id"]): {ids[i]: float(K - place) for place, i in enumerate(places)}
        for row, places in zip(questions, best, strict=True)
    }
    qrels = {str(row["id"]): dict.fromkeys(row["sources"], 1) for row in questions}
    theirs = ir_measures.calc_aggregate([R @ K, RR, nDCG @ K, R @ 1], qrels, run)
    assert (len(documents), len(ours)) == (n_documents, len(qrels))
    for key, measure in {"recall": R @ K, "mrr": RR, "ndcg": nDCG @ K}.items():
        mean = sum(values[key] for values in ours) / len(ours)
        assert mean == pytest.approx(theirs[measure], abs=1e-9)
    assert theirs[R @ 1] >= recall_at_1
    assert theirs[R @ K] >= recall_at_10
