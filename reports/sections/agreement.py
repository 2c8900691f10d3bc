"""How far judges agree: the members of a jury with each other, and each with itself."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.types import (
    Comparison,
    Interval,
    JudgeAgreement,
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
    estimate_with_span,
    favoured_side,
    listing,
    models_compared,
    quoted,
    share_with_span,
    with_span,
)

# --- members of a jury -----------------------------------------------------------------------


def agreement_tables(agreements: Sequence[JudgeAgreement]) -> Iterator[Table]:
    """How far the members of each jury agree."""
    juries = dict.fromkeys(agreement.judges for agreement in agreements)
    for judges in juries:
        rows = [
            (
                a.column,
                f"{a.n:,}",
                share_with_span(a.percent),
                *(with_span(measure, 2) for measure in _beyond_chance(a).values()),
                _against_chance(_beyond_chance(a)) if a.n else "nothing judged by two",
            )
            for a in agreements
            if a.judges == judges
        ]
        head = ("Score", "n", "Same verdict", "Krippendorff's alpha", "Gwet's AC1/AC2",
                "Cohen's kappa", "Agreement")  # fmt: skip
        table = Table(
            _of_jury("Do the judges agree?", judges, juries),
            head,
            "lrrrrrl",
            tuple(rows),
            note="Same verdict is how often two of them gave exactly the same. The other figures "
            "leave out what chance alone would give: 1 is full agreement, 0 is chance. Where "
            "almost all verdicts are alike, alpha and kappa are low even if the judges agree; "
            "Gwet's is not.",
        )
        yield without_empty_columns(table)


def _of_jury(title: str, judges: tuple[str, ...], juries: Collection[tuple[str, ...]]) -> str:
    """The title, with the judges' names where there is more than one jury."""
    return title if len(juries) == 1 else f"{title} {listing(judges)}"


def _beyond_chance(agreement: JudgeAgreement) -> dict[str, Interval | None]:
    return {"alpha": agreement.alpha, "Gwet": agreement.ac1, "kappa": agreement.kappa}


def _against_chance(measures: Mapping[str, Interval | None]) -> str:
    """What the intervals say of chance, and nothing about how good that is."""
    sides = {name: favoured_side(measure, 0) for name, measure in measures.items() if measure}
    if not sides:
        return "not estimable"
    lowest = min(sides.values())
    said = {1: "better than chance", 0: "no better than chance", -1: "worse than chance"}[lowest]
    names = [name for name, side in sides.items() if side == lowest]
    return said if len(names) == len(sides) else f"{said} by {listing(names)}"


class _Opinions(NamedTuple):
    """One comparison as the jury has it, and as each of its members has it alone."""

    jury: Comparison
    alone: dict[str, SingleJudgeComparison]

    def members(self, side: Side) -> list[str]:
        """Who finds the candidate better (1), worse (-1) or neither (0)."""
        null = self.jury.null
        return [name for name, o in self.alone.items() if favoured_side(o.difference, null) == side]


def _opinions(result: RunResult) -> list[_Opinions]:
    found = []
    for jury in result.comparisons:
        alone = {
            opinion.judge: opinion
            for opinion in result.opinions
            if (opinion.column, opinion.baseline, opinion.candidate)
            == (jury.metric, jury.baseline, jury.candidate)
        }
        if alone:
            found.append(_Opinions(jury, alone))
    return found


def opinion_tables(result: RunResult, columns: dict[str, Column]) -> Iterator[Table]:
    """What each member of a jury finds alone, beside what they find together."""
    opinions = _opinions(result)
    juries = dict.fromkeys(tuple(found.alone) for found in opinions)
    for judges in juries:
        rows = [
            _opinion_row(found, columns[found.jury.metric], result.plan)
            for found in opinions
            if tuple(found.alone) == judges
        ]
        table = Table(
            _of_jury("Does the result hang on one judge?", judges, juries),
            ("Score", "Models", "All together", *judges, "n of each", "By themselves"),
            "llr" + "r" * len(judges) + "rl",
            tuple(rows),
            note="The same difference by each judge's own verdicts. Where they part, the result "
            "depends on who judges.",
        )
        yield without_empty_columns(table)


