"""`harness calibrate`: a run's judge held to people, and its figures corrected by their labels.

    judge, all items    J J J J J J J J …
    people, some        Y   Y     Y         drawn at random: only these speak for the others

Agreement stands beside that of people with each other, which is the most that a judge can be asked
for. What is corrected is right on average whatever the judge does (harness/stats/corrected.py);
the judge's own interval, however narrow, is not.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from harness.answers_file import AnsweredItems, read_answers
from harness.errors import HarnessError
from harness.people import People, load_labels, load_study_people
from harness.people_findings import LabelTable, count_people, score_table, win_table
from harness.reliability import Ratings, Scale, agree_on, as_interval, scales_of
from harness.runs import Run
from harness.score import WIN, GradeColumn, PreferenceColumn, ScoreColumn
from harness.stats import (
    Corrected,
    Labelled,
    Vector,
    corrected_mean,
    corrected_share,
    labels_for_mean,
    labels_for_share,
    mean_difference,
    percent_agreement,
    slope,
    wilson_interval,
)
from harness.suite import Metric, RougeMetric
from harness.types import (
    Bias,
    Calibrated,
    Calibration,
    Estimate,
    Interval,
    JudgeAgainstPeople,
    OrderAgreement,
    PeopleFindings,
    Plan,
)
from harness.votes import PEOPLE, find_studies

FEW_LABELS = 50  # below it the corrected intervals are a little too narrow
HALF_WIDTH = 0.05  # of a share or a win rate, and of a scale's range

_NOT_CORRECTED = (
    "nothing is corrected: the labelled items are not stated to be a random sample of the run's, and "
    "labels on chosen items say nothing of the others. If they were drawn at random, say --random "
    "(in a profile 'drawn: random')."
)

Kind = Literal["points", "share", "preference"]


class Held(NamedTuple):
    """A column of the run beside people's labels of the same answers.

    `judged` and `labels` are by subject: an item of a preference, an answer of a grade; `own` is
    the judge's score of every subject there is, by model ('' for a preference).
    """

    scale: Scale
    kind: Kind
    judge: str
    subjects: tuple[tuple[str, str], ...]  # sample id, model
    judged: Vector
    labels: Ratings  # subjects x annotators
    by_order: Mapping[str, Vector]
    own: Mapping[str, dict[str, float]]


def find_people(
    run: Path, *, study: str | None, labels: Path | None, drawn_at_random: bool
) -> People:
    """Whom to hold the run's judge to: a study of it, its only one if unnamed, or a file.

    Raises:
        HarnessError: nobody has voted, several studies and none named, or a file that is wrong.
    """
    if labels is not None and study is not None:
        raise HarnessError("name either --study or --labels, not both.")
    if labels is not None:
        return load_labels(labels, drawn_at_random=drawn_at_random)
    if drawn_at_random:
        raise HarnessError("--random goes with --labels; a study says itself how it was drawn.")
    if study is not None:
        return load_study_people(run / PEOPLE / study)
    found = find_studies(run)
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise HarnessError(f"{run}: has several studies; name one with --study: {names}.")
    return load_study_people(found[0])


def calibrate_run(run: Run, people: People, *, half_width: float = HALF_WIDTH) -> Calibration:
    """Every judged column that people labelled too.

    `half_width` is what the corrected intervals should come to, as a share of a scale's range.

    Raises:
        HarnessError: the labels are about other items or models than the run's, or about nothing
            that a judge of the run has judged.
    """
    plan = run.result.plan
    baseline, candidate = plan.baseline, plan.candidate
    _refuse_strangers(run, people)
    columns = list(_held_columns(plan, run.columns, people))
    found = count_people(people, baseline, candidate)
    refused = None if labels_speak_for_all(people, run.columns) else _NOT_CORRECTED
    texts = _texts(run)
    return Calibration(
        run_id=run.result.run_id,
        suite=plan.suite,
        baseline=baseline,
        candidate=candidate,
        people=found,
        judges=tuple(_hold(column, texts, (baseline, candidate)) for column in columns),
        corrected=()
        if refused
        else tuple(
            each
            for column in columns
            for each in _correct(column, people, (baseline, candidate), half_width)
        ),
        refused=refused,
        notes=tuple(_notes(run, people, found, columns)),
    )


def hold_columns(
    plan: Plan, columns: Sequence[ScoreColumn], people: People
) -> list[JudgeAgainstPeople]:
    """The agreement alone: what a judge's licence is decided on."""
    models = plan.baseline, plan.candidate
    return [_hold(column, {}, models) for column in _held_columns(plan, columns, people)]


