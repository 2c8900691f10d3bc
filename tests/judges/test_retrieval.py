import math

import pytest

from harness.config import RetrievalMetric
from harness.types import GivenPassage, GradeRequest, Outcome, Sample
from judges.retrieval import RetrievalJudge


def judge(documents: str, sources: str, at: int | None = None) -> Outcome:
    passages = tuple(
        GivenPassage(id=f"{name}#{rank}", document=name, rank=rank, score=1.0, text="x")
        for rank, name in enumerate(documents.split(), start=1)
    )
    request = GradeRequest(
        sample=Sample(id="q", input="?", row=0, sources=tuple(sources.split())),
        metric_name="found",
        metric=RetrievalMetric(kind="retrieval", at=at),
        model="m",
        answer="Rest.",
        passages=passages,
    )
    ((_, outcome),) = RetrievalJudge().judge([request])
    return outcome


def values(documents: str, sources: str, at: int | None = None) -> tuple[float, ...]:
    found = judge(documents, sources, at).values
    assert found is not None
    return found["recall"], found["mrr"], found["ndcg"]


def test_the_measures_are_those_of_their_definitions() -> None:
    ideal = 1 + 1 / math.log2(3)
    expected = (0.5, 1 / 3, (1 / math.log2(4)) / ideal)
    assert values("a b s c", "s t") == pytest.approx(expected)
    assert values("s t", "t s") == pytest.approx((1, 1, 1))


def test_a_document_has_the_place_of_its_best_passage() -> None:
    assert values("a a s", "s") == pytest.approx((1, 1 / 2, 1 / math.log2(3)))


def test_a_ranking_is_cut_at_so_many_documents() -> None:
    assert values("a b s", "s", at=2) == (0, 0, 0)
    assert values("a b s", "s", at=3)[0] == 1


def test_where_no_passage_was_given_no_source_was_found_and_that_is_said() -> None:
    outcome = judge("", "s")
    assert outcome.values == {"recall": 0, "mrr": 0, "ndcg": 0}
    assert outcome.rationale == "no passage was given"


def test_the_sources_that_were_found_are_named() -> None:
    assert judge("a s", "s t").rationale == "1 of 2 sources among 2 documents: 2. s"