def _opinion_row(found: _Opinions, column: Column, plan: Plan) -> tuple[str, ...]:
    alone = found.alone.values()
    return (
        found.jury.metric,
        models_compared(plan, found.jury),
        estimate_with_span(found.jury.difference, column),
        *(estimate_with_span(opinion.difference, column) for opinion in alone),
        " / ".join(f"{opinion.n:,}" for opinion in alone),
        _by_themselves(found),
    )


def _by_themselves(found: _Opinions) -> str:
    kinds: dict[str, Side] = {"better": 1, "undecided": 0, "worse": -1}
    counts = {word: len(found.members(side)) for word, side in kinds.items()}
    said = [f"{n} {word}" for word, n in counts.items() if n]
    agreed = len(said) == 1 < len(found.alone)
    return f"all {said[0].partition(' ')[2]}" if agreed else ", ".join(said)


# --- repeats ---------------------------------------------------------------------------------


def repeat_table(repeats: Sequence[Repeatability]) -> Iterator[Table]:
    """How far each judge repeats itself."""
    if not repeats:
        return
    rows = [
        (
            r.column,
            r.judge,
            count(r.repeats, "time"),
            f"{r.n:,}",
            share_with_span(r.flip_rate),
            with_span(r.icc, 2),
            _against_chance({"ICC": r.icc}) if r.icc else ABSENT,
        )
        for r in repeats
    ]
    head = ("Score", "Judge", "Asked", "n", "Verdicts that differ", "ICC", "Repeats agree")
    table = Table(
        "Does a judge repeat itself?",
        head,
        "llrrrrl",
        tuple(rows),
        folded=len(rows) > N_ROWS_SHOWN,
        note=" ".join(_repeats_in_words(repeats)),
    )
    yield without_empty_columns(table)


def _repeats_in_words(repeats: Iterable[Repeatability]) -> Iterator[str]:
    yield "Asked the same more than once, this is how often two of a judge's verdicts differ."
    if any(r.icc for r in repeats):
        yield (
            "ICC is the share of the spread in its scores that comes from the answers and not "
            "from its own wavering: 1 is steady, 0 is noise."
        )


# --- what is worrying ------------------------------------------------------------------------


def disagreements(result: RunResult) -> Iterator[tuple[str, str]]:
    """Each doubt with the score that it concerns, the gravest first."""
    opinions = _opinions(result)
    for found in opinions:
        yield from _contradiction(found)
    for a in result.agreements:
        if _is_chance(_beyond_chance(a)):
            yield a.column, f"{quoted(a.judges)} agree no better than chance."
    for r in result.repeatability:
        if _is_chance({"ICC": r.icc}):
            yield r.column, f"'{r.judge}', asked again, agrees with itself no better than chance."
    for found in opinions:
        yield from _single_voice(found)


def _contradiction(found: _Opinions) -> Iterator[tuple[str, str]]:
    jury, better, worse = found.jury, found.members(1), found.members(-1)
    if better and worse:
        opposed = f"{_find(better)} '{jury.candidate}' better, {_find(worse)} '{jury.baseline}'"
        yield jury.metric, f"the judges contradict each other. {opposed} better."


def _single_voice(found: _Opinions) -> Iterator[tuple[str, str]]:
    jury = found.jury
    side = favoured_side(jury.difference, jury.null)
    if len(found.alone) == 1:
        yield jury.metric, f"the result is that of {quoted(list(found.alone))} alone."
    elif side and len(agreeing := found.members(side)) == 1:
        winner = jury.candidate if side > 0 else jury.baseline
        only = f"of {len(found.alone)} judges only {_find(agreeing)} '{winner}' better by itself."
        yield jury.metric, only


def _find(judges: Sequence[str]) -> str:
    return f"{quoted(judges)} {'finds' if len(judges) == 1 else 'find'}"


def _is_chance(measures: Mapping[str, Interval | None]) -> bool:
    """Whether there is a measure of agreement, and none is clear of chance."""
    sides = [favoured_side(measure, 0) for measure in measures.values() if measure]
    return bool(sides) and max(sides) <= 0
