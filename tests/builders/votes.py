"""Studies with votes, as `harness annotate` leaves them."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.human.annotate.study import StudyOptions, open_study
from harness.human.votes import VoteLog, text_sha256
from harness.types import StudyItem, Vote
from harness.types.human import Choice, Side, VoteVerdict

Says = Callable[[StudyItem], VoteVerdict]


def cast_votes(run: Path, annotators: Mapping[str, Says], n: int = 60, **options: object) -> Path:
    """Everybody votes on everything; returns the study's folder."""
    opened = open_study(run, StudyOptions(n=n, **options))  # type: ignore[arg-type]
    study, rng = opened.study, random.Random(1)
    with VoteLog(opened.folder) as log:
        for name, says in annotators.items():
            for item in study.items:
                sides: list[Side] = ["baseline", "candidate"]
                if item.kind == "attention":
                    sides = ["expected", "decoy"]
                left = rng.choice(sides)
                verdict = says(item)
                log.append(
                    Vote(
                        study=study.name, item=item.key, kind=item.kind, task=item.task,
                        sample_id=item.sample_id, baseline=study.baseline,
                        candidate=study.candidate, question=text_sha256(""), texts={},
                        annotator=name, left=left, choice=_choice(verdict, left), verdict=verdict,
                        voted_at="2026-11-02T10:15:00+00:00",
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
