"""One retrieval of a profile: its card, its index in the cache, and what it finds for questions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from shutil import rmtree

from harness.config import ModelSpec, Profile
from harness.config.retrieval import RetrievalSpec
from harness.core.errors import HarnessError
from harness.core.folder_cache import build_once
from harness.core.hashing import content_hash
from harness.core.paths import cache_dir
from harness.retrieval import bm25, dense
from harness.retrieval.corpus import Corpus, Passage, passages_of, read_corpus
from harness.retrieval.prompt import PROMPT_VERSION, default_prompt
from harness.retrieval.rerank import Reranker
from harness.retrieval.server import SearchError, is_same_model
from harness.types import FoundPassages, GivenPassage, RetrievalCard

INDEX_VERSION = 1  # raise it when the same corpus and rule give other passages
SEARCH_FAILED = (
    "retrieval failed"  # first words of the reason of an answer that could not be asked for
)
MOST_FAILED = 5  # questions in a row
Search = Callable[[str], list[bm25.Hit]]


class Retriever:
    """Passages for questions; the index is built at the first one, or read from the cache.

    With a `reranker`, `candidates` finds the passages of which it chooses.
    """

    def __init__(
        self,
        card: RetrievalCard,
        passages: Sequence[Passage],
        embedder: dense.Embedder | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self.card = card
        self.reranker = reranker
        self._passages = passages
        self._embedder = embedder

    @cached_property
    def candidates(self) -> "Retriever":
        """Return what finds the passages that are reranked."""
        return Retriever(self.card.candidates, self._passages, self._embedder)

    @property
    def servers(self) -> list[dense.Embedder | Reranker]:
        """Return what is asked of servers."""
        both = (self._embedder, self.reranker)
        return [one for one in both if one is not None and one.is_served]

    def key(self, question: str) -> str:
        """Return the key in the store of what is found for a question."""
        return content_hash("passages", self.card.search_key, question)

    def find(self, questions: Sequence[str]) -> Iterator[FoundPassages | str]:
        """Yield what is found for each question, before reranking; a text says why a search failed."""
        return try_each(questions, lambda question: self._found(self._search(question)))

    @cached_property
    def _search(self) -> Search:
        texts = [passage.text for passage in self._passages]
        folder = cache_dir() / "retrieval" / self.card.index_key[:32]
        embedder = self._embedder
        if embedder is not None:
            vectors = _load_vectors(texts, embedder, folder)
            return lambda question: dense.search_index(vectors, embedder, question, self.card.k)
        index = bm25.load_index(build_once(folder, lambda path: bm25.build_index(texts, path)))
        return lambda question: bm25.search_index(index, question, self.card.k)

    def _found(self, hits: Sequence[bm25.Hit]) -> FoundPassages:
        given = (
            GivenPassage(**self._passages[place]._asdict(), rank=rank, score=score)
            for rank, (place, score) in enumerate(hits, start=1)
        )
        return FoundPassages(passages=tuple(given))


def try_each(
    questions: Iterable[str], find: Callable[[str], FoundPassages]
) -> Iterator[FoundPassages | str]:
    """Yield what is found for each question, in their order; a text says why that failed.

    A question that failed does so alone. Nothing more is asked of a server that refuses all requests, is not
    there, or has failed for `MOST_FAILED` questions in a row.
    """
    in_a_row, stopped = 0, ""
    for question in questions:
        if stopped:
            yield stopped
            continue
        try:
            found: FoundPassages | str = find(question)
            in_a_row = 0
        except SearchError as error:
            found, in_a_row = f"{SEARCH_FAILED}: {error}", in_a_row + 1
            if error.final or in_a_row == MOST_FAILED:
                stopped = found
        yield found


def _load_vectors(texts: Sequence[str], embedder: dense.Embedder, folder: Path) -> "dense.Vectors":
    """Load the vectors of the passages, made where they are missing.

    Raises:
        HarnessError: a server holds another model than the one that made those which are there.
        SearchError: a server gave none.
    """
    parts = folder.with_name(f"{folder.name}.parts")
    before = dense.first_vector(folder, parts)
    if embedder.is_served and before is not None:
        now = embedder.embed_passages(texts[:1])[0]
        require_same_model(embedder.identity, before.tolist(), now.tolist())
    build_once(folder, lambda path: dense.build_index(texts, embedder, path, parts))
    rmtree(parts, ignore_errors=True)
    return dense.load_index(folder)


def require_same_model(server: str, before: Sequence[float], now: Sequence[float]) -> None:
    """Refuse a server that no longer says of a text what it said before.

    Raises:
        HarnessError: tells how to keep both models apart.
    """
    if not is_same_model(before, now):
        raise HarnessError(
            f"{server}: another model is served under that name than when passages were found for earlier runs. "
            "State a 'revision: …' beside its 'base_url': passages and answers of both models are then kept "
            "apart. Or serve the earlier model again."
        )


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
    passages = passages_of(corpus, spec.words, spec.overlap)
    embedder = None if spec.embeddings is None else dense.Embedder(spec.embeddings, root)
    reranker = None if spec.rerank is None else Reranker(spec.rerank, root)
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
        rerank=None if reranker is None else reranker.card,
    )
    return Retriever(card, passages, embedder, reranker)
