"""The sections on the measurements: differences, score distributions, preferences."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from harness.config import Gate
from harness.types import Comparison, ModelScore, PairwiseDetail, Plan, RunResult
from reports.components import (
    ForestPanel,
    ForestRow,
    Histogram,
    Mark,
    PreferenceBar,
    Section,
    Series,
    Table,
    without_empty_columns,
)
from reports.formatting import (
    ABSENT,
    Column,
    columns_by_name,
    count,
    difference_head,
    format_interval,
    number,
    number_or_dash,
    p_value,
    percent,
    signed,
)
from reports.sections.rankings import ranking_notes, ranking_tables

N_BINS = 10  # as in ModelScore.histogram
INTERVAL_LEVEL = 0.025  # of one end of a 95 % interval


# --- comparisons -----------------------------------------------------------------------------

_METRIC_HEAD = (
    "Metric",
    "Baseline",
    "Candidate",
    "Difference",
    "95 % CI",
    "p",
    "p, exploratory",
    "Effect size",
    "Detectable",
    "n",
    "Test",
)


def comparison_section(result: RunResult) -> Section:
    """Return the differences of every compared pair of models, the gate's pair first.

    Of a model alone they are its scores.
    """
    columns, plan = columns_by_name(result.plan), result.plan
    if plan.alone:
        return _scores_alone(result, columns)
    pairs = dict.fromkeys((c.baseline, c.candidate) for c in result.comparisons)
    main_first = sorted(pairs, key=lambda pair: pair != (plan.baseline, plan.candidate))
    main = _main_comparisons(result)
    return Section(
        name="comparison",
        title="Differences between the models",
        lead=_comparison_lead(result, main),
        charts=tuple(_forest_panels(main, columns, plan)),
        caption="Bars are two-sided 95 % confidence intervals. A solid dot means that the interval "
        "excludes no difference. A triangle marks the boundary of a claim; the claim is decided by "
        "its one-sided bound, not by the interval shown. A sign-flip test is exact if equal models "
        "would be interchangeable on every item; equal means alone do not make them so.",
        tables=(
            *(_metric_table(pair, result.comparisons, columns) for pair in main_first),
            *_seed_tables(result.comparisons, columns),
            *_secondary_tests(result.comparisons),
        ),
        notes=(*_metric_notes(result.comparisons), *_wider_bounds(result)),
    )


def _scores_alone(result: RunResult, columns: dict[str, Column]) -> Section:
    return Section(
        name="comparison",
        title="Scores",
        lead=f"Scores of {result.plan.candidate}, compared with no other model.",
        tables=(replace(_own_scores(result.scores, columns), folded=False),)
        if result.scores
        else (),
        notes=tuple(_wider_bounds(result)),
    )


def _wider_bounds(result: RunResult) -> Iterator[str]:
    """Say why the gate's bound lies outside of an interval of this section, where it does.

    At these levels it lies within, unless the gate allows for more than the interval does.
    """
    gate, decision = result.plan.gate, result.decision
    if gate is None or decision is None or result.stopping is not None:
        return
    compared = {c.metric: (c.difference, c.n_missing) for c in _main_comparisons(result)}
    gaps = {
        c.metric: c.n_items - c.n_scored
        for c in result.coverage
        if c.model == result.plan.candidate
    }
    own = {s.metric: s.mean for s in result.scores if s.model == result.plan.candidate}
    few, missing = list[str](), list[str]()
    for claim, decided in zip(gate.claims, decision.claims, strict=False):
        known = compared.get(claim.metric)
        if claim.kind.own_mean and claim.metric in own:
            known = own[claim.metric], gaps.get(claim.metric, 0)
        if known is None or decided.bound is None or gate.level_of(claim) < INTERVAL_LEVEL:
            continue
        interval, n_missing = known
        bounds = (decided.bound, decided.bound_high or decided.bound)
        if bounds[0] < interval.low or bounds[1] > interval.high:
            (missing if n_missing else few).append(decided.claim)
    if few:
        yield (
            f"The gate's bound lies outside of the interval shown here ({'; '.join(few)}). The gate also "
            "allows for answers that so few items do not show, down to the worst; the interval assumes a mean "
            "that is nearly normal, and on few items it can be too narrow."
        )
    if missing:
        yield (
            f"The gate's bound lies outside of the interval shown here ({'; '.join(missing)}): it counts "
            "missing scores at their worst, while these intervals are of the scored items."
        )


def _comparison_lead(result: RunResult, main: Sequence[Comparison]) -> str:
    if not main:
        return "No item has a score for both models, so nothing could be compared."
    plan = result.plan
    return f"Differences are {plan.candidate} minus {plan.baseline}, paired by item."


def _main_comparisons(result: RunResult) -> list[Comparison]:
    pair = (result.plan.baseline, result.plan.candidate)
    return [c for c in result.comparisons if (c.baseline, c.candidate) == pair]


def _metric_table(
    pair: tuple[str, str], comparisons: Iterable[Comparison], columns: dict[str, Column]
) -> Table:
    baseline, candidate = pair
    rows = [
        _metric_row(c, columns[c.metric]) for c in comparisons if (c.baseline, c.candidate) == pair
    ]
    title = f"{candidate} against {baseline}"
    measured = difference_head(columns[row[0]] for row in rows)
    head = tuple(measured if name == "Difference" else name for name in _METRIC_HEAD)
    return without_empty_columns(Table(title, head, "lrrrrrrrrrl", tuple(rows)))


def _metric_row(comparison: Comparison, column: Column) -> tuple[str, ...]:
    digits = column.digits
    clusters = comparison.n_clusters
    return (
        comparison.metric,
        number(comparison.baseline_mean, digits),
        number(comparison.candidate_mean, digits),
        column.difference(comparison.difference.estimate),
        format_interval(comparison.difference, digits),
        p_value(comparison.test.p_value),
        p_value(comparison.p_exploratory),
        number_or_dash(comparison.effect_size, 2),
        number_or_dash(comparison.minimum_detectable, digits),
        f"{comparison.n:,}" + (f" in {count(clusters, 'cluster')}" if clusters else ""),
        comparison.test.name,
    )


def _seed_tables(comparisons: Iterable[Comparison], columns: dict[str, Column]) -> Iterator[Table]:
    """Yield a table of each training seed's difference for every pair of models that has some."""
    by_pair: dict[str, list[tuple[str, ...]]] = {}
    seeds: tuple[str, ...] = ()
    for c in comparisons:
        if c.seeds is not None:
            column = columns[c.metric]
            seeds = tuple(f"Seed {one.seed}" for one in c.seeds.seeds)
            differences = (column.difference(one.difference) for one in c.seeds.seeds)
            sd = "" if c.seeds.sd is None else number(c.seeds.sd, column.digits + 1)
            rows = by_pair.setdefault(f"{c.candidate} against {c.baseline}", [])
            rows.append((c.metric, *differences, sd))
    for pair, rows in by_pair.items():
        head = ("Metric", *seeds, "SD between seeds")
        title = f"{pair}, by training seed"
        yield Table(title, head, "l" + "r" * (len(head) - 1), tuple(rows))