def labels_speak_for_all(people: People, columns: Sequence[ScoreColumn]) -> bool:
    """Whether the labelled items are a random sample, or all that there are."""
    labelled = {label.sample_id for label in people.labels}
    return people.random or all(set(column.sample_ids) <= labelled for column in columns)


# --- joining ---------------------------------------------------------------------------------


def _held_columns(plan: Plan, columns: Sequence[ScoreColumn], people: People) -> Iterator[Held]:
    metrics: dict[str, Metric] = {
        name: metric for task in plan.tasks for name, metric in task.metrics.items()
    }
    scales = {
        scale.column: scale
        for name, metric in metrics.items()
        for scale in scales_of(name, metric)
        if not isinstance(metric, RougeMetric) and not plan.judges[name].people
    }
    for column in columns:
        metric = column.metric.partition(".")[0]
        asked = people.metric if isinstance(column, PreferenceColumn) else people.rubric
        if column.metric not in scales or asked not in (None, metric):
            continue  # computed, said by people, or not what these were asked
        judge = plan.judges[metric].name
        if isinstance(column, PreferenceColumn):
            if (column.baseline, column.candidate) == (plan.baseline, plan.candidate):
                held = _held_preferences(column, scales[column.metric], judge, people)
            else:
                continue
        else:
            held = _held_grades(column, scales[column.metric], judge, people)
        if held.subjects:
            yield held


def _held_preferences(column: PreferenceColumn, scale: Scale, judge: str, people: People) -> Held:
    table, chosen = win_table(people), _population(people)
    orders = np.array([column.by_order[order] for order in column.orders])
    wins = dict(zip(column.sample_ids, orders.mean(axis=0).tolist(), strict=True))
    labelled = _labelled(table, wins)
    place = {sample_id: i for i, sample_id in enumerate(column.sample_ids)}
    rows = np.array([place[i] for i in labelled], dtype=np.intp)
    return Held(
        scale=scale,
        kind="preference",
        judge=judge,
        subjects=tuple((i, "") for i in labelled),
        judged=np.array([wins[i] for i in labelled], dtype=np.float64),
        labels=_rows_of(table, labelled),
        by_order={order: column.by_order[order][rows] for order in column.orders},
        own={"": {i: win for i, win in wins.items() if chosen is None or i in chosen}},
    )


def _held_grades(column: GradeColumn, scale: Scale, judge: str, people: People) -> Held:
    chosen = _population(people)
    subjects: list[tuple[str, str]] = []
    judged: list[float] = []
    labels = [np.empty((0, len(people.annotators)))]
    own = {}
    for model, scores in column.scores.items():
        by_item = dict(zip(column.sample_ids, scores.tolist(), strict=True))
        table = score_table(people, model, scale.key)
        labelled = _labelled(table, by_item)
        subjects += [(i, model) for i in labelled]
        judged += [by_item[i] for i in labelled]
        labels.append(_rows_of(table, labelled))
        own[model] = {i: s for i, s in by_item.items() if chosen is None or i in chosen}
    kind: Kind = column.kind
    return Held(
        scale, kind, judge, tuple(subjects), np.array(judged), np.concatenate(labels), {}, own
    )


def _population(people: People) -> set[str] | None:
    return None if people.population is None else set(people.population)


def _labelled(table: LabelTable, known: Mapping[str, float]) -> list[str]:
    pairs = zip(table.sample_ids, table.labelled.tolist(), strict=True)
    return [i for i, labelled in pairs if labelled and i in known]


def _rows_of(table: LabelTable, ids: Sequence[str]) -> Ratings:
    place = {sample_id: i for i, sample_id in enumerate(table.sample_ids)}
    return table.values[np.array([place[i] for i in ids], dtype=np.intp)]


def _refuse_strangers(run: Run, people: People) -> None:
    """Labels about other things than the run's are a mistake, not a small overlap."""
    plan = run.result.plan
    known = {i for column in run.columns for i in column.sample_ids}
    for label in people.labels:
        if label.sample_id not in known:
            raise HarnessError(
                f"{people.source}: item '{label.sample_id}' is not one of this run's {len(known)}."
            )
        for model in label.scores:
            if model not in {planned.name for planned in plan.models}:
                names = ", ".join(planned.name for planned in plan.models)
                raise HarnessError(
                    f"{people.source}: '{model}' is no model of this run. Its models: {names}."
                )


