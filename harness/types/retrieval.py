"""Passages of a corpus, those that were given with a question, and how they were found."""

from typing import Literal

from pydantic import Field

from harness.core.hashing import content_hash
from harness.types.base import Record


class GivenPassage(Record):
    """A passage that stood in a prompt: its document, its rank from 1, and the retriever's score."""

    id: str
    document: str
    rank: int
    score: float
    text: str


class FoundPassages(Record):
    """What a retriever found for one question, the best first; nothing if no passage fits."""

    passages: tuple[GivenPassage, ...]


class RetrievalCard(Record):
    """How a model's passages are found, and in what.

    `corpus` is its label, and `corpus_hash` that of the ids and texts of its documents. `version` names
    the libraries and rules that decide what is found, `embeddings` what makes the vectors. `prompt` is the
    text in which the passages stand.
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

    @property
    def index_key(self) -> str:
        """Return a hash of what decides the index: the passages, and what orders them."""
        cut = [self.words, self.overlap, self.corpus_hash]
        return content_hash("index", self.retriever, self.version, self.embeddings, cut)

    @property
    def search_key(self) -> str:
        """Return a hash of what decides which passages are found for a question."""
        return content_hash(self.index_key, self.k)

    @property
    def fingerprint(self) -> str:
        """Return a hash of everything that decides what stands in a prompt, whatever the corpus is called."""
        return content_hash(self.search_key, self.prompt)

    @property
    def description(self) -> str:
        """Describe it in one line, for plans and reports."""
        by = f"{self.retriever} ({self.version}{f', {self.embeddings}' if self.embeddings else ''})"
        return (
            f"retrieval by {by}, the best {self.k} of {self.passages:,} passages of at most {self.words} words "
            f"(overlap {self.overlap}) from {self.documents:,} documents of {self.corpus} "
            f"({self.corpus_hash[:12]})"
        )
