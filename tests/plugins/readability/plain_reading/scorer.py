"""A metric: the shares of short sentences and of short words in an answer."""

import re

from harness import Item, Scorer

LONGEST_SENTENCE = 20  # words
LONGEST_WORD = 7  # letters


def score(item: Item, answer: str) -> dict[str, float]:
    """Score an answer; one without a word has no score."""
    sentences = [words for part in re.split(r"[.!?]+", answer) if (words := part.split())]
    words = [word for sentence in sentences for word in sentence]
    if not words:
        raise ValueError("the answer has no word")
    short = [len(sentence) <= LONGEST_SENTENCE for sentence in sentences]
    return {
        "sentences": sum(short) / len(short),
        "words": sum(len(word) <= LONGEST_WORD for word in words) / len(words),
    }


READABILITY = Scorer(
    score,
    columns=("sentences", "words"),
    bounds=(0, 1),
    description=f"shares of sentences of at most {LONGEST_SENTENCE} words, and of words of at most "
    f"{LONGEST_WORD} letters",
)
