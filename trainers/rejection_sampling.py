"""Rejection sampling: of several answers to each prompt, the best by a judge becomes a row for SFT.

As in RAFT (https://arxiv.org/abs/2304.06767). An answer with a hygiene flag is never the best,
whatever its grade, nor is an answer that the judge could not grade.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from harness.data.jsonl import load_rows_with_stats, write_rows_with_stats
from harness.types import HygieneFlag, KeptStatistics, Message, Response
from harness.types.training import Example


class GradedAnswer(NamedTuple):
    """One of a model's answers; `grade` is None if the judge gave none."""

    response: Response
    flags: tuple[HygieneFlag, ...]
    grade: float | None


class GradedDraws(NamedTuple):
    """All answers to one prompt, in the order in which they were drawn."""

    sample_id: str
    prompt: tuple[Message, ...]
    answers: Sequence[GradedAnswer]


# Why a prompt has no row: none of its clean answers was graded, or none was clean.
Drop = Literal["unscored", "flagged"]


class BestOfStatistics(KeptStatistics):
    """Counts of prompts (`prompts` is `kept` plus all that were `dropped`) and of answers.

    Grades are from 0, the low end of the scale, to 1.
    """

    prompts: int
    dropped: dict[Drop, int]
    answers: int
    flagged: int
    unscored: int
    mean_grade: float | None
    mean_grade_of_best: float | None


class BestOf(NamedTuple):
    """The rows to train on, and statistics of the answers."""

    rows: list[Example]
    statistics: BestOfStatistics


def choose_best(draws: Iterable[GradedDraws]) -> BestOf:
    """Choose the answer with the best grade and no flag for each prompt; of equals the first drawn."""
    draws = list(draws)
    rows: list[Example] = []
    best: list[float] = []
    dropped: Counter[Drop] = Counter()
    # Choose.
    for draw in draws:
        graded = [(a.grade, a) for a in draw.answers if a.grade is not None and not a.flags]
        if not graded:
            dropped["flagged" if all(a.flags for a in draw.answers) else "unscored"] += 1
            continue
        grade, answer = max(graded, key=lambda pair: pair[0])  # the first of equals
        best.append(grade)
        rows.append(
            Example(id=draw.sample_id, prompt=draw.prompt, completion=answer.response.text or "")
        )
    # Count.
    answers = [answer for draw in draws for answer in draw.answers]
    grades = [answer.grade for answer in answers if answer.grade is not None]
    statistics = BestOfStatistics(
        prompts=len(draws),
        kept=len(rows),
        dropped=dict(dropped),
        answers=len(answers),
        flagged=sum(bool(answer.flags) for answer in answers),
        unscored=sum(answer.grade is None and not answer.flags for answer in answers),
        mean_grade=sum(grades) / len(grades) if grades else None,
        mean_grade_of_best=sum(best) / len(best) if best else None,
    )
    return BestOf(rows, statistics)


def write_best_of(path: Path, best: BestOf) -> None:
    """Write the rows as JSON Lines, and then their statistics in a second file."""
    write_rows_with_stats(path, best.rows, best.statistics)


def load_best_of(path: Path) -> BestOf:
    """Load the rows of a file, and their statistics.

    Raises:
        HarnessError: missing, unreadable or incomplete.
    """
    return BestOf(*load_rows_with_stats(path, Example, BestOfStatistics))
