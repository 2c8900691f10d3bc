"""What people's votes come to: a win rate with its interval, and how far annotators agree.

Items and annotators are both samples here: the interval speaks for other people who would judge
as these do. With one annotator it cannot, and says so.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from harness.analysis.judge_reliability import Scale, agree_on, as_interval
from harness.human.labels import HumanLabels, Label
from harness.scoring.columns import WIN
from harness.stats.agreement import percent_agreement
from harness.stats.annotator_means import Votes, mean_votes, two_way_mean
from harness.stats.means import mean_difference
from harness.stats.permutation import signflip_test
from harness.stats.vectors import Interval as Span
from harness.types import AnnotatorSummary, HumanMean, HumanSummary, Interval, JudgeAgreement

N_NAMED = 10  # items in a line


WINS = "win_rate"  # what people's preferences are called where no metric asked for them


class LabelTable(NamedTuple):
    """One column's labels: items x annotators, NaN where there is none."""

    sample_ids: tuple[str, ...]
    annotators: tuple[str, ...]
    values: Votes

    @property
    def labelled(self) -> "np.ndarray":
        """Which items have a label."""
        return np.asarray((~np.isnan(self.values)).any(axis=1))


def win_table(people: HumanLabels) -> LabelTable:
    """Win scores of the candidate: 1, 0.5 for a tie, 0."""
    return _table(people, lambda label: np.nan if label.winner is None else WIN[label.winner])


def score_table(people: HumanLabels, model: str, name: str) -> LabelTable:
    """Scores of one model's answers under that name."""
    return _table(people, lambda label: label.scores.get(model, {}).get(name, np.nan))


def summarise_labels(people: HumanLabels, baseline: str, candidate: str) -> HumanSummary:
    """Everything that the votes say of the two models and of each other."""
    wins = win_table(people)
    criteria = _criteria(people, baseline, candidate)
    means = [_mean(people.metric or WINS, 0.5, wins.values, (0.0, 1.0))] if _any(wins) else []
    for name in criteria:
        old, new = (score_table(people, model, name) for model in (baseline, candidate))
        if _any(old) and _any(new):
            column = f"{people.rubric}.{name}" if people.rubric else name
            means.append(_mean(column, 0.0, new.values - old.values, None))
    winners = [label.winner for label in people.labels if label.asked_winner]
    repeat_votes = [(a, b) for _, a, b in people.repeat_votes if a is not None and b is not None]
    return HumanSummary(
        source=people.source,
        sampling=people.sampling,
        random=people.random,
        n_drawn=len(people.sampled_ids),
        n_population=None if people.frame_ids is None else len(people.frame_ids),
        rule=people.rule,
        annotators=tuple(
            _annotator(people, annotator_status.name, wins)
            for annotator_status in people.annotator_status
        ),
        wins=winners.count("candidate"),
        ties=winners.count("tie"),
        losses=winners.count("baseline"),
        undecided=winners.count(None),
        unsafe=sum(label.unsafe for label in people.labels),
        unsafe_items=tuple(dict.fromkeys(x.sample_id for x in people.labels if x.unsafe)),
        means=tuple(means),
        agreements=tuple(_agreements(people, wins, (baseline, candidate), criteria)),
        same_again=_same_again(repeat_votes),
        n_again=len(repeat_votes),
    )


def describe_human_summary(found: HumanSummary) -> Iterator[str]:
    """The findings in lines for a terminal, the headline first."""
    for mean in found.means:
        yield _mean_in_words(mean)
    votes = found.wins + found.ties + found.losses
    if votes + found.undecided:
        yield (
            f"  votes: {found.wins} wins, {found.ties} ties, {found.losses} losses"
            + (f", {found.undecided} could not be judged" if found.undecided else "")
        )
    yield f"  {found.source}: {found.sampling}"
    yield f"  rule for annotators: {found.rule}"
    yield from (f"  {_annotator_in_words(line)}" for line in found.annotators)
    for a in found.agreements:
        parts = {"same": a.percent, "alpha": a.alpha, "AC1": a.ac1, "kappa": a.kappa}
        told = ", ".join(
            f"{name} {i.estimate:.2f} ({i.low:.2f} to {i.high:.2f})"
            for name, i in parts.items()
            if i is not None
        )
        if a.n:
            yield f"  between annotators, {a.column}: {told or 'not estimable'} (n {a.n})"
    if found.same_again is not None:
        same = found.same_again
        yield (
            f"  the same annotator, asked again: {same.estimate:.0%} alike "
            f"({same.low:.0%} to {same.high:.0%}, n {found.n_again})"
        )


def describe_unsafe(found: HumanSummary) -> str:
    """Which items somebody found to have no safe answer."""
    items = found.unsafe_items
    named = ", ".join(items[:N_NAMED]) + (", …" if len(items) > N_NAMED else "")
    votes = f"{found.unsafe} {'vote calls' if found.unsafe == 1 else 'votes call'}"
    return f"{votes} both answers unsafe, on {len(items)} {'item' if len(items) == 1 else 'items'}: {named}"


# --- parts -----------------------------------------------------------------------------------


def _table(people: HumanLabels, value: Callable[[Label], float]) -> LabelTable:
    ids = tuple(dict.fromkeys(label.sample_id for label in people.labels))
    rows = {sample_id: i for i, sample_id in enumerate(ids)}
    columns = {name: j for j, name in enumerate(people.annotators)}
    values = np.full((len(rows), len(columns)), np.nan)
    for label in people.labels:
        values[rows[label.sample_id], columns[label.annotator]] = value(label)
    return LabelTable(ids, people.annotators, values)


def _any(table: LabelTable) -> bool:
    return bool(table.labelled.any())


