"""A question scored with each passage by a model that reads both: what chooses the best of those found.

The model is a cross-encoder of sentence-transformers on this machine (Nogueira and Cho 2019,
https://arxiv.org/abs/1901.04085), or a server on this machine that is asked as Cohere's and Jina's /v1/rerank.
"""

import json
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.config.retrieval import RerankSpec
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.retrieval.folders import find_folder, name_folder, require_sentence_transformers
from harness.retrieval.server import SearchError, post_json
from harness.types import RerankCard

RERANK_VERSION = 1  # raise it when the same model scores a pair otherwise
# Pairs by which another model is noticed, from near to far.
PROBE = "What helps against a dry cough at night?"
PROBE_TEXTS = (
    "A dry cough at night may be eased by honey or by moist air.",
    "Asthma often wakes people in the small hours.",
    "Honey keeps for years in a closed jar.",
    "The bridge was opened to traffic in 1932.",
)


class Reranker:
    """What scores pairs; the model is loaded, or the server asked, at the first pair."""

    def __init__(self, spec: RerankSpec, root: Path) -> None:
        """Check that the folder is there, and what reads it.

        Raises:
            HarnessError: no such folder, no cross-encoder, or the library is not installed.
        """
        self._spec = spec
        self._folder = None if spec.checkpoint is None else _find_cross_encoder(spec, root)
        library = (
            "a rerank server" if self._folder is None else require_sentence_transformers("'rerank'")
        )
        self.card = RerankCard(
            candidates=spec.candidates,
            model=self.identity,
            version=f"{library}, rerank v{RERANK_VERSION}",
        )

    @property
    def is_served(self) -> bool:
        """Return whether a server scores."""
        return self._folder is None

    @property
    def identity(self) -> str:
        """Return which model scores."""
        return self._spec.server_name if self._folder is None else name_folder(self._folder)

    def key(self, question: str, text: str) -> str:
        """Return the key in the store of the score of a pair."""
        return content_hash("rerank", self.card.model, self.card.version, question, text)

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return a score for each text, higher for a better one.

        Raises:
            SearchError: there is none for some text.
        """
        if self._folder is None:
            scores = self._ask_server(question, texts)
        else:
            pairs = [(question, text) for text in texts]
            scores = [float(one) for one in self._model.predict(pairs, show_progress_bar=False)]
        if len(scores) != len(texts) or not all(map(math.isfinite, scores)):
            raise SearchError(f"{self.identity} gave no finite score for each passage")
        return scores

    def probe(self) -> tuple[float, ...]:
        """Return the scores of fixed pairs.

        Raises:
            SearchError: the server gave none.
        """
        return tuple(self.score(PROBE, PROBE_TEXTS))

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import CrossEncoder

        model = CrossEncoder(str(self._folder), device="cpu", local_files_only=True)
        if model.num_labels != 1:
            raise HarnessError(
                f"{self._folder}: gives {model.num_labels} values for a pair; a reranker gives one."
            )
        return model

    def _ask_server(self, question: str, texts: Sequence[str]) -> list[float]:
        body = {
            "model": self._spec.model,
            "query": question,
            "documents": [*texts],
            "top_n": len(texts),
        }
        who = f"scores of {self.identity}"
        reply = post_json(f"{(self._spec.base_url or '').rstrip('/')}/rerank", body, who)
        try:
            scored = [(one["index"], one["relevance_score"]) for one in reply["results"]]
            by_place = {int(place): float(score) for place, score in scored}
        except (KeyError, TypeError, ValueError):
            raise SearchError(f"{who}: no 'results' with 'index' and 'relevance_score'") from None
        if len(scored) != len(texts) or by_place.keys() != set(range(len(texts))):
            raise SearchError(f"{who}: no score for each of {len(texts)} passages")
        return [by_place[place] for place in range(len(texts))]


def _find_cross_encoder(spec: RerankSpec, root: Path) -> Path:
    """Return the folder; other models would be given a head of random weights by the library."""
    assert spec.checkpoint is not None
    folder = find_folder(spec.checkpoint, root, "config.json", "cross-encoder")
    try:
        config = json.loads((folder / "config.json").read_bytes())
        names = [str(name) for name in config.get("architectures") or ()]
    except (OSError, ValueError, AttributeError, TypeError):
        names = []
    if not any(name.endswith("ForSequenceClassification") for name in names):
        raise HarnessError(
            f"{folder}: is no cross-encoder, whose 'config.json' names an architecture for sequence classification. "
            f"Found: {', '.join(names) or 'none'}."
        )
    return folder
