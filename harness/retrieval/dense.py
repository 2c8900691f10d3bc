"""Passages by vectors: the cosine of a question's vector and each passage's, compared exactly.

Vectors come of a sentence-transformers folder on this machine (Reimers and Gurevych 2019,
https://aclanthology.org/D19-1410/), or of a server on this machine that is asked as OpenAI's /v1/embeddings.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.retrieval import EmbeddingSpec
from harness.core.errors import HarnessError, nearest_file
from harness.core.hashing import content_hash, file_hash
from harness.core.sanitize import printable_line
from harness.retrieval.bm25 import Hit, best_hits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

VECTORS = "vectors.npy"
BATCH_SIZE = 64  # texts in one request to a server
TIMEOUT_S = 60.0


class SearchError(Exception):
    """A search that could not be made; the message has the server's own words."""


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
        self._folder = None if spec.checkpoint is None else _find_folder(spec.checkpoint, root)

    @property
    def library(self) -> str:
        """Return what computes the vectors, with its version.

        Raises:
            HarnessError: it is not installed.
        """
        return "an embeddings server" if self._folder is None else _require_library()

    @property
    def identity(self) -> str:
        """Return which model makes the vectors, and what is put before the texts."""
        spec = self._spec
        if self._folder is None:
            named = f"{spec.model} at {spec.base_url}"
        else:
            named = f"{self._folder.name} {_hash_folder(self._folder)[:12]}"
        prefixes = [spec.query_prefix, spec.passage_prefix]
        return named + (f", prefixes {prefixes}" if any(prefixes) else "")

    def embed_passages(self, texts: Sequence[str]) -> "Vectors":
        """Return a vector of length 1 for each passage: passages x dimensions."""
        return self._embed([self._spec.passage_prefix + text for text in texts])

    def embed_question(self, text: str) -> "Vectors":
        """Return the vector of length 1 of a question."""
        vector: Vectors = self._embed([self._spec.query_prefix + text])[0]
        return vector

    def _embed(self, texts: Sequence[str]) -> "Vectors":
        import numpy as np

        raw = self._ask_server(texts) if self._folder is None else self._model.encode([*texts])
        vectors = np.asarray(raw, dtype=np.float32)
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
        from openai import OpenAI, OpenAIError

        vectors: list[list[float]] = []
        assert self._spec.model is not None
        with OpenAI(
            base_url=self._spec.base_url, api_key="none", timeout=TIMEOUT_S, max_retries=2
        ) as client:
            for start in range(0, len(texts), BATCH_SIZE):
                try:
                    reply = client.embeddings.create(
                        model=self._spec.model,
                        input=[*texts[start : start + BATCH_SIZE]],
                        encoding_format="float",
                    )
                    vectors += [one.embedding for one in reply.data]
                except (OpenAIError, ValueError, TypeError, AttributeError) as error:
                    words = printable_line(str(error), limit=160)
                    raise SearchError(f"embeddings of {self.identity}: {words}") from None
        return vectors


def build_index(texts: Sequence[str], embedder: Embedder, folder: Path) -> None:
    """Write the vectors of the texts into a folder.

    Raises:
        SearchError: the server gave none.
    """
    import numpy as np

    np.save(folder / VECTORS, embedder.embed_passages(texts), allow_pickle=False)


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


def _find_folder(checkpoint: str, root: Path) -> Path:
    folder = root / checkpoint
    if not (folder / "modules.json").is_file():
        raise HarnessError(
            f"{folder}: is no folder of a sentence-transformers model, which has a 'modules.json'."
            f"{nearest_file(folder)}"
        )
    return folder.resolve()


@lru_cache
def _hash_folder(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return content_hash([[path.relative_to(folder).as_posix(), file_hash(path)] for path in files])


def _require_library() -> str:
    try:
        return f"sentence-transformers {version('sentence-transformers')}"
    except PackageNotFoundError:
        raise HarnessError(
            "retriever 'dense' with a 'checkpoint' needs sentence-transformers: pip install "
            "'alignment-harness[dense]'."
        ) from None
