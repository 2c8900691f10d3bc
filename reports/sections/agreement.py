"""Agreement of judges: between the members of a jury, and of each judge with its own repeats."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.types import (
    Bias,
    Comparison,
    Interval,
    JudgeAgreement,
    ModelAgreement,
    Plan,
    Repeatability,
    RunResult,
    SingleJudgeComparison,
)
from reports.components import N_ROWS_SHOWN, Table, without_empty_columns
from reports.formatting import (
    ABSENT,
    Column,
    Side,
    count,
    difference_with_interval,
    favoured_side,
    join_names,
    join_quoted,
    models_compared,
    number,
    share_with_interval,
    signed_with_interval,
    with_interval,
)

# --- members of a jury -----------------------------------------------------------------------


def agreement_tables(agreements: Sequence[JudgeAgreement]) -> Iterator[Table]:
    """Yield the agreement between the members of each jury."""
    juries = dict.fromkeys(agreement.judges for agreement in agreements)
    for judges in juries:
        rows = [
            (
                a.column,
                f"{a.n:,}",
                share_with_interval(a.percent),
                *(with_interval(measure, 2) for measure in _chance_corrected(a).values()),
                _compare_with_chance(_chance_corrected(a))
                if a.n
                else "no item judged by two judges",
            )
            for a in agreements
            if a.judges == judges
        ]
        head = ("Score", "n", "Same verdict", "Krippendorff's alpha", "Gwet's AC1/AC2",
                "Cohen's kappa", "Agreement")  # fmt: skip
        table = Table(
            _title_for_jury("Agreement between judges", judges, juries),
            head,
            "lrrrrrl",
            tuple(rows),
            note="Same verdict is the share of pairs of judges that gave exactly the same verdict. "
            "The other coefficients are corrected for chance: 1 is full agreement, 0 is chance. "
            "Where almost all verdicts are equal, alpha and kappa are low even if the judges agree; "
            "Gwet's coefficient is not.",
        )
        yield without_empty_columns(table)
    yield from rater_pair_tables("Agreement between judges", agreements)


def rater_pair_tables(title: str, agreements: Iterable[JudgeAgreement]) -> Iterator[Table]:
    """Yield the agreement of every two of three or more raters."""
    rows = tuple(
        (
            agreement.column,
            join_names(pair.judges),
            share_with_interval(pair.percent),
            with_interval(pair.kappa, 2),
            f"{pair.n:,}",
        )
        for agreement in agreements
        for pair in agreement.pairs
    )
    if rows:
        head = ("Score", "Pair", "Same verdict", "Cohen's kappa", "n")
        folded = len(rows) > N_ROWS_SHOWN
        yield Table(f"{title}, by pair", head, "llrrr", rows, folded=folded)


def _title_for_jury(
    title: str, judges: tuple[str, ...], juries: Collection[tuple[str, ...]]
) -> str:
    """Return the title, with the judges' names if there is more than one jury."""
    return title if len(juries) == 1 else f"{title}: {join_names(judges)}"


def _chance_corrected(agreement: JudgeAgreement) -> dict[str, Interval | None]:
    return {"alpha": agreement.alpha, "Gwet": agreement.ac1, "kappa": agreement.kappa}


def _compare_with_chance(measures: Mapping[str, Interval | None]) -> str:
    """Describe whether the intervals exclude chance; this does not rate the agreement."""
    sides = {name: favoured_side(measure, 0) for name, measure in measures.items() if measure}
    if not sides:
        return "not estimable"
    lowest = min(sides.values())
    text = {
        1: "better than chance",
        0: "not shown to be better than chance",
        -1: "worse than chance",
    }[lowest]
    names = [name for name, side in sides.items() if side == lowest]
    return text if len(names) == len(sides) else f"{text} by {join_names(names)}"


class _ComparisonByJudge(NamedTuple):
    """One comparison by the verdicts of the whole jury, and by those of each member alone."""

    jury: Comparison
    by_judge: dict[str, SingleJudgeComparison]

    def members(self, side: Side) -> list[str]:
        """Return the judges that find the candidate better (1), worse (-1) or neither (0)."""
        return [
            name
            for name, single in self.by_judge.items()
            if favoured_side(single.difference, self.jury.null) == side
        ]


def _comparisons_by_judge(result: RunResult) -> list[_ComparisonByJudge]:
    comparisons = []
    for jury in result.comparisons:
        by_judge = {
            single.judge: single
            for single in result.opinions
            if (single.column, single.baseline, single.candidate)
            == (jury.metric, jury.baseline, jury.candidate)
        }
        if by_judge:
            comparisons.append(_ComparisonByJudge(jury, by_judge))
    return comparisons


def single_judge_tables(result: RunResult, columns: dict[str, Column]) -> Iterator[Table]:
    """Yield the jury's differences next to the difference by each member's verdicts alone."""
    comparisons = _comparisons_by_judge(result)
    juries = dict.fromkeys(tuple(comparison.by_judge) for comparison in comparisons)
    for judges in juries:
        rows = [
            _single_judge_row(comparison, columns[comparison.jury.metric], result.plan)
            for comparison in comparisons
            if tuple(comparison.by_judge) == judges
        ]
        table = Table(
            _title_for_jury("Result of each judge alone", judges, juries),
            ("Score", "Models", "Whole jury", *judges, "n for each judge", "Candidate is"),
            "llr" + "r" * len(judges) + "rl",
            tuple(rows),
            note="The same difference, computed from each judge's verdicts alone. Where the judges "
            "differ, the result depends on the choice of judge.",
        )
        yield without_empty_columns(table)