def _secondary_tests(comparisons: Iterable[Comparison]) -> Iterator[Table]:
    rows = [
        (c.metric, f"{c.candidate} against {c.baseline}", test.name, p_value(test.p_value),
         signed(c.dominance, 2))
        for c in comparisons
        for test in c.secondary
    ]  # fmt: skip
    if rows:
        head = ("Metric", "Models", "Test", "p", "Dominance")
        yield Table("Other tests of the same differences", head, "lllrr", tuple(rows), folded=True)


def _metric_notes(comparisons: Sequence[Comparison]) -> Iterator[str]:
    if any(c.pairwise for c in comparisons):
        yield (
            "A win rate is its own estimate, without a difference: 0.5 means equal, and a tie counts as "
            "half a win."
        )
    if any(c.p_exploratory is not None for c in comparisons):
        yield (
            "Comparisons without a claim are exploratory. Their p-values are adjusted together "
            "(Benjamini-Hochberg), and they do not affect the verdict."
        )
    if any(c.effect_size is not None or c.minimum_detectable is not None for c in comparisons):
        yield (
            "Effect size is the mean difference divided by the standard deviation of the "
            "differences. Detectable is the smallest true difference that this number of items "
            "detects with 80 % power."
        )
    if any(c.seeds is not None for c in comparisons):
        yield (
            "Models were trained once with each seed, and items and seeds both count as samples (a two-way "
            "standard error), so an interval is about the recipes. The SD between seeds holds what the "
            "items add by chance, too. Rules on critical answers count the answers of these checkpoints."
        )
    for comparison in comparisons:
        if "degenerate" in comparison.flags:
            yield (
                f"{comparison.metric}, {comparison.candidate}: all differences are equal, so there "
                "is no spread to test."
            )


def _forest_panels(
    comparisons: Sequence[Comparison], columns: dict[str, Column], plan: Plan
) -> Iterator[ForestPanel]:
    for unit in dict.fromkeys(columns[c.metric].unit for c in comparisons):
        rows = [c for c in comparisons if columns[c.metric].unit == unit]
        yield ForestPanel(
            title=unit,
            null=rows[0].null,
            baseline=plan.baseline,
            candidate=plan.candidate,
            rows=tuple(_forest_row(c, columns[c.metric], plan.gate) for c in rows),
        )


def _forest_row(comparison: Comparison, column: Column, gate: Gate | None) -> ForestRow:
    difference = comparison.difference
    estimate = column.difference(difference.estimate)
    return ForestRow(
        label=comparison.metric,
        numbers=f"{estimate} ({format_interval(difference, column.digits)})",
        estimate=difference.estimate,
        low=difference.low,
        high=difference.high,
        marks=tuple(_marks(column, comparison.null, gate)),
    )


