from pathlib import Path

import bm25s
import numpy as np

from harness.data.text import normalise_words
from harness.retrieval.bm25 import K1, METHOD, B, best_hits, build_index, load_index, search_index

TEXTS = [
    "Asthma makes breathing hard; an inhaler helps.",
    "Eczema makes skin dry, and creams help.",
    "Asthma in children: asthma at night, asthma in sport.",
    "Drink water.",
]


def search(folder: Path, query: str, k: int = 3) -> list[tuple[int, float]]:
    if not (folder / "index").exists():
        (folder / "index").mkdir()
        build_index(TEXTS, folder / "index")
    return search_index(load_index(folder / "index"), query, k)


def test_hits_are_those_of_bm25s_itself(tmp_path: Path) -> None:
    index = bm25s.BM25(method=METHOD, k1=K1, b=B)
    index.index([normalise_words(text) for text in TEXTS], show_progress=False)
    query = "asthma makes breathing hard"
    places, scores = index.retrieve([normalise_words(query)], k=3, show_progress=False)
    found = search(tmp_path, query)
    assert [place for place, _ in found] == places[0].tolist()
    assert np.allclose([score for _, score in found], scores[0])


def test_a_passage_without_a_word_of_the_question_is_no_hit(tmp_path: Path) -> None:
    assert [place for place, _ in search(tmp_path, "dry skin")] == [1]
    assert search(tmp_path, "Migraine?") == []
    assert search(tmp_path, "?") == []


def test_equal_scores_keep_the_order_of_the_corpus() -> None:
    scores = np.array([1, 2, 0, 2, 1, 1], dtype=np.float32)
    assert best_hits(scores, 4, above=0.0) == [(1, 2.0), (3, 2.0), (0, 1.0), (4, 1.0)]


def test_words_of_every_script_are_found(tmp_path: Path) -> None:
    build_index(["哮喘会引起咳嗽", "皮肤干燥"], tmp_path)
    assert [place for place, _ in search_index(load_index(tmp_path), "夜间咳嗽", 2)] == [0]