def _criteria(people: HumanLabels, *models: str) -> list[str]:
    given = (label.scores.get(model, {}) for label in people.labels for model in models)
    return list(dict.fromkeys(name for scores in given for name in scores))


def _mean(column: str, null: float, votes: Votes, bounds: tuple[float, float] | None) -> HumanMean:
    found = two_way_mean(votes)
    items = mean_votes(votes)
    items = items[~np.isnan(items)]
    own = mean_difference(items - null, bounds=_less(bounds, null))
    of_items = Span(own.ci_low + null, own.ci_high + null)
    both = found.interval() if found.n_annotators > 1 else of_items
    if not found.se > 0:  # nothing varies, which is no proof that nothing could
        both = of_items
    p = 2 * min(found.p_above(null), found.p_below(null), 0.5)
    if not found.se > 0:
        p = signflip_test(items - null).p_value
    return HumanMean(
        column=column,
        null=null,
        mean=_kept(found.estimate, both, bounds),
        of_items=_kept(found.estimate, of_items, bounds),
        df=found.df,
        p_value=p,
        n_items=found.n_items,
        n_annotators=found.n_annotators,
        n_votes=found.n_votes,
    )


def _less(bounds: tuple[float, float] | None, null: float) -> tuple[float, float] | None:
    return None if bounds is None else (bounds[0] - null, bounds[1] - null)


def _kept(estimate: float, span: Span, bounds: tuple[float, float] | None) -> Interval:
    low, high = span
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Interval(estimate=estimate, low=low, high=high)


def _annotator(people: HumanLabels, name: str, wins: LabelTable) -> AnnotatorSummary:
    annotator_status = next(t for t in people.annotator_status if t.name == name)
    own = [label for label in people.labels if label.annotator == name]
    repeat_votes = [(a, b) for who, a, b in people.repeat_votes if who == name]
    mean = None
    if name in wins.annotators:
        column = wins.values[:, wins.annotators.index(name)]
        scores = column[~np.isnan(column)]
        if scores.size > 1:
            found = mean_difference(scores - 0.5, bounds=(-0.5, 0.5))
            span = Span(found.ci_low + 0.5, found.ci_high + 0.5)
            mean = _kept(found.estimate + 0.5, span, (0.0, 1.0))
    return AnnotatorSummary(
        name=name,
        counted=annotator_status.counted,
        n_votes=len(own) if annotator_status.counted else annotator_status.n_votes,
        n_undecided=sum(label.asked_winner and label.winner is None for label in own),
        n_attention=annotator_status.n_attention,
        n_attentive=annotator_status.n_attentive,
        n_repeats=len(repeat_votes),
        n_same=sum(a == b for a, b in repeat_votes),
        mean=mean,
    )


def _agreements(
    people: HumanLabels, wins: LabelTable, models: Sequence[str], criteria: Iterable[str]
) -> Iterator[JudgeAgreement]:
    if len(people.annotators) < 2:
        return
    if _any(wins):
        scale = Scale(people.metric or WINS, "winner", tuple(sorted(WIN.values())), False)
        yield agree_on(scale, wins.annotators, wins.values.T)
    scales = {each.name: (each.low, each.high) for each in people.criteria}
    for name in criteria:
        tables = [score_table(people, model, name).values for model in models]
        ratings = np.concatenate(tables).T
        points = _scale_points(scales.get(name), ratings)
        column = f"{people.rubric}.{name}" if people.rubric else name
        yield agree_on(
            Scale(column, name, points, ordinal=len(points) > 2), people.annotators, ratings
        )


def _scale_points(stated: tuple[int, int] | None, ratings: Votes) -> tuple[float, ...]:
    """The scale's whole numbers; where none is stated, from the least to the largest score given."""
    low, high = stated or (np.floor(np.nanmin(ratings)), np.ceil(np.nanmax(ratings)))
    return tuple(np.arange(low, max(high, low + 1) + 1).tolist())


def _same_again(pairs: Sequence[tuple[str, str]]) -> Interval | None:
    if not pairs:
        return None
    same = np.array([[0.0] * len(pairs), [float(a != b) for a, b in pairs]])
    return as_interval(percent_agreement(same))


# --- in words --------------------------------------------------------------------------------


def _mean_in_words(mean: HumanMean) -> str:
    m, own = mean.mean, mean.of_items
    share = mean.null == 0.5

    def fmt(value: float) -> str:
        return f"{value:.1%}" if share else f"{value:+.2f}"

    what = "win rate" if share else "difference"
    p = f"p {mean.p_value:.4f}" if mean.p_value >= 0.0001 else "p < 0.0001"
    said = (
        f"{mean.column}: {what} {fmt(m.estimate)} ({fmt(m.low)} to {fmt(m.high)}), {p}, "
        f"{mean.n_items} items, {mean.n_annotators} "
        f"{'annotator' if mean.n_annotators == 1 else 'annotators'}, {mean.n_votes} votes"
    )
    if mean.n_annotators == 1:
        return f"{said}. The interval speaks for this annotator alone."
    return f"{said}. For these annotators alone: {fmt(own.low)} to {fmt(own.high)}."


def _annotator_in_words(line: AnnotatorSummary) -> str:
    told = [f"{line.name}: {line.n_votes} votes"]
    if line.mean is not None:
        told.append(f"win rate {line.mean.estimate:.0%}")
    if line.n_attention:
        told.append(f"attention {line.n_attentive} of {line.n_attention}")
    if line.n_repeats:
        told.append(f"repeats alike {line.n_same} of {line.n_repeats}")
    if not line.counted:
        told.append("EXCLUDED by the rule")
    return ", ".join(told)
