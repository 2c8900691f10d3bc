"""Metrics of one's own: what an installed package registers, and all of ours that it imports.

    from harness import Item, Scorer

    def score(item: Item, answer: str) -> dict[str, float]:
        return {"words": min(len(answer.split()), 1000)}

    LENGTH = Scorer(score, columns=("words",), bounds=(0, 1000), description="words of the answer")

Its pyproject.toml gives the scorer the name that a suite uses (`{kind: plugin, scorer: length}`):

    [project.entry-points."harness.metrics"]
    length = "my_package:LENGTH"
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Item(NamedTuple):
    """What a scorer sees of an item: what the model was asked, and the acceptable answers.

    Of a conversation `input` is all turns, each behind its speaker.
    """

    input: str
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scorer:
    """A computed metric.

    Attributes:
        score: Gives every column's value for an item and an answer, the same for the same two. It raises
            where there is no score; the item is then unscored for that reason, in the words of the error.
        columns: The names of the columns; a claim writes METRIC.COLUMN.
        bounds: The smallest and the largest value of every column. Higher is better, as everywhere.
        description: What is scored, in words for reports.
        needs_reference: A run on items without a reference is refused.
    """

    score: Callable[[Item, str], Mapping[str, float]]
    columns: tuple[str, ...]
    bounds: tuple[float, float]
    description: str
    needs_reference: bool = False
