"""Stored votes held against what their annotators were shown.

Which answer is on the left of which pair is decided by the study's secret, for each annotator anew. A vote
that was written by hand, or moved to another annotator or pair, does not fit it in half of all cases.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.artifacts.answers import AnsweredItems
from harness.core.errors import InfrastructureError
from harness.core.sanitize import one_line
from harness.human.annotate.assignment import (
    SHARED_ANNOTATOR,
    assign_items,
    item_texts,
    opposite_side,
)
from harness.human.votes import VOTES_FILE, text_sha256
from harness.types import ScoredCriterion, Study, StudyItem, Vote
from harness.types.human import Side


def require_placed(
    votes: Iterable[Vote], study: Study, answers: AnsweredItems, folder: Path
) -> None:
    """Refuse votes that cannot have been cast on the study in `folder`.

    Raises:
        InfrastructureError: names the file, the annotator, the pair, and what does not fit.
    """
    items = {item.key: item for item in study.items}
    sides: dict[str, dict[str, Side]] = {}
    for vote in votes:
        # Where Label Studio asked several people, they all saw the same sides.
        shown_to = [vote.annotator]
        if vote.source == "label_studio":
            shown_to.append(SHARED_ANNOTATOR)
        for name in shown_to:
            if name not in sides:
                sides[name] = {a.item.key: a.left for a in assign_items(study, name)}
        lefts = {sides[name].get(vote.item) for name in shown_to}
        problem = next(_misfits(vote, items.get(vote.item), lefts, study, answers), None)
        if problem is not None:
            who = one_line(vote.annotator)[:80]
            raise InfrastructureError(
                f"{folder / VOTES_FILE}: the vote of '{who}' on {one_line(vote.item)[:80]} {problem}, so "
                "the file was changed. Restore it, or delete the line to do without the vote."
            )


def _misfits(
    vote: Vote,
    item: StudyItem | None,
    lefts: set[Side | None],
    study: Study,
    answers: AnsweredItems,
) -> Iterator[str]:
    if item is None or (item.kind, item.task, item.sample_id) != (
        vote.kind,
        vote.task,
        vote.sample_id,
    ):
        yield "is on no such pair of the study"
        return
    if (vote.study, vote.baseline, vote.candidate) != (study.name, study.baseline, study.candidate):
        yield "is of another study or other models"
    if vote.left not in lefts:
        yield "has the answers on other sides than they were shown"
    if {"left": vote.left, "right": opposite_side(vote.left)}.get(
        vote.choice, vote.choice
    ) != vote.verdict:
        yield "has a verdict that is not its choice"
    if vote.question != text_sha256(answers[item.sample_id].transcript) or vote.texts != {
        side: text_sha256(text) for side, text in item_texts(item, study, answers).items()
    }:
        yield "is on other texts than the run's"
    criteria = {criterion.name: criterion for criterion in study.criteria}
    for scores in vote.scores.values():
        for name, score in scores.items():
            if not _is_on_scale(score, criteria.get(name)):
                yield f"has a score of {score} on '{one_line(name)[:80]}', which is off its scale"


def _is_on_scale(score: int, criterion: ScoredCriterion | None) -> bool:
    return criterion is not None and criterion.low <= score <= criterion.high
