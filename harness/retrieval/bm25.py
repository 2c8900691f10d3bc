"""Passages by shared words: BM25 as Lucene computes it, by `bm25s` (https://arxiv.org/abs/2407.03618).

Words are those of `harness.data.text`, in every script; none is left out or stemmed. Equal scores keep the
order of the corpus.
"""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import HarnessError
from harness.data.text import WORD_RULE, normalise_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METHOD, K1, B = "lucene", 1.5, 0.75
Hit = tuple[int, float]  # the place of a passage in the corpus, and its score


def require_bm25s() -> str:
    """Return the version of the library with the rules that decide a score.

    Raises:
        HarnessError: it is not installed.
    """
    try:
        from bm25s import __version__
    except ImportError:
        raise HarnessError(
            "retriever 'bm25' needs bm25s: pip install 'alignment-harness[retrieval]'."
        ) from None
    return f"bm25s {__version__}, {METHOD} k1 {K1} b {B}, words v{WORD_RULE}"


def build_index(texts: Sequence[str], folder: Path) -> None:
    """Write the index of the texts into a folder."""
    from bm25s import BM25
    from bm25s.tokenization import Tokenized

    vocabulary: dict[str, int] = {}
    ids = [
        array("i", [vocabulary.setdefault(word, len(vocabulary)) for word in normalise_words(text)])
        for text in texts
    ]
    index = BM25(method=METHOD, k1=K1, b=B)
    index.index(Tokenized(ids=ids, vocab=vocabulary or {"": 0}), show_progress=False)
    index.save(str(folder), show_progress=False)


def load_index(folder: Path) -> Any:
    """Load an index that `build_index` wrote."""
    from bm25s import BM25

    return BM25.load(str(folder), load_corpus=False, show_progress=False)


def search_index(index: Any, query: str, k: int) -> list[Hit]:
    """Return the `k` passages with the highest scores above 0, the best first."""
    words = [word for word in normalise_words(query) if word in index.vocab_dict]
    if not words:
        return []
    return best_hits(index.get_scores(words), k, above=0.0)


def best_hits(scores: "NDArray[np.float32]", k: int, *, above: float) -> list[Hit]:
    """Return the places of the `k` highest scores above a limit; equal ones in the order of the corpus."""
    import numpy as np

    if len(scores) > k:
        least = np.partition(scores, -k)[-k]
        places = np.flatnonzero(scores >= least)
    else:
        places = np.arange(len(scores))
    places = places[scores[places] > above]
    order = np.lexsort((places, -scores[places]))[:k]
    return [(int(place), float(scores[place])) for place in places[order]]
