"""One retrieval of a profile: its card, its index in the cache, and what it finds for questions."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from harness.config import ModelSpec, Profile
from harness.config.retrieval import RetrievalSpec
from harness.core.folder_cache import build_once
from harness.core.hashing import content_hash
from harness.core.paths import cache_dir
from harness.retrieval import bm25, dense
from harness.retrieval.corpus import Corpus, Passage, cut_into_passages, read_corpus
from harness.retrieval.prompt import PROMPT_VERSION, default_prompt
from harness.types import FoundPassages, GivenPassage, RetrievalCard

INDEX_VERSION = 1  # raise it when the same corpus and rule give other passages
SEARCH_FAILED = (
    "retrieval failed"  # first words of the reason of an answer that could not be asked for
)
Search = Callable[[str], list[bm25.Hit]]


class Retriever:
    """Passages for questions; the index is built at the first one, or read from the cache."""

    def __init__(
        self,
        card: RetrievalCard,
        passages: Sequence[Passage],
        embedder: dense.Embedder | None = None,
    ) -> None:
        self.card = card
        self._passages = passages
        self._embedder = embedder

    def key(self, question: str) -> str:
        """Return the key in the store of what is found for a question."""
        return content_hash("passages", self.card.search_key, question)

    def find(self, questions: Sequence[str]) -> Iterator[FoundPassages | str]:
        """Yield what is found for each question, in their order; a text says why a search failed.

        A server that failed, after its repeats, is asked nothing more.
        """
        failure: str | None = None
        for question in questions:
            found: FoundPassages | str
            try:
                found = failure or self._found(self._search(question))
            except dense.SearchError as error:
                found = failure = f"{SEARCH_FAILED}: {error}"
            yield found

    @cached_property
    def _search(self) -> Search:
        texts = [passage.text for passage in self._passages]
        folder = cache_dir() / "retrieval" / self.card.index_key[:32]
        embedder = self._embedder
        if embedder is not None:
            build_once(folder, lambda path: dense.build_index(texts, embedder, path))
            vectors = dense.load_index(folder)
            return lambda question: dense.search_index(vectors, embedder, question, self.card.k)
        index = bm25.load_index(build_once(folder, lambda path: bm25.build_index(texts, path)))
        return lambda question: bm25.search_index(index, question, self.card.k)

    def _found(self, hits: Sequence[bm25.Hit]) -> FoundPassages:
        given = (
            GivenPassage(**self._passages[place]._asdict(), rank=rank, score=score)
            for rank, (place, score) in enumerate(hits, start=1)
        )
        return FoundPassages(passages=tuple(given))


def find_retriever(model: ModelSpec, profile: Profile, root: Path) -> Retriever | None:
    """Return what finds passages for a model of the profile; None if nothing does.

    Raises:
        HarnessError: as `read_corpus` and `open_retriever`.
    """
    spec = model.retrieval
    return None if spec is None else open_retriever(spec, read_corpus(spec, profile, root), root)


def open_retriever(spec: RetrievalSpec, corpus: Corpus, root: Path) -> Retriever:
    """Return the retriever of a model; nothing is indexed yet.

    Raises:
        HarnessError: the library that it needs is not installed, or its model is not there.
    """
    rule = {"words": spec.words, "overlap": spec.overlap}
    passages = list(cut_into_passages(corpus.documents, **rule))
    embedder = None if spec.embeddings is None else dense.Embedder(spec.embeddings, root)
    library = bm25.require_bm25s() if embedder is None else embedder.library
    card = RetrievalCard(
        retriever=spec.retriever,
        k=spec.k,
        **rule,
        corpus=corpus.label,
        corpus_hash=corpus.hash,
        documents=len(corpus.documents),
        passages=len(passages),
        version=f"{library}, passages v{INDEX_VERSION}, prompt v{PROMPT_VERSION}",
        embeddings=None if embedder is None else embedder.identity,
        prompt=spec.prompt or default_prompt(),
    )
    return Retriever(card, passages, embedder)
