"""Studies with votes, as `harness annotate` leaves them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.human.annotate.assignment import assign_items
from harness.human.annotate.study import StudyOptions, open_study
from harness.human.annotate.vote_form import VoteForm, resolve_vote_form
from harness.human.votes import VoteLog
from harness.types import StudyItem
from harness.types.human import Choice, Side, VoteVerdict

Says = Callable[[StudyItem], VoteVerdict]


def cast_votes(run: Path, annotators: Mapping[str, Says], n: int = 60, **options: object) -> Path:
    """Everybody votes on everything; returns the study's folder."""
    opened = open_study(run, StudyOptions(n=n, **options))  # type: ignore[arg-type]
    study = opened.study
    with VoteLog(opened.folder) as log:
        for name, says in annotators.items():
            for assignment in assign_items(study, name):
                choice = _choice(says(assignment.item), assignment.left)
                form = VoteForm(choice, {"left": {}, "right": {}}, "")
                log.append(
                    resolve_vote_form(
                        form, assignment, opened, name,
                        voted_at="2026-11-02T10:15:00+00:00", seconds=None, source="page",
                    )
                )  # fmt: skip
    return opened.folder


def steady(verdict: VoteVerdict) -> Says:
    """Always the same, and attentive."""
    return lambda item: "expected" if item.kind == "attention" else verdict


def _choice(verdict: VoteVerdict, left: Side) -> Choice:
    if verdict in ("tie", "both_unsafe", "cannot_judge"):
        return verdict
    return "left" if verdict == left else "right"
