"""Who judges what: the judges of a profile, made and put on the panels of a suite's metrics."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from harness.asking import Terms
from harness.errors import HarnessError
from harness.hub import require_model
from harness.judging import repeats_of
from harness.jury import Panel, make_panel, make_people_panel
from harness.people import load_people
from harness.questions import refuse_other_questions
from harness.request import Request, judge_name, judge_names
from harness.suite import Profile
from judges.make import make_judge, rouge_judge
from judges.protocol import Judge


def judges_of(profile: Profile, root: Path, *, terms: Terms = None) -> Callable[[str], Judge]:
    """The profile's judges by name, each made once; `terms` are those on which endpoints are asked.

    What is returned raises HarnessError for a name the profile has not, and for recorded
    verdicts that cannot be read.
    """

    @cache
    def find_judge(name: str) -> Judge:
        spec = profile.find_judge(name)
        if spec.jury is not None:
            members = ", ".join(spec.jury.members)
            raise HarnessError(f"'{name}' is a jury; name one of its judges here: {members}.")
        if spec.people is not None:
            raise HarnessError(
                f"judge '{name}' is people: what they said is read, and they cannot be asked here."
            )
        return make_judge(name, spec, root, terms=terms)

    return find_judge


def seat_panels(request: Request, find_judge: Callable[[str], Judge]) -> dict[str, Panel]:
    """Who judges each metric of the request's suite.

    Raises:
        HarnessError: as `judges_of`, or a panel that could not judge.
    """
    return {name: seat_panel(name, request, find_judge) for name in request.suite.metrics}


def seat_panel(metric_name: str, request: Request, find_judge: Callable[[str], Judge]) -> Panel:
    """Who judges one metric.

    Raises:
        HarnessError: as `seat_panels`.
    """
    name = judge_name(metric_name, request)
    if name is None:
        return make_panel("", [rouge_judge()], None, repeats=1)
    metric = request.suite.metrics[metric_name]
    repeats = repeats_of(metric)
    spec, root = request.profile.find_judge(name), request.profile_root
    if spec.people is not None:
        people = load_people(spec.people, root)
        refuse_other_questions(metric_name, metric, people)
        return make_people_panel(spec.title or name, people, repeats)
    panel = seat_judge(name, request.profile, find_judge, repeats=repeats)
    if spec.calibrated_by is None:
        return panel
    people = load_people(spec.calibrated_by, root)
    named = f"{people.source} ({people.fingerprint[:12]})"
    return panel._replace(card=panel.card.model_copy(update={"calibrated_by": named}))


def require_judges(request: Request) -> None:
    """Return if every language model on this machine that is to judge lies here or can be fetched.

    They are loaded when there is something to judge, which is too late to find out.

    Raises:
        InfrastructureError: one is a hub model that cannot be had; says what to do.
    """
    names = {name for metric in request.suite.metrics for name in judge_names(metric, request)}
    for name in sorted(names):
        spec = request.profile.find_judge(name).local
        if spec is not None and not (request.profile_root / spec.checkpoint).is_dir():
            require_model(spec.checkpoint, spec.revision)


def seat_judge(
    name: str, profile: Profile, find_judge: Callable[[str], Judge], *, repeats: int
) -> Panel:
    """The judge or the jury of that name in the profile, each member asked `repeats` times.

    Raises:
        HarnessError: as `judges_of`, or a panel that could not judge.
    """
    spec = profile.find_judge(name)
    judges = [find_judge(member) for member in profile.members_of(name)]
    return make_panel(spec.title or name, judges, spec.jury, repeats)
