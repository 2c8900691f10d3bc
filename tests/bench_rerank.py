"""What reranking does to PubMedQA's recall and MRR, by us and by the libraries alone, as docs/retrieval.md states it.

    HARNESS_DATA_DIR=… python -m tests.bench_rerank http://127.0.0.1:8000/v1 MODEL [QUESTIONS]

The server at the address is asked as /v1/rerank. Abstracts are cut into passages of 100 words; BM25 finds 20, and the 10
best of them are given. The libraries' part asks the server itself, and uses nothing of ours but the cut and the words.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bm25s
import httpx2
import ir_measures
import numpy as np
from ir_measures import RR, R, nDCG

from harness.config import Generation
from harness.config.retrieval import RerankSpec, RetrievalSpec
from harness.core.hashing import content_hash
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.data.convert import convert_file, make_options
from harness.data.text import normalise_words
from harness.models.retrieved import find_passages
from harness.retrieval.bm25 import K1, METHOD, B
from harness.retrieval.corpus import Corpus, Document, Passage, passages_of
from harness.retrieval.retriever import open_retriever
from harness.types import Sample, Task
from judges.retrieval import rank_documents

WORDS, OVERLAP, CANDIDATES, K = 100, 20, 20, 10
MEASURES = [R @ 1, R @ 5, R @ K, RR, nDCG @ K]
Runs = dict[str, dict[str, float]]


def read_pubmedqa(folder: Path) -> tuple[Corpus, list[dict[str, Any]]]:
    """Return the abstracts as a corpus, and the questions."""
    rows = {}
    for to in ("corpus", "questions"):
        out = folder / f"{to}.jsonl"
        data = Path(os.environ["HARNESS_DATA_DIR"], "pubmedqa", "ori_pqal.json")
        convert_file(str(data), out, make_options(fields="", to=to))
        rows[to] = [json.loads(line) for line in out.read_text().split("\n") if line]
    documents = [Document(str(row["id"]), str(row["text"])) for row in rows["corpus"]]
    return Corpus("PubMedQA", documents, content_hash(documents)), rows["questions"]


def find_ours(spec: RetrievalSpec, corpus: Corpus, questions: Sequence[dict[str, Any]]) -> Runs:
    """Return the documents found for each question by `harness`, with falling scores."""
    samples = tuple(
        Sample(id=str(row["id"]), input=str(row["input"]), row=i) for i, row in enumerate(questions)
    )
    task = Task(
        name="pubmedqa", source="s", items_hash="h", n_items=len(samples), samples=samples,
        generation=Generation(), system=None, metrics={},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        retriever = open_retriever(spec, corpus, Path())
        asked = find_passages(task, retriever, store, QuietProgress(), "open")
    assert not asked.failed, next(iter(asked.failed.values()))
    return {i: _falling(rank_documents(given)) for i, given in asked.passages.items()}


def find_theirs(
    url: str, model: str, passages: Sequence[Passage], questions: Sequence[dict[str, Any]]
) -> Runs:
    """Return the same by `bm25s` and requests to the server."""
    index = bm25s.BM25(method=METHOD, k1=K1, b=B)
    index.index([normalise_words(passage.text) for passage in passages], show_progress=False)
    runs = {}
    for row in questions:
        question = str(row["input"])
        scores = index.get_scores(normalise_words(question))
        found = [passages[i] for i in np.argsort(-scores, kind="stable")[:CANDIDATES]]
        body = {"model": model, "query": question, "documents": [p.text for p in found]}
        answer = httpx2.post(f"{url}/rerank", json=body, timeout=300, trust_env=False)
        results = sorted(answer.json()["results"], key=lambda one: -one["relevance_score"])[:K]
        documents = [found[one["index"]].document for one in results]
        runs[str(row["id"])] = _falling(list(dict.fromkeys(documents)))
    return runs


def _falling(documents: Sequence[str]) -> dict[str, float]:
    return {document: float(-place) for place, document in enumerate(documents)}


def main() -> None:
    """Print the figures."""
    url, model = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HARNESS_CACHE_DIR"] = folder
        corpus, questions = read_pubmedqa(Path(folder))
        questions = questions[: int(sys.argv[3])] if len(sys.argv) > 3 else questions
        rerank = RerankSpec(base_url=url, model=model, candidates=CANDIDATES)
        plain = RetrievalSpec(corpus="made", k=K, words=WORDS, overlap=OVERLAP)
        reranked = RetrievalSpec(corpus="made", k=K, words=WORDS, overlap=OVERLAP, rerank=rerank)
        qrels = {str(row["id"]): dict.fromkeys(row["sources"], 1) for row in questions}
        passages = passages_of(corpus, WORDS, OVERLAP)
        print(f"{len(questions):,} questions, {len(passages):,} passages")
        for name, find in {
            "BM25": lambda: find_ours(plain, corpus, questions),
            "reranked": lambda: find_ours(reranked, corpus, questions),
            "reranked, the libraries alone": lambda: find_theirs(url, model, passages, questions),
        }.items():
            began = time.monotonic()
            runs = find()
            seconds = time.monotonic() - began
            means = ir_measures.calc_aggregate(MEASURES, qrels, runs)
            figures = ", ".join(f"{measure} {means[measure]:.4f}" for measure in MEASURES)
            print(f"{name}: {figures} ({seconds:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
