"""The power of people's votes, and the number of annotators needed, before a run that people judge.

The gate treats items and annotators as samples (`stats/annotator_means.py`). Few annotators are few
degrees of freedom, and no number of items makes up for that, so the forecast states it before
anybody has voted.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.config import Claim, Gate, Metric, RubricMetric, metric_of
from harness.config.request import Request, judge_name
from harness.core.errors import HarnessError
from harness.gate.feasibility import effective_sample_size
from harness.human.labels import HumanLabels, load_human_labels, require_fitting
from harness.human.question_match import require_same_question
from harness.human.summary import LabelTable, score_table, win_table
from harness.human.votes import NobodyVotedError, no_votes_error
from harness.planning.claims import AssumedTest, assume_test
from harness.stats.annotator_means import two_way_mean
from harness.stats.annotator_power import (
    MOST_ANNOTATORS,
    VoteDesign,
    VoteSpread,
    detectable_by_votes,
    detectable_of_mean,
    fewest_votes,
    vote_spread,
)
from harness.types import Record, Task, find_metric
from judges.factory import ProfileJudges
from judges.panel import Panel, make_metric_panel, make_named_panel


class NoVotes(NamedTuple):
    """A study without votes; `n_drawn` is its number of pairs, None if it has not begun."""

    run: Path
    study: str
    n_drawn: int | None


def load_human_judges(request: Request) -> dict[str, HumanLabels | NoVotes]:
    """Load the labels of each metric that people judge.

    Raises:
        HarnessError: their labels cannot be read, or answer another question.
    """
    by_metric = {metric: _people_of(metric, request) for metric in request.suite.metrics}
    return {metric: people for metric, people in by_metric.items() if people is not None}


def make_available_panels(
    request: Request,
    judges: ProfileJudges,
    people: Mapping[str, HumanLabels | NoVotes],
) -> tuple[dict[str, Panel], bool]:
    """Make the panels of the metrics that can be judged already.

    The second value is whether they are final: no votes are still to come.
    """
    panels, final = {}, True
    for metric, spec in request.suite.metrics.items():
        if isinstance(people.get(metric), NoVotes):
            final = False
            continue
        try:
            panels[metric] = make_metric_panel(metric, request, judges)
        except NobodyVotedError:  # in the study that calibrates the judge
            name, final = judge_name(metric, request) or "", False
            panels[metric] = make_named_panel(name, judges, repeats=spec.repeats)
    return panels, final


def _people_of(metric: str, request: Request) -> HumanLabels | NoVotes | None:
    name = judge_name(metric, request)
    spec = None if name is None else request.profile.find_judge(name).people
    if spec is None:
        return None
    try:
        people = require_fitting(load_human_labels(spec, request), request.models)
    except NobodyVotedError as error:
        return NoVotes(error.run, error.study, None)
    require_same_question(metric, request.suite.metrics[metric], people)
    if people.annotators or any(status.n_votes for status in people.annotator_status):
        return people
    assert spec.study is not None  # a file of labels has rows
    no_votes = no_votes_error(request.profile_root / spec.study)
    if not isinstance(no_votes, NobodyVotedError):
        raise no_votes
    return NoVotes(no_votes.run, no_votes.study, len(people.sampled_ids))


# The spread of annotators' means as a share of the scale's range, where there are no votes: a round
# guess, equal to that of the annotators in `harness selftest`.
ASSUMED_LEANING = 0.1
FIRST_STUDY = 100  # pairs of a study of which no number is known to be enough
LEAST_ITEMS = 20  # of a study: fewer show nothing of how far items differ
N_ANNOTATORS = (2, 3, 5, 8, 12, 20)  # for which the forecast gives a detectable distance


class DesignForecast(Record):
    """The power of a number of annotators, each of whom votes on every item.

    `sd_items` and `sd_annotators` are the spreads of items and of annotators. `by_annotators` is the
    smallest distance of the truth from the boundary that a number of annotators shows on `n_items`
    items, None where the scale ends before it. `n_annotators_needed` on `n_items_needed` items would
    decide the claim if the truth were `assumed_truth`; None where 100 annotators on all items would
    not. Items are treated as independent, also where they come in clusters.
    """

    sd_items: float
    sd_annotators: float
    n_items: int
    by_annotators: dict[int, float | None]
    assumed_truth: float
    n_annotators_needed: int | None
    n_items_needed: int | None


class HumanClaimForecast(Record):
    """The power of people's votes for one claim, each number with 80 % power.

    `n_voted` of `n_drawn` items have votes: `n_votes` by `n_annotators` who count. They show a
    distance of `detectable` from the boundary. `assumed` names the spreads that are assumed: of
    items, of annotators. `begin` is the command that begins a study, where there is none.
    """

    claim: str
    source: str
    n_drawn: int
    n_annotators: int = 0
    excluded: tuple[str, ...] = ()
    n_votes: int = 0
    n_voted: int = 0
    detectable: float | None = None
    assumed: tuple[str, ...]
    begin: str | None = None
    design: DesignForecast


def forecast_human_claims(
    gate: Gate,
    tasks: Sequence[Task],
    models: tuple[str, str],
    judges: Mapping[str, HumanLabels | NoVotes],
) -> Iterator[HumanClaimForecast]:
    """Forecast each claim on a metric that people judge.

    `models` are baseline and candidate, `judges` by metric.

    Raises:
        HarnessError: nobody's votes count, or they are about other models.
    """
    for claim in gate.claims:
        metric, task = find_metric(claim.metric, tasks)
        people = judges.get(metric_of(claim.metric))
        if people is None:
            continue
        test = assume_test(claim, metric, gate, clustered=effective_sample_size(task)[1] != "items")
        clusters = {s.id: s.cluster for s in task.samples if s.cluster is not None}
        case = _Case(claim, metric, test, task.n_items, clusters)
        if isinstance(people, NoVotes):
            yield _forecast_without_votes(case, people)
        else:
            yield _forecast_from_votes(case, people, models)


def describe_human_claims(forecasts: Sequence[HumanClaimForecast]) -> Iterator[str]:
    """Yield a few lines on each claim that people judge."""
    if forecasts:
        yield (
            "Distance of the truth from the boundary that people show with 80 % power, where items "
            "and annotators are both samples:"
        )
    for f in forecasts:
        yield f"  {f.claim}"
        yield f"    {_describe_votes(f)}"
        if f.excluded:
            yield f"    excluded by the rule for annotators: {', '.join(f.excluded)}"
        if f.n_votes and f.n_voted < f.n_drawn:
            yield (
                f"    {f.n_drawn - f.n_voted:,} drawn items have no vote, and count at their worst "
                "until they have"
            )
        design = f.design
        distances = ", ".join(f"{m}: {_distance(d)}" for m, d in design.by_annotators.items())
        yield f"    with {design.n_items:,} items each, by the number of annotators: {distances}"
        yield f"    {_describe_needed(f)} ({_describe_spread(f)})"
        if f.begin:
            yield f"    begin with: {f.begin}"


def _describe_votes(f: HumanClaimForecast) -> str:
    if not f.n_votes:
        return f"{f.source}: nobody has voted yet"
    annotators = "1 annotator" if f.n_annotators == 1 else f"{f.n_annotators} annotators"
    one_person = ", for this person alone" if f.n_annotators == 1 else ""
    return (
        f"{f.source}: {f.n_votes:,} votes of {annotators} on {f.n_voted:,} of {f.n_drawn:,} items: "
        f"{_distance(f.detectable)}{one_person}"
    )


def _distance(detectable: float | None) -> str:
    return "never" if detectable is None else f"{detectable:.3g}"


def _describe_needed(f: HumanClaimForecast) -> str:
    n, m = f.design.n_items_needed, f.design.n_annotators_needed
    truth = f"if the truth is {f.design.assumed_truth:.3g}"
    if n is None or m is None:
        return f"{truth}, not even {MOST_ANNOTATORS} annotators on all items would do"
    return f"{truth}, {m} annotators on {n:,} items each would do"


def _describe_spread(f: HumanClaimForecast) -> str:
    def describe(name: str, sd: float) -> str:
        return f"{name} differ by sd {sd:.2g}{', assumed' if name in f.assumed else ''}"

    return (
        f"{describe('items', f.design.sd_items)}; {describe('annotators', f.design.sd_annotators)}"
    )


# --- forecasts -------------------------------------------------------------------------------


class _Case(NamedTuple):
    """A claim with its metric and its test; `clusters` holds the cluster of each clustered item."""

    claim: Claim
    metric: Metric
    test: AssumedTest
    n_items: int
    clusters: Mapping[str, str]

    @property
    def assumed_annotator_variance(self) -> float:
        """Return the variance between annotators that is assumed where votes do not show it."""
        low, high = self.metric.bounds_of(self.claim.metric)
        return (ASSUMED_LEANING * (high - low)) ** 2


def _forecast_without_votes(case: _Case, people: NoVotes) -> HumanClaimForecast:
    """Forecast from assumed spreads: of items as in every forecast, of annotators as in the selftest."""
    spread = VoteSpread(case.test.sd**2, case.assumed_annotator_variance, 0.0)
    needed = _fewest(spread, case)
    n_drawn = people.n_drawn or min(needed.n_items if needed else FIRST_STUDY, case.n_items)
    begin = None
    if people.n_drawn is None:
        study = "" if people.study == "study" else f" --study {people.study}"
        rubric = " --rubric" if isinstance(case.metric, RubricMetric) else ""
        begin = f"harness annotate {people.run}{study} --n {n_drawn}{rubric}"
    return HumanClaimForecast(
        claim=str(case.claim),
        source=f"study '{people.study}' of {people.run}",
        n_drawn=n_drawn,
        assumed=("items", "annotators"),
        begin=begin,
        design=_design(spread, case, n_drawn, needed),
    )


def _forecast_from_votes(
    case: _Case, people: HumanLabels, models: tuple[str, str]
) -> HumanClaimForecast:
    if people.models not in (None, models):
        raise HarnessError(
            f"{people.source}: people compared {' with '.join(people.models or ())}, in this order, and "
            f"not {' with '.join(models)}. None of their votes would count."
        )
    table = _votes(case, people, models)
    n_voted, votes = len(set(table.sample_ids) & set(people.sampled_ids)), table.values
    if not n_voted:
        raise HarnessError(f"{people.source}: nobody's votes count for '{case.claim.metric}'.")
    clusters = [case.clusters.get(i, i) for i in table.sample_ids]
    mean = two_way_mean(votes, clusters=clusters)
    assumed: tuple[str, ...] = ()
    try:
        spread = vote_spread(votes)
    except ValueError:  # one annotator
        spread, assumed = (
            VoteSpread(float(np.nanvar(votes)), case.assumed_annotator_variance, 0.0),
            ("annotators",),
        )
    detectable = detectable_of_mean(
        mean, alpha=case.test.alpha, power=case.test.power, reach=case.test.reach
    )
    return HumanClaimForecast(
        claim=str(case.claim),
        source=people.source,
        n_annotators=mean.n_annotators,
        excluded=tuple(a.name for a in people.annotator_status if not a.counted),
        n_votes=sum(label.asked_winner or bool(label.scores) for label in people.labels),
        n_voted=n_voted,
        n_drawn=len(people.sampled_ids),
        detectable=_within(detectable, case),
        assumed=assumed,
        design=_design(spread, case, len(votes), _fewest(spread, case)),
    )


def _design(
    spread: VoteSpread, case: _Case, n_items: int, needed: VoteDesign | None
) -> DesignForecast:
    def detectable_by(n_annotators: int) -> float | None:
        design = VoteDesign(n_annotators, n_items)
        detectable = detectable_by_votes(
            spread, design, alpha=case.test.alpha, power=case.test.power, reach=case.test.reach
        )
        return _within(detectable, case)

    return DesignForecast(
        sd_items=spread.items**0.5,
        sd_annotators=spread.annotators**0.5,
        n_items=n_items,
        by_annotators={n: detectable_by(n) for n in N_ANNOTATORS},
        assumed_truth=case.test.truth,
        n_annotators_needed=needed.n_annotators if needed else None,
        n_items_needed=needed.n_items if needed else None,
    )


def _within(distance: float | None, case: _Case) -> float | None:
    """Return the distance, or None where the scale ends before it on the side of the claim."""
    low, high = case.metric.bounds_of(case.claim.metric)
    if not case.metric.compares_pairs and not case.claim.kind.own_mean:
        low, high = low - high, high - low
    farthest = case.test.boundary - low if case.claim.kind.alarm else high - case.test.boundary
    if case.claim.kind.two_sided:
        farthest = case.test.truth - case.test.boundary
    return None if distance is None or distance > farthest else distance


def _fewest(spread: VoteSpread, case: _Case) -> VoteDesign | None:
    """Return the fewest votes that decide the claim."""
    return fewest_votes(
        spread,
        abs(case.test.truth - case.test.boundary),
        least_items=min(LEAST_ITEMS, case.n_items),
        most_items=case.n_items,
        alpha=case.test.alpha,
        power=case.test.power,
        reach=case.test.reach,
    )


def _votes(case: _Case, people: HumanLabels, models: tuple[str, str]) -> LabelTable:
    """Return the votes on the claim's column, on the items that have any.

    Items on which nobody needs to be asked are ties.
    """
    table = win_table(people)
    if case.metric.compares_pairs:
        sampled = set(people.sampled_ids)
        tied_ids = tuple(i for i in people.metric_ids if i not in sampled)
        ties = np.zeros((len(tied_ids), len(table.annotators)))
        votes = np.vstack([table.values - 0.5, ties])
        table = LabelTable((*table.sample_ids, *tied_ids), table.annotators, votes)
    else:
        keys = case.metric.parts_of(case.claim.metric).values()
        baseline, candidate = (
            np.mean([score_table(people, model, key).values for key in keys], axis=0)
            for model in models
        )
        table = table._replace(
            values=candidate if case.claim.kind.own_mean else candidate - baseline
        )
    labelled = table.labelled
    ids = tuple(i for i, has_votes in zip(table.sample_ids, labelled, strict=True) if has_votes)
    return LabelTable(ids, table.annotators, table.values[labelled])