def _texts(run: Run) -> dict[str, AnsweredItems]:
    return {task.name: read_answers(run.folder, task.name) for task in run.result.plan.tasks}


# --- agreement -------------------------------------------------------------------------------


def _hold(
    column: Held, texts: Mapping[str, AnsweredItems], models: tuple[str, str]
) -> JudgeAgainstPeople:
    scored = ~np.isnan(column.judged)
    common = common_labels(column.labels, column.kind)
    judged = _labels_of(column.judged, column.kind)
    both = scored & ~np.isnan(common)
    held = agree_on(column.scale, (column.judge, "people"), np.array([judged, common])[:, both])
    several = int((~np.isnan(column.labels)).any(axis=0).sum()) > 1
    names = tuple(f"annotator {j + 1}" for j in range(column.labels.shape[1]))
    return JudgeAgainstPeople(
        column=column.scale.column,
        judge=column.judge,
        n=int(both.sum()),
        unscored=int((~scored).sum()),
        percent=held.percent,
        kappa=held.kappa or _of_perfect(held.percent, _chance_of_kappa(common[both])),
        ac1=held.ac1 or _of_perfect(held.percent, _chance_of_ac1(common[both], column.scale)),
        single=_single(judged, column.labels, scored) if several else None,
        between=agree_on(column.scale, names, column.labels.T) if several else None,
        categories=tuple(_category(value, column.kind) for value in column.scale.values),
        confusion=_confusion(common[both], judged[both], column.scale.values),
        biases=tuple(_biases(column, _lengths(texts), models)),
        orders=tuple(_orders(column, common)),
        slope=_slope(column),
    )


def _of_perfect(percent: Interval | None, chance: float) -> Interval | None:
    """A coefficient of verdicts that are all equal, which has no standard error.

    Its lower end is what the lower end of the share of equal verdicts (Wilson's) comes to beyond
    the same chance; None where one verdict is all there is, so that chance is everything.
    """
    if percent is None or percent.estimate < 1 or chance >= 1:
        return None
    return Interval(estimate=1.0, low=(percent.low - chance) / (1 - chance), high=1.0)


def _chance_of_kappa(labels: Vector) -> float:
    shares = np.unique(labels, return_counts=True)[1] / max(labels.size, 1)
    return float((shares**2).sum())


def _chance_of_ac1(labels: Vector, scale: Scale) -> float:
    shares = np.unique(labels, return_counts=True)[1] / max(labels.size, 1)
    return float((shares * (1 - shares)).sum()) / (len(scale.values) - 1)


def common_labels(labels: Ratings, kind: Kind) -> Vector:
    """The annotators' common verdict on each subject; NaN without one, or where a yes is split."""
    cast = ~np.isnan(labels)
    n = cast.sum(axis=1)
    mean = np.where(n > 0, np.where(cast, labels, 0.0).sum(axis=1) / np.maximum(n, 1), np.nan)
    found = _labels_of(mean, kind)
    return np.where(found == 0.5, np.nan, found) if kind == "share" else found


def _labels_of(scores: Vector, kind: Kind) -> Vector:
    """Scores as labels of the scale: who won more than half, or the nearest whole number."""
    if kind == "points":
        return np.asarray(np.rint(scores))
    return np.asarray((np.sign(scores - 0.5) + 1) / 2)


def _single(judged: Vector, labels: Ratings, scored: "np.ndarray") -> Interval | None:
    """How often one annotator says what the judge says, averaged over each subject's annotators."""
    cast = ~np.isnan(labels)
    kept = scored & cast.any(axis=1)
    if int(kept.sum()) < 2:
        return None
    same = (labels == judged[:, None]) & cast
    shares = same[kept].sum(axis=1) / cast[kept].sum(axis=1)
    return _t_interval(shares, 0.0, 1.0)


def _confusion(
    people: Vector, judge: Vector, values: Sequence[float]
) -> tuple[tuple[int, ...], ...]:
    return tuple(
        tuple(int(((people == said) & (judge == found)).sum()) for found in values)
        for said in values
    )


def _category(value: float, kind: Kind) -> str:
    if kind == "preference":
        return {won: name for name, won in WIN.items()}[value]
    if kind == "share":
        return "yes" if value else "no"
    return f"{value:g}"


def _orders(column: Held, common: Vector) -> Iterator[OrderAgreement]:
    for order, scores in column.by_order.items():
        ratings = np.array([scores, common])
        both = ~np.isnan(ratings).any(axis=0)
        percent = as_interval(percent_agreement(ratings[:, both])) if both.any() else None
        yield OrderAgreement(order=order, n=int(both.sum()), percent=percent)