def _single_judge_row(
    comparison: _ComparisonByJudge, column: Column, plan: Plan
) -> tuple[str, ...]:
    singles = comparison.by_judge.values()
    return (
        comparison.jury.metric,
        models_compared(plan, comparison.jury),
        difference_with_interval(comparison.jury.difference, column),
        *(difference_with_interval(single.difference, column) for single in singles),
        " / ".join(f"{single.n:,}" for single in singles),
        _count_sides(comparison),
    )


def _count_sides(comparison: _ComparisonByJudge) -> str:
    kinds: dict[str, Side] = {"better": 1, "undecided": 0, "worse": -1}
    counts = {word: n for word, side in kinds.items() if (n := len(comparison.members(side)))}
    if len(counts) == 1 < len(comparison.by_judge):
        return f"all {next(iter(counts))}"
    return ", ".join(f"{n} {word}" for word, n in counts.items())


# --- repeats ---------------------------------------------------------------------------------


def repeatability_table(repeats: Sequence[Repeatability]) -> Iterator[Table]:
    """Yield the agreement of each judge with its own repeated verdicts."""
    if not repeats:
        return
    rows = [
        (
            r.column,
            r.judge,
            count(r.repeats, "time"),
            f"{r.n:,}",
            share_with_interval(r.flip_rate),
            with_interval(r.icc, 2),
            _compare_with_chance({"ICC": r.icc}) if r.icc else ABSENT,
        )
        for r in repeats
    ]
    head = ("Score", "Judge", "Asked", "n", "Differing verdicts", "ICC", "Agreement of repeats")
    table = Table(
        "Repeatability of each judge",
        head,
        "llrrrrl",
        tuple(rows),
        folded=len(rows) > N_ROWS_SHOWN,
        note=" ".join(_repeatability_notes(repeats)),
    )
    yield without_empty_columns(table)


def _repeatability_notes(repeats: Iterable[Repeatability]) -> Iterator[str]:
    yield "Differing verdicts: how often two verdicts of one judge on the same question differ."
    if any(r.icc for r in repeats):
        yield (
            "ICC (intraclass correlation) is the share of the variance of a judge's scores that "
            "comes from the answers and not from the judge's own variation: 1 is fully repeatable, "
            "0 is noise."
        )


# --- alerts ----------------------------------------------------------------------------------


def agreement_alerts(result: RunResult) -> Iterator[tuple[str, str]]:
    """Yield each concern with the score column it is about, the gravest first."""
    comparisons = _comparisons_by_judge(result)
    for comparison in comparisons:
        yield from _contradiction(comparison)
    for a in result.agreements:
        if _is_chance(_chance_corrected(a)):
            yield a.column, f"agreement of {join_quoted(a.judges)} is not shown to exceed chance."
    for r in result.repeatability:
        if _is_chance({"ICC": r.icc}):
            yield (
                r.column,
                f"agreement of '{r.judge}' with its own repeats is not shown to exceed chance.",
            )
    for comparison in comparisons:
        yield from _single_supporter(comparison)


def _contradiction(comparison: _ComparisonByJudge) -> Iterator[tuple[str, str]]:
    jury, better, worse = comparison.jury, comparison.members(1), comparison.members(-1)
    if better and worse:
        opposed = f"{_find(better)} '{jury.candidate}' better, {_find(worse)} '{jury.baseline}'"
        yield jury.metric, f"the judges contradict each other. {opposed} better."


def _single_supporter(comparison: _ComparisonByJudge) -> Iterator[tuple[str, str]]:
    jury, judges = comparison.jury, list(comparison.by_judge)
    side = favoured_side(jury.difference, jury.null)
    if len(judges) == 1:
        yield jury.metric, f"the result comes from {join_quoted(judges)} alone."
    elif side and len(supporters := comparison.members(side)) == 1:
        winner = jury.candidate if side > 0 else jury.baseline
        text = f"of {len(judges)} judges, only {_find(supporters)} '{winner}' better on its own."
        yield jury.metric, text


def _find(judges: Sequence[str]) -> str:
    return f"{join_quoted(judges)} {'finds' if len(judges) == 1 else 'find'}"


def _is_chance(measures: Mapping[str, Interval | None]) -> bool:
    """Return whether agreement was measured, and no measure's interval excludes chance."""
    sides = [favoured_side(measure, 0) for measure in measures.values() if measure]
    return bool(sides) and max(sides) <= 0


# --- a judge and people ----------------------------------------------------------------------


def model_agreement_table(
    by_column: Iterable[tuple[str, Sequence[ModelAgreement]]],
) -> Iterator[Table]:
    """Yield a judge's agreement with people on each model's answers."""
    rows = tuple(
        (
            column,
            line.model,
            share_with_interval(line.percent),
            with_interval(line.kappa, 2),
            with_interval(line.ac1, 2),
            f"{line.n:,}",
        )
        for column, models in by_column
        for line in models
    )
    if rows:
        head = ("Column", "Model", "Same verdict", "Cohen's kappa", "Gwet's AC1/AC2", "n")
        yield Table("Agreement by model", head, "llrrrr", rows)


def bias_table(by_column: Iterable[tuple[str, Sequence[Bias]]]) -> Iterator[Table]:
    """Yield a judge's biases relative to people: towards a model, the longer answer, ties."""
    rows = tuple(
        (
            column,
            bias.what,
            number(bias.judge, 3),
            number(bias.people, 3),
            signed_with_interval(bias.difference),
            f"{bias.n:,}",
        )
        for column, biases in by_column
        for bias in biases
    )
    if rows:
        yield Table(
            "Difference between the judge and people",
            ("Column", "Quantity", "Judge", "People", "Judge minus people", "n"),
            "llrrrr",
            rows,
            note="An interval that excludes 0 shows a bias of the judge relative to people. Where the two "
            "differ by the same amount on every label, it is the interval that holds for any scores on this "
            "scale.",
        )
