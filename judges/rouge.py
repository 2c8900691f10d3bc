"""ROUGE with Google's rouge-score package, and a tokenizer that also reads non-Latin scripts.

ROUGE: Lin (2004), https://aclanthology.org/W04-1013/. On text in Latin script the numbers are
those of rouge-score's own tokenizer, which reads a to z and 0 to 9 and treats every other letter
as a space; so they agree with published ones, and `Sjögren` is `sj` and `gren`. For that
tokenizer two identical Chinese texts score 0; here words of other scripts count as well, by the
rule of `harness.data.text`. Against several references a score is the best over them.

The card names the first tokenizer, with which this one agrees on Latin text, so that verdicts,
baselines and plans (which hash the card) of Latin text stay valid. `harness.data.text.WORD_RULE` is part of the key of every other
verdict, and of the hash of items with such references.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from harness.config import RougeMetric
from harness.data.text import rouge_words
from harness.types import GradeRequest, JudgeCard, JudgeRequest, Outcome, Sample

if TYPE_CHECKING:
    from nltk.stem.porter import PorterStemmer
    from rouge_score.rouge_scorer import RougeScorer

MAX_WORDS = 2_000  # on each side; ROUGE-L takes time and memory in proportion to their product
TOKENIZER = "tokenizer v1: also reads non-Latin scripts, Chinese and Japanese by character"


class RougeJudge:
    """Overlap of an answer with the item's reference, behind the `Judge` protocol."""

    @property
    def card(self) -> JudgeCard:
        """Name the library's version and the tokenizer; stemming is an option of the metric."""
        library = f"rouge-score {version('rouge-score')}"
        identity = f"{library}; {TOKENIZER}; {MAX_WORDS}"
        return JudgeCard(
            name="rouge",
            nature=f"computed overlap ({library}; {TOKENIZER}), no opinion",
            fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        )

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        for i, request in enumerate(requests):
            match request:
                case GradeRequest(metric=RougeMetric() as metric):
                    yield i, _best_overlap(metric, request.sample, request.answer)
                case _:
                    reason = f"ROUGE does not judge '{request.metric.kind}' metrics"
                    yield i, Outcome(reason=reason)


class Tokenizer(NamedTuple):
    """A tokenizer for rouge-score's scorer: lower-case words, at most `MAX_WORDS` of them."""

    stemmer: bool

    def tokenize(self, text: str) -> list[str]:
        """Split a text into words; as in rouge-score, only those above 3 letters are stemmed."""
        words = rouge_words(text)[:MAX_WORDS]
        return [_stem(word) if self.stemmer and len(word) > 3 else word for word in words]


def _best_overlap(metric: RougeMetric, sample: Sample, answer: str) -> Outcome:
    """Score against each reference; a variant's scores are those of its best F1 (`score_multi`)."""
    references = [text for text in sample.acceptable_answers if rouge_words(text)]
    if not references:
        return Outcome(reason="the item has no reference to compare with")
    scores = _scorer(metric.variants, metric.stemmer).score_multi(references, answer)
    values = {
        f"{variant}_{part}": float(value)
        for variant, score in scores.items()
        for part, value in zip(("precision", "recall", "f1"), score, strict=True)
    }
    return Outcome(values=values, rationale=_note_truncation(references, answer))


def _note_truncation(references: Sequence[str], answer: str) -> str | None:
    texts = [("reference", text) for text in references] + [("answer", answer)]
    cut = dict.fromkeys(name for name, text in texts if len(rouge_words(text)) > MAX_WORDS)
    return (
        f"only the first {MAX_WORDS:,} words were compared of: {', '.join(cut)}." if cut else None
    )


@lru_cache
def _scorer(variants: tuple[str, ...], stemmer: bool) -> "RougeScorer":
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(variants), tokenizer=Tokenizer(stemmer))


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    """Return Porter's stem of an English word; words of other scripts stay as they are."""
    return str(_porter().stem(word)) if word.isascii() else word


@lru_cache
def _porter() -> "PorterStemmer":
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()
