"""Juries and repeats: several verdicts on the same thing, made one before anything is scored.

    judgements of each judge and round → one judgement for each answer or ordered pair

Scores are averaged, labels and winners go by majority. A judge's own rounds are made one first,
then the judges are, so that no judge weighs more because its neighbour failed.
"""

from collections.abc import Sequence
from typing import NamedTuple

from harness.config import ComputedMetric, Jury
from harness.config.request import Request, judge_names
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.core.hub import check_model_available
from harness.human.labels import HumanLabels, load_human_labels
from harness.human.question_match import require_same_question
from harness.types import JudgeCard
from judges.factory import ProfileJudges, make_computed_judge
from judges.human import AnnotatorJudge, people_card
from judges.protocol import Judge


class Panel(NamedTuple):
    """Who judges a metric: one judge or a jury, each asked `repeats` times.

    There is a verdict where `votes_needed` of the judges give one. Of people, `covers` are the
    items whose verdicts make the metric.
    """

    card: JudgeCard
    judges: tuple[Judge, ...]
    repeats: int = 1
    votes_needed: int = 1
    covers: tuple[str, ...] | None = None


def make_panel(title: str, judges: Sequence[Judge], jury: Jury | None, repeats: int) -> Panel:
    """A panel of one judge, or of a jury's members.

    Raises:
        HarnessError: a judge would vote twice, or recorded verdicts be asked for again.
    """
    cards = tuple(judge.card for judge in judges)
    fingerprints = [card.fingerprint for card in cards]
    for card in cards:
        if fingerprints.count(card.fingerprint) > 1:
            raise HarnessError(
                f"jury '{title}': '{card.name}' is there twice under different names, and would "
                "vote twice."
            )
    for card in cards:
        if repeats > 1 and card.replayed:
            raise HarnessError(
                f"judge '{card.name}': recorded verdicts cannot be asked for again; "
                "state no 'repeats' for them."
            )
    if jury is None:
        return Panel(cards[0], tuple(judges), repeats)
    return Panel(_jury_card(title, cards, jury), tuple(judges), repeats, jury.votes_needed)


def make_people_panel(title: str, people: HumanLabels, repeats: int) -> Panel:
    """A panel of everybody whose labels count.

    Raises:
        HarnessError: nobody's do, or they are to be asked again.
    """
    if repeats > 1:
        raise HarnessError(f"judge '{title}': people are asked once; state no 'repeats' for them.")
    judges = tuple(AnnotatorJudge(name, people) for name in people.annotators)
    if not judges:
        raise HarnessError(f"judge '{title}': nobody's votes count in {people.source}.")
    return Panel(people_card(title, people), judges, covers=people.metric_ids)


def _jury_card(title: str, cards: tuple[JudgeCard, ...], jury: Jury) -> JudgeCard:
    names = ", ".join(card.name for card in cards)
    return JudgeCard(
        name=title,
        nature=f"jury of {names}; mean of scores, majority of labels, "
        f"at least {jury.votes_needed} of {len(cards)} verdicts",
        fingerprint=content_hash([card.fingerprint for card in cards], jury.votes_needed),
        remote=any(card.remote for card in cards),
        members=cards,
    )


def make_panels(request: Request, judges: ProfileJudges) -> dict[str, Panel]:
    """Make the panel of each metric of the request's suite.

    Raises:
        HarnessError: as `make_metric_panel`.
    """
    return {name: make_metric_panel(name, request, judges) for name in request.suite.metrics}


def make_metric_panel(metric_name: str, request: Request, judges: ProfileJudges) -> Panel:
    """Make the panel of one metric.

    Raises:
        HarnessError: as `make_named_panel`, or labels of people that cannot be read.
    """
    metric = request.suite.metrics[metric_name]
    if isinstance(metric, ComputedMetric):
        return make_panel("", [make_computed_judge(metric)], None, repeats=1)
    name, repeats = request.judge or metric.judge, metric.repeats
    spec, root = request.profile.find_judge(name), request.profile_root
    if spec.people is not None:
        people = load_human_labels(spec.people, root)
        require_same_question(metric_name, metric, people)
        return make_people_panel(spec.title or name, people, repeats)
    panel = make_named_panel(name, judges, repeats=repeats)
    if spec.calibrated_by is None:
        return panel
    people = load_human_labels(spec.calibrated_by, root)
    named = f"{people.source} ({people.fingerprint[:12]})"
    return panel._replace(card=panel.card.model_copy(update={"calibrated_by": named}))


def check_judges_available(request: Request) -> None:
    """Return if every language model on this machine that is to judge lies here or can be fetched.

    They are loaded when there is something to judge, which is too late to find out.

    Raises:
        InfrastructureError: one is a hub model that cannot be had; says what to do.
    """
    names = {name for metric in request.suite.metrics for name in judge_names(metric, request)}
    for name in sorted(names):
        spec = request.profile.find_judge(name).local
        if spec is not None and not (request.profile_root / spec.checkpoint).is_dir():
            check_model_available(spec.checkpoint, spec.revision)


def make_named_panel(name: str, judges: ProfileJudges, *, repeats: int) -> Panel:
    """Make a panel of the judge or the jury of that name, each member asked `repeats` times.

    Raises:
        HarnessError: the profile has none of that name, or it could not judge.
    """
    spec = judges.profile.find_judge(name)
    members = [judges.find(member) for member in judges.profile.members_of(name)]
    return make_panel(spec.title or name, members, spec.jury, repeats)