# --- leanings --------------------------------------------------------------------------------


def _lengths(texts: Mapping[str, AnsweredItems]) -> dict[tuple[str, str], int]:
    return {
        (sample_id, model): len(answer)
        for items in texts.values()
        for sample_id, item in items.items()
        for model, answer in item.answers.items()
        if answer is not None
    }


def _biases(
    column: Held, lengths: Mapping[tuple[str, str], int], models: tuple[str, str]
) -> Iterator[Bias]:
    baseline, candidate = models
    people = _means(column.labels)
    if column.kind != "preference":
        for model in column.own:
            chosen = np.array([m == model for _, m in column.subjects])
            yield from _lean(f"score of {model}", column.judged[chosen], people[chosen])
        return
    ids = [i for i, _ in column.subjects]
    yield from _lean(f"prefers {candidate}", column.judged, people)
    longer = np.array(
        [np.sign(lengths.get((i, candidate), 0) - lengths.get((i, baseline), 0)) for i in ids]
    )
    unequal = longer != 0
    towards = [0.5 + longer[unequal] * (w[unequal] - 0.5) for w in (column.judged, people)]
    yield from _lean("prefers the longer answer", *towards)
    yield from _lean(
        "calls it a tie", _where_scored(column.judged == 0.5, column.judged), _ties(column.labels)
    )


def _lean(what: str, judged: Vector, people: Vector) -> Iterator[Bias]:
    both = ~np.isnan(judged) & ~np.isnan(people)
    if int(both.sum()) < 2:
        return
    yield Bias(
        what=what,
        n=int(both.sum()),
        judge=float(judged[both].mean()),
        people=float(people[both].mean()),
        difference=_t_interval(judged[both] - people[both]),
    )


def _where_scored(said: "np.ndarray", scores: Vector) -> Vector:
    return np.where(np.isnan(scores), np.nan, said.astype(np.float64))


def _ties(labels: Ratings) -> Vector:
    return _means(np.where(np.isnan(labels), np.nan, (labels == 0.5).astype(np.float64)))


def _means(labels: Ratings) -> Vector:
    cast = ~np.isnan(labels)
    n = cast.sum(axis=1)
    total = np.where(cast, labels, 0.0).sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _slope(column: Held) -> Interval | None:
    people = _means(column.labels)
    both = ~np.isnan(column.judged) & ~np.isnan(people)
    if column.kind != "points":
        return None
    items = np.array([i for i, _ in column.subjects])[both]
    if not both.any():
        return None
    found = slope(people[both], column.judged[both], clusters=items)
    return found and Interval(
        estimate=found.estimate, low=found.interval.low, high=found.interval.high
    )


def _t_interval(values: Vector, low: float = -math.inf, high: float = math.inf) -> Interval | None:
    found = mean_difference(values)
    if not math.isfinite(found.ci_low):
        return None
    return Interval(
        estimate=found.estimate, low=max(low, found.ci_low), high=min(high, found.ci_high)
    )


# --- corrected -------------------------------------------------------------------------------


def _correct(
    column: Held, people: People, models: tuple[str, str], half_width: float
) -> Iterator[Calibrated]:
    labels = dict(zip(column.subjects, _means(column.labels).tolist(), strict=True))
    if column.kind == "preference":
        known = {i: y for (i, _), y in labels.items()}
        of = f"{models[1]} against {models[0]}"
        yield from _mean_of(column, of, known, column.own[""], 0.5, half_width)
        return
    by_model = {m: {i: y for (i, of), y in labels.items() if of == m} for m in column.own}
    width = half_width * (column.scale.values[-1] - column.scale.values[0])
    for model, known in by_model.items():
        if column.kind == "share":
            yield from _share_of(column, model, known, half_width)
        else:
            yield from _mean_of(column, model, known, column.own[model], None, width)
    old, new = (by_model.get(model, {}) for model in models)
    known = {i: new[i] - old[i] for i in new if i in old}
    first, second = (column.own[model] for model in models)
    own = {i: second[i] - first[i] for i in second}
    yield from _mean_of(column, f"{models[1]} minus {models[0]}", known, own, 0.0, width)


