"""The section that says how far the judge can be trusted, in the order of a reader's questions."""

from collections.abc import Iterable, Iterator

from harness.types import (
    REQUIREMENT_MEASURES,
    GateDecision,
    Interval,
    JudgeCard,
    JudgeCounts,
    PairwiseDetail,
    Plan,
    RunResult,
)
from reports.components import Section, Table, without_empty_columns
from reports.formatting import (
    ABSENT,
    Column,
    columns_by_name,
    estimate_with_span,
    favoured_side,
    format_interval,
    models_compared,
    number,
    p_value,
    percent,
    quoted,
    signed,
)
from reports.sections.agreement import agreement_tables, disagreements, opinion_tables, repeat_table
from reports.sections.missing import (
    bounds_table,
    coverage_table,
    scores_in_words,
    tally_table,
    verdicts_in_words,
)

AT_THE_TOP = 0.5  # from here on the typical answer has no room left to be better


def judge_section(result: RunResult) -> Section:
    """Everything known about the judges of a run; what is not known leaves no trace."""
    columns = columns_by_name(result.plan)
    return Section(
        name="judge",
        title="How far can the judge be trusted?",
        lead=" ".join((*verdicts_in_words(result.tallies), *scores_in_words(result.coverage))),
        alerts=tuple(_alerts(result)),
        tables=(
            *_who_judged(result.plan),
            *_licence_table(result.decision),
            *opinion_tables(result, columns),
            *agreement_tables(result.agreements),
            *repeat_table(result.repeatability),
            *tally_table(result.tallies),
            *bounds_table(result, columns),
            *coverage_table(result.coverage, told=bool(result.tallies)),
            *_position_table(result),
            *_length_table(result, columns),
            *_ceiling_table(result, columns),
        ),
    )


def _licence_table(decision: GateDecision | None) -> Iterator[Table]:
    """Whether the judges that claims rest on were shown to agree with people as far as asked for."""
    found = decision.licences if decision else ()
    rows = tuple(
        (
            each.column,
            each.judge,
            "yes" if each.held else "no",
            ABSENT if each.estimate is None else number(each.estimate, 2),
            ABSENT if each.low is None else number(each.low, 2),
            f"{each.at_least:g}",
            f"{each.n:,}",
        )
        for each in found
    )
    if rows:
        yield Table(
            "May the judge decide?",
            ("Score", "Judge", "Licensed", "Agreement", "At least", "Asked for", "Labels"),
            "lllrrrr",
            rows,
            note=f"Its {REQUIREMENT_MEASURES[found[0].measure]} with people; the lower end of the 95 % interval "
            "counts.",
        )


def _alerts(result: RunResult) -> Iterator[str]:
    """What makes a verdict doubtful and no caveat says; scores that share a fault share a line."""
    scores: dict[str, list[str]] = {}
    for score, text in (*_silences(result.tallies), *disagreements(result)):
        scores.setdefault(text, []).append(score)
    for text, names in scores.items():
        yield f"{', '.join(dict.fromkeys(names))}: {text}"


def _silences(tallies: Iterable[JudgeCounts]) -> Iterator[tuple[str, str]]:
    """Judges that gave no verdict at all on a model, with the metric."""
    models: dict[tuple[str, str], list[str]] = {}
    for tally in tallies:
        if tally.asked and not tally.scored:
            models.setdefault((tally.metric, tally.judge), []).append(tally.model)
    for (metric, judge), names in models.items():
        yield metric, f"'{judge}' gave not one verdict on {quoted(names)}."


# --- who judged ------------------------------------------------------------------------------


def judge_cards(plan: Plan) -> dict[JudgeCard, str]:
    """Every judge with what it was there for, each jury before its members."""
    parts: dict[JudgeCard, list[str]] = {}
    for card in dict.fromkeys(plan.judges.values()):
        parts.setdefault(card, []).extend(m for m, its in plan.judges.items() if its == card)
        for member in card.members:
            parts.setdefault(member, []).append(f"member of {card.name}")
    return {card: ", ".join(part) for card, part in parts.items()}


def _who_judged(plan: Plan) -> Iterator[Table]:
    rows = [
        (card.name, part, card.nature, card.model or ABSENT, card.evidence or ABSENT)
        for card, part in judge_cards(plan).items()
    ]
    head = ("Judge", "For", "What it is", "Language model", "What was measured of it")
    if rows:
        yield without_empty_columns(Table("Who judged", head, "lllll", tuple(rows)))


# --- order, length, ceiling ------------------------------------------------------------------


def _position_table(result: RunResult) -> Iterator[Table]:
    pairs = [(c, c.pairwise) for c in result.comparisons if c.pairwise]
    rows = [
        (
            comparison.metric,
            models_compared(result.plan, comparison),
            percent(detail.first_share),
            _moved(detail.position_effect),
            p_value(detail.position_p),
            ABSENT if detail.consistency is None else percent(detail.consistency),
            _leaning(detail),
        )
        for comparison, detail in pairs
    ]
    if rows:
        head = ("Metric", "Models", "First-shown won", "Moved by being first", "p",
                "Same winner in both orders", "Leans to")  # fmt: skip
        table = Table(
            "Does it matter which answer is shown first?",
            head,
            "llrrrrl",
            tuple(rows),
            note="Where order does not matter, the first-shown answer wins half the time; ties "
            "count half.",
        )
        yield without_empty_columns(table)


def _moved(effect: Interval | None) -> str:
    return f"{signed(effect.estimate, 3)} ({format_interval(effect, 3)})" if effect else ABSENT


def _leaning(detail: PairwiseDetail) -> str:
    if detail.single_order:
        return "cannot be told: pairs were shown in one order only"
    if detail.position_effect is None:
        return "not estimable"
    side = favoured_side(detail.position_effect, 0)
    if side == 0:
        return "neither, as far as can be told"
    return "the first-shown" if side > 0 else "the second-shown"


def _length_table(result: RunResult, columns: dict[str, Column]) -> Iterator[Table]:
    rows = [
        (
            effect.metric,
            models_compared(result.plan, effect),
            columns[effect.metric].difference(effect.raw),
            estimate_with_span(effect.adjusted, columns[effect.metric])
            if effect.adjusted
            else f"not identified: {effect.unidentified}",
            f"{percent(effect.share_longer)} / {percent(effect.share_shorter)}",
        )
        for effect in result.length_effects
    ]
    if rows:
        head = ("Metric", "Models", "As it is", "At equal length", "Longer / shorter")
        table = Table(
            "Does length explain it?",
            head,
            "llrrr",
            tuple(rows),
            note="Judges often like longer answers. This is what the comparison would say if "
            "both models answered at equal length; it decides nothing by itself.",
        )
        yield without_empty_columns(table)


def _ceiling_table(result: RunResult, columns: dict[str, Column]) -> Iterator[Table]:
    saturated = {
        (c.metric, flag.partition(":")[2])
        for c in result.comparisons
        for flag in c.flags
        if flag.startswith("saturated:")
    }
    rows = [
        (score.metric, score.model, percent(score.ceiling_share), f"{score.n:,}")
        for score in result.scores
        if (score.metric, score.model) in saturated
        or (columns[score.metric].has_points and score.ceiling_share >= AT_THE_TOP)
    ]
    if rows:
        yield Table(
            "Is there room at the top of the scale?",
            ("Score", "Model", "Answers with the top score", "n"),
            "llrr",
            tuple(rows),
            note="Where most answers score at or near the top, the judge cannot show which of "
            "them is better.",
        )
