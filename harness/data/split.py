"""Split of rows into training and evaluation by their questions.

All rows of a question are on the same side, and so are its near-duplicates: questions that share at
least half of their distinct 8-grams of words (`MIN_JACCARD`), joined transitively. A question of
fewer than 8 words has no 8-gram; only its exact copies are found.

The side is the hash of the group's alphabetically first question. So it depends neither on the
order of the rows nor on other groups: new rows move an old group only if they join it and become
its first question, join two into one, or come between near-duplicates that share only n-grams
which many questions have (`MAX_NEIGHBOURS`).
"""

import hashlib
import zlib
from collections import Counter, deque
from collections.abc import Sequence
from typing import Literal, NamedTuple

from harness.data.text import NGram, ngrams, normalise_text

Side = Literal["train", "eval"]
SIDES: tuple[Side, Side] = ("train", "eval")
N_WORDS = 8
MIN_JACCARD = 0.5  # shared n-grams of two questions as a share of their union
N_INDEX_NGRAMS = 16  # of a question; near-duplicates share several of them
MAX_NEIGHBOURS = 5  # compared with a question because of one n-gram: linear time


class Split(NamedTuple):
    """The side of each row, in order, and the number and largest size of the groups."""

    sides: list[Side]
    n_groups: int
    largest_group: int


def split_by_question(questions: Sequence[str], *, eval_share: float, seed: int = 1) -> Split:
    """Assign each row to a side; about `eval_share` of the groups are for evaluation."""
    keys = [normalise_text(question) for question in questions]
    leader = _leaders(sorted(set(keys)))
    sizes = Counter(leader[key] for key in keys)
    sides: list[Side] = [
        "eval" if _position(leader[key], seed) < eval_share else "train" for key in keys
    ]
    return Split(sides, len(sizes), max(sizes.values(), default=0))


def hold_out(questions: Sequence[str], *, share: float, seed: int = 1) -> list[Side]:
    """Assign each row to training, or to what a training run holds out, by groups as above.

    `share` of the groups are held out, and at least one of several. Groups are ranked by another hash than
    that of `split_by_question`: rows that are one side of such a split would otherwise all be on one
    side again, of which nothing is held out.
    """
    keys = [normalise_text(question) for question in questions]
    leader = _leaders(sorted(set(keys)))
    ranked = sorted(set(leader.values()), key=lambda q: _position(f"holdout\n{q}", seed))
    wanted = round(share * len(ranked))
    n_held_out = min(max(wanted, 1 if share else 0), len(ranked) - 1) if ranked else 0
    held_out = set(ranked[:n_held_out])
    return ["eval" if leader[key] in held_out else "train" for key in keys]


def _leaders(questions: list[str]) -> dict[str, str]:
    """Map each of the sorted `questions` to the first question of its group (union-find)."""
    parents = list(range(len(questions)))
    by_ngram: dict[NGram, deque[int]] = {}
    for number, question in enumerate(questions):
        own = set(ngrams(question.split(), N_WORDS))
        near: set[int] = set()
        for ngram in sorted(own, key=_checksum)[:N_INDEX_NGRAMS]:
            earlier = by_ngram.setdefault(ngram, deque(maxlen=MAX_NEIGHBOURS))
            near.update(earlier)
            earlier.append(number)
        for other in near:
            first, second = _root(parents, number), _root(parents, other)
            if first != second and _are_near(own, set(ngrams(questions[other].split(), N_WORDS))):
                parents[max(first, second)] = min(first, second)
    return {q: questions[_root(parents, number)] for number, q in enumerate(questions)}


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _are_near(first: set[NGram], second: set[NGram]) -> bool:
    return len(first & second) >= MIN_JACCARD * len(first | second)


def _checksum(ngram: NGram) -> tuple[int, NGram]:
    """Return a sort key that is independent of the alphabet and the same in every process."""
    return zlib.crc32(" ".join(ngram).encode()), ngram


def _position(question: str, seed: int) -> float:
    """Return the position of the question's hash in [0, 1)."""
    digest = hashlib.sha256(f"{seed}\n{question}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
