"""Passages of a corpus, those that were given with a question, and how they were found."""

from typing import Literal

from pydantic import Field

from harness.core.hashing import content_hash
from harness.types.base import Record


class GivenPassage(Record):
    """A passage that stood in a prompt: its document, its rank from 1, and the score that ranks it.

    `found_rank` is its rank before reranking; None without a reranker.
    """

    id: str
    document: str
    rank: int
    score: float
    text: str
    found_rank: int | None = Field(default=None, exclude_if=lambda rank: rank is None)


class FoundPassages(Record):
    """What a retriever found for one question, the best first; nothing if no passage fits."""

    passages: tuple[GivenPassage, ...]


class PairScore(Record):
    """What a reranker said of a question and a passage; higher is better."""

    score: float


class ServerProbe(Record):
    """What a server of embeddings or scores said of fixed texts, by which another model is noticed."""

    values: tuple[float, ...]


class RerankCard(Record):
    """What orders the best `candidates` passages anew: its model, and the library or server that runs it."""

    candidates: int
    model: str
    version: str


class RetrievalCard(Record):
    """How a model's passages are found, and in what.

    `corpus` is its label, and `corpus_hash` that of the ids and texts of its documents. `version` names
    the libraries and rules that decide what is found, `embeddings` what makes the vectors. `prompt` is the
    text in which the passages stand. `rerank` says what chooses the `k` passages among more.
    """

    retriever: Literal["bm25", "dense"]
    k: int
    words: int
    overlap: int
    corpus: str
    corpus_hash: str
    documents: int
    passages: int
    version: str
    embeddings: str | None = Field(default=None, exclude_if=lambda named: named is None)
    prompt: str
    rerank: RerankCard | None = Field(default=None, exclude_if=lambda card: card is None)

    @property
    def index_key(self) -> str:
        """Return a hash of what decides the index: the passages, and what orders them."""
        cut = [self.words, self.overlap, self.corpus_hash]
        return content_hash("index", self.retriever, self.version, self.embeddings, cut)

    @property
    def search_key(self) -> str:
        """Return a hash of what decides which passages are found for a question."""
        more = [] if self.rerank is None else [self.rerank.model_dump()]
        return content_hash(self.index_key, self.k, *more)

    @property
    def candidates(self) -> "RetrievalCard":
        """Return how the passages are found that are reranked."""
        assert self.rerank is not None
        return self.model_copy(update={"k": self.rerank.candidates, "rerank": None})

    @property
    def fingerprint(self) -> str:
        """Return a hash of everything that decides what stands in a prompt, whatever the corpus is called."""
        return content_hash(self.search_key, self.prompt)

    @property
    def description(self) -> str:
        """Describe it in one line, for plans and reports."""
        by = f"{self.retriever} ({self.version}{f', {self.embeddings}' if self.embeddings else ''})"
        best = f"the best {self.k}"
        if self.rerank is not None:
            best += (
                f" of its best {self.rerank.candidates} as reranked by {self.rerank.model} "
                f"({self.rerank.version}), by whose order recall, MRR and nDCG are measured,"
            )
        return (
            f"retrieval by {by}, {best} of {self.passages:,} passages of at most {self.words} words "
            f"(overlap {self.overlap}) from {self.documents:,} documents of {self.corpus} "
            f"({self.corpus_hash[:12]})"
        )
