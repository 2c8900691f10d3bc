"""Panels: the judge, the jury or the people that judge a metric.

    judgements of each judge and round → one judgement for each answer or ordered pair

Scores are averaged, labels and winners go by majority. A judge's own rounds are made one first,
then the judges are, so that no judge weighs more because its neighbour failed.
"""

from collections.abc import Sequence
from typing import NamedTuple

from harness.config import ComputedMetric, Gate, JudgedMetric, Jury, Profile, metric_of
from harness.config.request import Request, judge_names
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.core.hub import check_model_available
from harness.human.labels import HumanLabels, load_human_labels, require_fitting
from harness.human.question_match import require_same_question, require_scores_on_scale
from harness.models.gguf import locate_model
from harness.types import JudgeCard
from judges.factory import ProfileJudges, make_computed_judge
from judges.human import AnnotatorJudge, people_card
from judges.protocol import Judge

FEWEST_JUDGES = 3  # of a sample: two have one degree of freedom, and find nothing


class Panel(NamedTuple):
    """The judges of a metric: one judge or a jury, each asked `repeats` times.

    There is a verdict where at least `votes_needed` of the judges give one. For a panel of people,
    `covers` lists the items whose verdicts make the metric. The `second` judge is asked where the first
    one's verdict cannot be read.
    """

    card: JudgeCard
    judges: tuple[Judge, ...]
    repeats: int = 1
    votes_needed: int = 1
    covers: tuple[str, ...] | None = None
    second: Judge | None = None


def make_panel(title: str, judges: Sequence[Judge], jury: Jury | None, repeats: int) -> Panel:
    """Make a panel of one judge, or of a jury's members.

    Raises:
        HarnessError: a judge would vote twice, or recorded verdicts would be asked for again.
    """
    # 1. Refuse juries and repeats that cannot be.
    cards = tuple(judge.card for judge in judges)
    fingerprints = [card.fingerprint for card in cards]
    for card in cards:
        if fingerprints.count(card.fingerprint) > 1:
            raise HarnessError(
                f"jury '{title}': '{card.name}' is listed twice under different names, and would "
                "vote twice."
            )
    for card in cards:
        if repeats > 1 and card.replayed:
            raise HarnessError(
                f"judge '{card.name}': recorded verdicts cannot be asked for again; "
                "state no 'repeats' for them."
            )
    # 2. Describe the panel.
    if jury is None:
        return Panel(cards[0], tuple(judges), repeats)
    return Panel(_jury_card(title, cards, jury), tuple(judges), repeats, jury.votes_needed)


def make_people_panel(title: str, people: HumanLabels, repeats: int) -> Panel:
    """Make a panel of all annotators whose labels count.

    Raises:
        HarnessError: no annotator's labels count, `repeats` asks them more than once, or the items
            were drawn with unequal chances.
    """
    if people.chances is not None:
        raise HarnessError(
            f"judge '{title}': the items of {people.source} were drawn with unequal chances. Such labels "
            "correct another judge ('calibrated_by'), and are no judge by themselves."
        )
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
        HarnessError: as `make_named_panel`, labels of people that cannot be read, a prompt that
            nobody would read, a judge that is its own second, or too few judges for a sample.
    """
    # A computed metric has a judge of its own.
    metric = request.suite.metrics[metric_name]
    if isinstance(metric, ComputedMetric):
        return make_panel("", [make_computed_judge(metric)], None, repeats=1)
    name, repeats = request.judge or metric.judge, metric.repeats
    require_prompt_reader(f"metric '{metric_name}'", metric, name, request.profile)
    # People, a judge or a jury.
    spec = request.profile.find_judge(name)
    if spec.people is not None:
        people = require_fitting(load_human_labels(spec.people, request), request.models)
        require_same_question(metric_name, metric, people)
        return make_people_panel(spec.title or name, people, repeats)
    panel = make_named_panel(name, judges, repeats=repeats)
    gate = request.suite.gate
    if gate is not None and gate.judges_as == "sample":
        panel = _as_sample(panel, metric_name, gate)
    if spec.then is not None:
        panel = _add_second(panel, judges.find(spec.then))
    if spec.calibrated_by is None:
        return panel
    people = load_human_labels(spec.calibrated_by, request)
    require_scores_on_scale({metric_name: metric}, people)
    labels = f"{people.source} ({people.fingerprint[:12]})"
    return panel._replace(card=panel.card.model_copy(update={"calibrated_by": labels}))


def _as_sample(panel: Panel, metric_name: str, gate: Gate) -> Panel:
    """Return a jury read as a sample of judges; what no claim is about may have fewer judges, as they are."""
    n, card = len(panel.judges), panel.card
    if n < FEWEST_JUDGES:
        if any(metric_of(claim.metric) == metric_name for claim in gate.claims):
            raise HarnessError(
                f"gate: 'judges_as: sample' takes a jury of {FEWEST_JUDGES} judges or more behind each claim, "
                f"since fewer hardly show how far judges differ. '{metric_name}' is judged by {n}: '{card.name}'. "
                "Add judges to its jury in the profile, or leave 'judges_as' out."
            )
        return panel
    names = ", ".join(member.name for member in card.members)
    update = {
        "nature": f"jury of {names}, read as a sample of judges like them; mean of their scores, at least "
        f"{panel.votes_needed} of {n} verdicts",
        "fingerprint": content_hash(card.fingerprint, "sample"),
        "sample": True,
    }
    return panel._replace(card=card.model_copy(update=update))


def _add_second(panel: Panel, second: Judge) -> Panel:
    if second.card.fingerprint == panel.card.fingerprint:
        raise HarnessError(
            f"judge '{panel.card.name}': 'then' names the same judge under another name, which would say "
            "the same again."
        )
    card = panel.card.model_copy(update={"then": second.card})
    return panel._replace(card=card, second=second)


def require_prompt_reader(what: str, metric: JudgedMetric, judge: str, profile: Profile) -> None:
    """Check that no rules, which read no prompt, would judge a metric that has one of its own.

    Raises:
        HarnessError: they would; names `what` the metric is of.
    """
    for member in profile.members_of(judge) if metric.prompt is not None else ():
        if profile.find_judge(member).offline is not None:
            raise HarnessError(
                f"{what}: has a 'prompt' of its own, and judge '{member}' is rules that read none. Name a "
                "language model as its judge, or leave 'prompt' out."
            )


def check_judges_available(request: Request) -> None:
    """Check that every local language model that will judge is on this machine or can be fetched.

    Models are loaded at the first request to a judge, which is too late to find out.

    Raises:
        InfrastructureError: a hub model cannot be fetched; names what to do.
    """
    names = {name for metric in request.suite.metrics for name in judge_names(metric, request)}
    for name in sorted(names):
        spec = request.profile.find_judge(name).local
        if spec is not None:
            source = locate_model(spec.checkpoint, request.profile_root)
            check_model_available(source, spec.revision)


def make_named_panel(name: str, judges: ProfileJudges, *, repeats: int) -> Panel:
    """Make a panel of the judge or the jury of that name, each member asked `repeats` times.

    Raises:
        HarnessError: the profile has none of that name, or it could not judge.
    """
    spec = judges.profile.find_judge(name)
    members = [judges.find(member) for member in judges.profile.members_of(name)]
    return make_panel(spec.title or name, members, spec.jury, repeats)
