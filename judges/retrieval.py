"""Recall, reciprocal rank and nDCG of an item's known sources among the documents that were found.

Computed by `ir-measures` as trec_eval does (https://ir-measur.es). A source is relevant or not; a document
has the place of its best passage.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from harness.config import RetrievalMetric
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.types import GivenPassage, GradeRequest, JudgeCard, JudgeRequest, Outcome

VERSION = 1  # raise it when the same passages and sources may score differently
NOTHING_GIVEN = "no passage was given"


class RetrievalJudge:
    """Measures of what was found, behind the `Judge` protocol."""

    @property
    def card(self) -> JudgeCard:
        """Name the library's version.

        Raises:
            HarnessError: it is not installed.
        """
        library = f"ir-measures {_require_ir_measures()}"
        return JudgeCard(
            name="retrieval",
            nature=f"computed ({library}), no opinion",
            fingerprint=content_hash("retrieval", library, VERSION),
        )

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        for i, request in enumerate(requests):
            match request:
                case GradeRequest(metric=RetrievalMetric() as metric):
                    yield i, _measure(metric, request.sample.sources, request.passages or ())
                case _:
                    reason = f"retrieval does not judge '{request.metric.kind}' metrics"
                    yield i, Outcome(reason=reason)


@lru_cache
def _require_ir_measures() -> str:
    try:
        return version("ir-measures")
    except PackageNotFoundError:
        raise HarnessError(
            "a metric of 'kind: retrieval' needs ir-measures: pip install 'alignment-harness[retrieval]'."
        ) from None


def rank_documents(passages: Iterable[GivenPassage]) -> list[str]:
    """Return the documents of the passages, each once, in the order of its best passage."""
    ordered = sorted(passages, key=lambda passage: passage.rank)
    return list(dict.fromkeys(passage.document for passage in ordered))


def _measure(
    metric: RetrievalMetric, sources: Iterable[str], passages: Iterable[GivenPassage]
) -> Outcome:
    ranked = rank_documents(passages)[: metric.at]
    keys = metric.verdict_keys("").values()
    if not ranked:
        return Outcome(values=dict.fromkeys(keys, 0.0), rationale=NOTHING_GIVEN)
    relevant = set(sources)
    found = [f"{place}. {name}" for place, name in enumerate(ranked, start=1) if name in relevant]
    words = f"{len(found)} of {len(relevant)} sources among {len(ranked)} documents"
    values = measure_ranking(ranked, relevant)
    return Outcome(values=values, rationale=": ".join([words, *filter(None, [", ".join(found)])]))


def measure_ranking(ranked: list[str], relevant: Iterable[str]) -> dict[str, float]:
    """Return recall, reciprocal rank and nDCG of a ranking of documents, by the metric's keys."""
    from ir_measures import RR, R, calc_aggregate, nDCG

    n = len(ranked)
    measures = {"recall": R @ n, "mrr": RR, "ndcg": nDCG @ n}
    # Scores fall with the place: of equal ones trec_eval would order the documents by name.
    run = {"q": {document: float(n - place) for place, document in enumerate(ranked)}}
    found = calc_aggregate(measures.values(), {"q": dict.fromkeys(relevant, 1)}, run)
    return {key: float(found[measure]) for key, measure in measures.items()}
