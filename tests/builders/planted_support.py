"""Statements with a label by construction: supported by an abstract of PubMedQA, or planted beside it.

Each item has one abstract as its passage, and four statements. Two are supported: a sentence of the abstract,
and another one reworded without a change of what it says. Two are not: each of a kind of plant in turn.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.core.statements import split_statements

MIN_WORDS, MAX_WORDS = 10, 40
PLANTS = ("foreign", "number", "negation", "direction")

_REWORDED = {
    "patients": "individuals", "significantly": "markedly", "showed": "demonstrated", "compared with": "versus",
    "children": "young people", "performed": "carried out", "investigated": "studied", "evaluated": "assessed",
    "a total of": "altogether", "in order to": "to", "determine": "find out", "examined": "looked at",
}  # fmt: skip
_DIRECTIONS = {
    "increased": "decreased", "decreased": "increased", "higher": "lower", "lower": "higher", "more": "less",
    "improved": "worsened", "increase": "decrease", "reduction": "rise", "greater": "smaller", "less": "more",
    "reduced": "raised", "positive": "negative", "longer": "shorter", "better": "worse",
}  # fmt: skip
_VERB = re.compile(r"\b(was|were|is|are|had|did|does|can|could|has|have)\b( not)?")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")


class PlantedStatement(NamedTuple):
    """A statement about a passage, whether the passage supports it, and how it was made."""

    item: str
    question: str
    passage: str
    statement: str
    supported: bool
    kind: str


def make_statements(pubmedqa: Path, *, n_items: int, seed: int) -> list[PlantedStatement]:
    """Make four statements on each of `n_items` abstracts, always the same of a seed."""
    rows = json.loads(pubmedqa.read_text(encoding="utf-8"))
    rng = random.Random(seed)
    names = rng.sample(sorted(rows), len(rows))
    texts = {name: " ".join(rows[name]["CONTEXTS"]) for name in names}
    made: list[PlantedStatement] = []
    for number, name in enumerate(names):
        if len({statement.item for statement in made}) == n_items:
            break
        wanted = (PLANTS[number % 4], PLANTS[(number + 1) % 4])
        found = list(_of_item(texts, name, names[number - 1], wanted, rng))
        if len(found) == 4:
            question = rows[name]["QUESTION"]
            made += [PlantedStatement(name, question, texts[name], *one) for one in found]
    return made


def _of_item(
    texts: dict[str, str], name: str, other: str, wanted: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, bool, str]]:
    sentences = _sentences(texts[name])
    rng.shuffle(sentences)
    if not sentences:
        return
    yield sentences.pop(), True, "verbatim"
    for kind in ("reworded", *wanted):
        pool = _sentences(texts[other]) if kind == "foreign" else sentences
        for sentence in pool:
            changed = _change(sentence, kind, rng)
            if (changed is not None and changed != sentence) or kind == "foreign":
                yield changed or sentence, kind == "reworded", kind
                if kind != "foreign":
                    sentences.remove(sentence)
                break


def _sentences(text: str) -> list[str]:
    found = (statement.text for statement in split_statements(text))
    return [text for text in found if MIN_WORDS <= len(text.split()) <= MAX_WORDS]


def _change(sentence: str, kind: str, rng: random.Random) -> str | None:
    """Return the sentence as a kind changes it; None where it holds nothing to change."""
    match kind:
        case "foreign":
            return sentence
        case "reworded":
            return _replace_words(sentence, _REWORDED)
        case "direction":
            return _replace_words(sentence, _DIRECTIONS, most=1)
        case "negation":
            verb = _VERB.search(sentence)
            if verb is None:
                return None
            new = verb[1] if verb[2] else f"{verb[1]} not"
            return sentence[: verb.start()] + new + sentence[verb.end() :]
        case _:
            numbers = list(_NUMBER.finditer(sentence))
            if not numbers:
                return None
            number = rng.choice(numbers)
            decimals = len(number[0].partition(".")[2])
            new = f"{float(number[0]) * 2 + 3:.{decimals}f}"
            return sentence[: number.start()] + new + sentence[number.end() :]


def _replace_words(sentence: str, table: dict[str, str], most: int = 0) -> str | None:
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, table))})\b")
    new, n = pattern.subn(lambda word: table[word[1]], sentence, count=most)
    return new if n else None