def _mean_of(
    column: Held,
    of: str,
    known: Mapping[str, float],
    own: Mapping[str, float],
    null: float | None,
    half_width: float,
) -> Iterator[Calibrated]:
    y, j, others = _split(known, own)
    if y.size < 2:
        return
    low, high = (0.0, 1.0) if column.kind == "preference" else (-math.inf, math.inf)
    everything = np.concatenate([j, others])
    fixed = corrected_mean(y, j, others)
    labelled = _t_interval(y, low, high)
    raw = _t_interval(everything, low, high)
    if labelled is None or raw is None:
        return
    needed = labels_for_mean(y, j, others, half_width=half_width)
    yield Calibrated(
        column=column.scale.column,
        of=of,
        null=null,
        estimates=(
            Estimate(method="judge alone", n=everything.size, interval=raw),
            Estimate(method="labels alone", n=y.size, interval=labelled),
            _corrected("corrected (PPI++)", fixed, y.size, low, high),
        ),
        half_width=half_width,
        n_labels_needed=needed,
        more_labels=None if needed is None else max(0, needed - y.size),
    )


def _share_of(
    column: Held, model: str, known: Mapping[str, float], half_width: float
) -> Iterator[Calibrated]:
    decided = {i: float(y > 0.5) for i, y in known.items() if y != 0.5}
    y, j, others = _split(decided, column.own[model])
    if y.size == 0:
        return
    said, meant = j > 0.5, y > 0.5
    counts = Labelled(
        both=int((said & meant).sum()),
        judge_only=int((said & ~meant).sum()),
        people_only=int((~said & meant).sum()),
        neither=int((~said & ~meant).sum()),
    )
    elsewhere = int((others > 0.5).sum())
    everything = int(said.sum()) + elsewhere
    n_all = j.size + others.size
    fixed = corrected_share(counts, judge_yes_elsewhere=elsewhere, n_elsewhere=others.size)
    needed = labels_for_share(counts, everything / n_all, n_all, half_width=half_width)
    yield Calibrated(
        column=column.scale.column,
        of=model,
        null=None,
        estimates=(
            Estimate(method="judge alone", n=n_all, interval=_wilson(everything, n_all)),
            Estimate(method="labels alone", n=y.size, interval=_wilson(int(meant.sum()), y.size)),
            _corrected("corrected (double sampling)", fixed, y.size, 0.0, 1.0),
        ),
        half_width=half_width,
        n_labels_needed=needed,
        more_labels=None if needed is None else max(0, needed - y.size),
    )


def _split(known: Mapping[str, float], own: Mapping[str, float]) -> tuple[Vector, Vector, Vector]:
    """Labels and the judge's scores of the same items, then its scores of the others."""
    both = [i for i in known if not math.isnan(known[i]) and not math.isnan(own.get(i, math.nan))]
    others = [score for i, score in own.items() if i not in known and not math.isnan(score)]
    return (
        np.array([known[i] for i in both]),
        np.array([own[i] for i in both]),
        np.array(others, dtype=np.float64),
    )


def _corrected(method: str, found: Corrected, n: int, low: float, high: float) -> Estimate:
    span = Interval(
        estimate=min(max(found.estimate, low), high),
        low=max(found.interval.low, low),
        high=min(found.interval.high, high),
    )
    return Estimate(method=method, n=n, interval=span, weight=found.weight)


def _wilson(k: int, n: int) -> Interval:
    low, high = wilson_interval(k, n)
    return Interval(estimate=k / n, low=low, high=high)


# --- what to know ----------------------------------------------------------------------------


def _notes(
    run: Run, people: People, found: PeopleFindings, columns: Sequence[Held]
) -> Iterator[str]:
    if not columns:
        yield "no judge of this run judged what people labelled; there is nothing to hold to them."
    if (n := len({i for c in columns for i, _ in c.subjects})) and n < FEW_LABELS:
        yield (
            f"{n} labelled items: below {FEW_LABELS} the corrected intervals are a little too narrow."
        )
    labelled = {label.sample_id for label in people.labels}
    if missing := len(set(people.drawn) - labelled):
        yield (
            f"{missing} of {len(people.drawn)} drawn items have no label yet. Each annotator sees "
            "them in a random order of their own, so those there are still speak for all."
        )
    out = [line.name for line in found.annotators if not line.counted]
    if out:
        yield f"excluded by the rule stated beforehand ({people.rule}): {', '.join(out)}."
    if people.annotators and len(people.annotators) == 1:
        yield (
            "one annotator: agreement is with this person, and how far people agree among "
            "themselves is not known."
        )
    if any(column.clusters is not None for column in run.columns):
        yield "items come in clusters, and the intervals here take them as independent."