def _marks(column: Column, null: float, gate: Gate | None) -> Iterator[Mark]:
    for claim in gate.claims if gate else ():
        if claim.metric != column.name:
            continue
        if claim.value is not None:
            if column.is_win_rate:
                yield _mark(claim.kind.mark, claim.value)
        elif claim.margin:
            low, high = claim.boundaries(null)
            yield _mark(claim.kind.mark, null + low)
            if high is not None:
                yield _mark("must stay below {rounded}", null + high)


def _mark(label: str, at: float) -> Mark:
    return Mark(at, label.format(exact=f"{at:g}", rounded=number(at, 2)))


# --- distributions ---------------------------------------------------------------------------


def distribution_section(result: RunResult) -> Section | None:
    """Return each model's score distributions; None without scores."""
    if not result.scores:
        return None
    columns = columns_by_name(result.plan)
    own_scores = () if result.plan.alone else (_own_scores(result.scores, columns),)
    return Section(
        name="distributions",
        title="Score distributions",
        lead="Number of items at each score. A mean can hide a few very bad answers; the "
        "distribution shows them.",
        charts=tuple(_histograms(result, columns)),
        tables=own_scores,
    )


def _histograms(result: RunResult, columns: dict[str, Column]) -> Iterator[Histogram]:
    by_cell = {(score.metric, score.model): score for score in result.scores}
    for metric in dict.fromkeys(score.metric for score in result.scores):
        baseline = by_cell.get((metric, result.plan.baseline))
        candidate = by_cell.get((metric, result.plan.candidate))
        if candidate and result.plan.alone:
            yield _histogram(columns[metric], None, _series(candidate))
        elif baseline and candidate:
            yield _histogram(columns[metric], _series(baseline), _series(candidate))


def _histogram(column: Column, baseline: Series | None, candidate: Series) -> Histogram:
    """Return the histogram: by value if all models have the top value as a key, otherwise in bins."""
    shown = [candidate, *([] if baseline is None else [baseline])]
    binned = not all(column.high in series.counts for series in shown)
    if binned:
        candidate = _in_bins(candidate, column)
        baseline = None if baseline is None else _in_bins(baseline, column)
    return Histogram(column.name, column.low, column.high, binned, baseline, candidate)


def _in_bins(series: Series, column: Column) -> Series:
    width = (column.high - column.low) / N_BINS
    counts = dict.fromkeys((column.low + i * width for i in range(N_BINS)), 0)
    edges = list(counts)
    for value, n in series.counts.items():
        index = int((value - column.low) / width + 0.1)  # edges are stored with three digits
        counts[edges[min(index, N_BINS - 1)]] += n
    return Series(series.label, counts)


def _series(score: ModelScore) -> Series:
    return Series(score.model, {float(value): n for value, n in score.histogram.items()})


def _own_scores(scores: Iterable[ModelScore], columns: dict[str, Column]) -> Table:
    rows = [
        (
            score.metric,
            score.model,
            number(score.mean.estimate, columns[score.metric].digits),
            format_interval(score.mean, columns[score.metric].digits),
            ABSENT if score.overall_score is None else f"{score.overall_score:.3f}",
            percent(score.ceiling_share) if columns[score.metric].has_points else ABSENT,
            f"{score.n:,}",
        )
        for score in scores
    ]
    overall = "Overall score (mean clipped to [0, 1])"  # as HealthBench publishes it
    head = ("Metric", "Model", "Mean", "95 % CI", overall, "At the top of the scale", "n")
    return without_empty_columns(
        Table("Mean scores of each model", head, "llrrrrr", tuple(rows), folded=True)
    )


# --- preferences -----------------------------------------------------------------------------


def preference_section(result: RunResult) -> Section | None:
    """Return wins, ties and losses, and the ranking of three or more models; None without pairs."""
    pairs = [(c, c.pairwise) for c in result.comparisons if c.pairwise]
    if not pairs:
        return None
    return Section(
        name="preference",
        title="Preferences",
        charts=tuple(_preference_bar(c, detail) for c, detail in pairs),
        tables=tuple(ranking_tables(result)),
        notes=(
            *(_describe_preference(c, detail) for c, detail in pairs),
            *ranking_notes(result),
        ),
    )


def _preference_bar(comparison: Comparison, detail: PairwiseDetail) -> PreferenceBar:
    return PreferenceBar(
        title=f"{comparison.metric}: {comparison.candidate} against {comparison.baseline}",
        baseline=comparison.baseline,
        candidate=comparison.candidate,
        wins=detail.wins,
        ties=detail.ties,
        losses=detail.losses,
    )


def _describe_preference(comparison: Comparison, detail: PairwiseDetail) -> str:
    text = (
        f"{comparison.metric}: against {comparison.baseline}, {comparison.candidate} wins "
        f"{count(detail.wins, 'item')}, ties {detail.ties:,} and loses {detail.losses:,}."
    )
    if detail.wins_in_both is None or detail.losses_in_both is None:
        return text
    won, lost = (percent(n / detail.n) for n in (detail.wins_in_both, detail.losses_in_both))
    return (
        f"{text} It wins in both orders on {won} of the items (strict win share) and loses in both on "
        f"{lost}."
    )
