"""Passages by vectors: the cosine of a question's vector and each passage's, compared exactly.

Vectors come of a sentence-transformers folder on this machine (Reimers and Gurevych 2019,
https://aclanthology.org/D19-1410/), or of a server on this machine that is asked as OpenAI's /v1/embeddings.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.retrieval import EmbeddingSpec
from harness.core.files import write_atomically
from harness.core.store import make_writable
from harness.retrieval.bm25 import Hit, best_hits
from harness.retrieval.folders import find_folder, name_folder, require_sentence_transformers
from harness.retrieval.server import SearchError, post_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

VECTORS = "vectors.npy"
BATCH_SIZE = 64  # texts in one request to a server
PROBE = "What helps against a dry cough at night?"  # by whose vector another model is noticed


class Embedder:
    """What makes vectors of texts; the model is loaded, or the server asked, at the first text.

    `identity` says which, for keys and reports.
    """

    def __init__(self, spec: EmbeddingSpec, root: Path) -> None:
        """Check that the folder is there, and what reads it.

        Raises:
            HarnessError: no such folder, or the library that it needs is not installed.
        """
        self._spec = spec
        self._folder = (
            None
            if spec.checkpoint is None
            else find_folder(spec.checkpoint, root, "modules.json", "sentence-transformers model")
        )

    @property
    def library(self) -> str:
        """Return what computes the vectors, with its version.

        Raises:
            HarnessError: it is not installed.
        """
        if self._folder is None:
            return "an embeddings server"
        return require_sentence_transformers("retriever 'dense'")

    @property
    def is_served(self) -> bool:
        """Return whether a server makes the vectors."""
        return self._folder is None

    @property
    def identity(self) -> str:
        """Return which model makes the vectors, and what is put before the texts."""
        spec = self._spec
        named = spec.server_name if self._folder is None else name_folder(self._folder)
        prefixes = [spec.query_prefix, spec.passage_prefix]
        return named + (f", prefixes {prefixes}" if any(prefixes) else "")

    def embed_passages(self, texts: Sequence[str]) -> "Vectors":
        """Return a vector of length 1 for each passage: passages x dimensions."""
        return self._embed([self._spec.passage_prefix + text for text in texts])

    def embed_question(self, text: str) -> "Vectors":
        """Return the vector of length 1 of a question."""
        vector: Vectors = self._embed([self._spec.query_prefix + text])[0]
        return vector

    def probe(self) -> tuple[float, ...]:
        """Return the vector of a fixed text.

        Raises:
            SearchError: the server gave none.
        """
        return tuple(float(number) for number in self._embed([PROBE])[0])

    def _embed(self, texts: Sequence[str]) -> "Vectors":
        import numpy as np

        raw = self._ask_server(texts) if self._folder is None else self._model.encode([*texts])
        try:
            vectors = np.asarray(raw, dtype=np.float32)
        except (TypeError, ValueError):  # of several lengths, or no numbers
            vectors = np.empty(0, dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(lengths).all():
            raise SearchError(f"{self.identity} gave no vector of finite numbers for each text")
        normalised: Vectors = vectors / np.maximum(lengths, 1e-12)
        return normalised

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(self._folder), device="cpu", local_files_only=True)

    def _ask_server(self, texts: Sequence[str]) -> list[list[float]]:
        url, who = (
            f"{(self._spec.base_url or '').rstrip('/')}/embeddings",
            f"embeddings of {self.identity}",
        )
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH_SIZE):
            batch = [*texts[start : start + BATCH_SIZE]]
            body = {"model": self._spec.model, "input": batch, "encoding_format": "float"}
            reply = post_json(url, body, who)
            try:
                by_place = {int(one["index"]): one["embedding"] for one in reply["data"]}
                vectors += [by_place[place] for place in range(len(batch))]
            except (KeyError, TypeError, ValueError):
                raise SearchError(f"{who}: no 'data' with a vector for each text") from None
        return vectors


def build_index(texts: Sequence[str], embedder: Embedder, folder: Path, parts: Path) -> None:
    """Write the vectors of the texts into a folder.

    Those of each batch are kept in `parts` until all are there, so that none is made twice where one fails.

    Raises:
        SearchError: the server gave none.
    """
    import numpy as np

    make_writable(parts)
    made = []
    for start in range(0, len(texts), BATCH_SIZE):
        part = parts / f"{start:09d}.npy"
        if not part.is_file():
            vectors = embedder.embed_passages(texts[start : start + BATCH_SIZE])
            written = BytesIO()
            np.save(written, vectors, allow_pickle=False)
            write_atomically(part, written.getvalue())
        made.append(np.load(part, allow_pickle=False))
    np.save(folder / VECTORS, np.concatenate(made), allow_pickle=False)


def first_vector(folder: Path, parts: Path) -> "Vectors | None":
    """Return the vector of the first passage that an earlier run made; None if there is none."""
    import numpy as np

    for made in (folder / VECTORS, parts / f"{0:09d}.npy"):
        with suppress(OSError, ValueError):  # none, or a damaged one, which is made again
            vector: Vectors = np.load(made, mmap_mode="r", allow_pickle=False)[0]
            return vector
    return None


def load_index(folder: Path) -> "Vectors":
    """Load the vectors that `build_index` wrote."""
    import numpy as np

    vectors: Vectors = np.load(folder / VECTORS, allow_pickle=False)
    return vectors


def search_index(vectors: "Vectors", embedder: Embedder, question: str, k: int) -> list[Hit]:
    """Return the `k` passages whose vectors are nearest to the question's, the best first.

    Raises:
        SearchError: the server gave no vector.
    """
    query = embedder.embed_question(question)
    if query.shape != vectors.shape[1:]:
        raise SearchError(
            f"{embedder.identity} gave a vector of {query.shape[0]} numbers, and the passages have {vectors.shape[1]}"
        )
    return best_hits(vectors @ query, k, above=float("-inf"))
