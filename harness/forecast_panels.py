"""Who is there to judge before a run: panels, people, and people who have not voted yet."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from harness.judging import repeats_of
from harness.jury import Panel
from harness.people import People, load_people
from harness.questions import refuse_other_questions
from harness.request import Request, judge_name
from harness.seating import seat_judge, seat_panel
from harness.votes import NobodyVotedError, nobody_voted
from judges.protocol import Judge


class Unvoted(NamedTuple):
    """A study that nobody has voted on yet: it was begun with `n_drawn` pairs, or not at all."""

    run: Path
    study: str
    n_drawn: int | None


def find_people(request: Request) -> dict[str, People | Unvoted]:
    """The people who judge, by metric.

    Raises:
        HarnessError: their labels cannot be read, or answer another question.
    """
    found = {metric: _people_of(metric, request) for metric in request.suite.metrics}
    return {metric: people for metric, people in found.items() if people is not None}


def seat_those_there(
    request: Request, find_judge: Callable[[str], Judge], people: Mapping[str, People | Unvoted]
) -> tuple[dict[str, Panel], bool]:
    """The panels of metrics that can be judged already, and whether everything is as it will be."""
    panels, settled = {}, True
    for metric, spec in request.suite.metrics.items():
        if isinstance(people.get(metric), Unvoted):
            settled = False
            continue
        try:
            panels[metric] = seat_panel(metric, request, find_judge)
        except NobodyVotedError:  # on whom the judge is to be held to
            name, settled = judge_name(metric, request) or "", False
            repeats = repeats_of(spec)
            panels[metric] = seat_judge(name, request.profile, find_judge, repeats=repeats)
    return panels, settled


def _people_of(metric: str, request: Request) -> People | Unvoted | None:
    name = judge_name(metric, request)
    spec = None if name is None else request.profile.find_judge(name).people
    if spec is None:
        return None
    try:
        people = load_people(spec, request.profile_root)
    except NobodyVotedError as error:
        return Unvoted(error.run, error.study, None)
    refuse_other_questions(metric, request.suite.metrics[metric], people)
    if people.annotators or any(each.n_votes for each in people.turnout):
        return people
    assert spec.study is not None  # a file of labels has rows
    begun = nobody_voted(request.profile_root / spec.study)
    if not isinstance(begun, NobodyVotedError):
        raise begun
    return Unvoted(begun.run, begun.study, len(people.drawn))
