"""The section on the reliability of the judges, in the order of a reader's questions."""

from collections.abc import Iterable, Iterator, Sequence

from harness.types import (
    REQUIREMENT_MEASURES,
    Confirmation,
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
    difference_with_interval,
    favoured_side,
    format_interval,
    join_quoted,
    models_compared,
    number,
    number_or_dash,
    p_value,
    percent,
    signed,
    with_interval,
)
from reports.sections.agreement import (
    agreement_alerts,
    agreement_tables,
    bias_table,
    model_agreement_table,
    repeatability_table,
    single_judge_tables,
)
from reports.sections.missing import (
    bounds_table,
    coverage_table,
    describe_scores,
    describe_verdicts,
    tally_table,
)

_FIXED_JUDGES = (
    "A judge and its prompt are a fixed effect: intervals and tests here hold for other items like these, "
    "scored by the same judge with the same prompt, and say nothing of other judges or prompts."
)
_SAMPLED_JUDGES = (
    "{metrics}: the members of the jury are read as a sample of judges like them, with the items (a two-way "
    "standard error), so intervals and claims reach beyond these judges, but not beyond the prompt."
)
CEILING_SHARE = 0.5  # with this share of top scores, the typical answer cannot be better


def judge_section(result: RunResult) -> Section:
    """Return everything measured about the judges of a run; tables without data are left out."""
    columns = columns_by_name(result.plan)
    return Section(
        name="judge",
        title="Reliability of the judge",
        lead=" ".join((*describe_verdicts(result.tallies), *describe_scores(result.coverage))),
        alerts=tuple(_alerts(result)),
        tables=(
            *_judges_table(result.plan),
            *_requirement_table(result.decision),
            *confirmation_table(result.decision.confirmations if result.decision else ()),
            *single_judge_tables(result, columns),
            *agreement_tables(result.agreements),
            *repeatability_table(result.repeatability),
            *tally_table(result.tallies),
            *bounds_table(result, columns),
            *coverage_table(result.coverage, has_tallies=bool(result.tallies)),
            *_position_table(result),
            *_length_table(result, columns),
            *_ceiling_table(result, columns),
        ),
    )


def _requirement_table(decision: GateDecision | None) -> Iterator[Table]:
    """Yield the required and measured agreement with people of the judges that claims depend on."""
    requirements = decision.licences if decision else ()
    rows = tuple(
        (
            requirement.column,
            requirement.judge,
            "yes" if requirement.held else "no",
            number_or_dash(requirement.estimate, 2),
            number_or_dash(requirement.low, 2),
            f"{requirement.at_least:g}",
            f"{requirement.n:,}",
        )
        for requirement in requirements
    )
    if rows:
        yield Table(
            "Required agreement of the judge with people",
            ("Score", "Judge", "Met", "Agreement", "Lower limit", "Required", "Labels"),
            "lllrrrr",
            rows,
            note=f"Agreement is measured as {REQUIREMENT_MEASURES[requirements[0].measure]} with people. "
            "The requirement is met if the lower limit of the 95 % interval reaches the required "
            "value.",
        )
    yield from model_agreement_table((r.column, r.models) for r in requirements)
    yield from bias_table((r.column, r.biases) for r in requirements)


def confirmation_table(confirmations: Sequence[Confirmation]) -> Iterator[Table]:
    """Yield the judge's verdict on each claim, and the one corrected by people's labels."""
    rows = tuple(
        (
            c.claim,
            c.judged,
            c.corrected,
            number(c.by_judge, 3),
            number(c.by_labels, 3),
            f"{number(c.estimate, 3)} ({number(c.low, 3)} to {number(c.high, 3)})",
            f"{c.n:,} / {c.n_labels:,}",
        )
        for c in confirmations
    )
    if rows:
        yield Table(
            "Claims tested again, corrected by people's labels",
            ("Claim", "By the judge", "Corrected", "Judge's mean", "People's mean", "Corrected mean",
             "Items / labels"),
            "lllrrrr",
            rows,
            note="A judge that agrees with people on all answers together may still favour one of the "
            "models. The corrected mean (PPI++, arXiv 2311.01453) is what people would have found on all "
            "items, with one-sided bounds at the gate's level; the bounds cover other items, not other "
            "annotators. Few labels confirm only a large difference.",
        )  # fmt: skip


def _alerts(result: RunResult) -> Iterator[str]:
    """Yield concerns that no caveat covers; score columns with the same concern share a line."""
    columns_by_text: dict[str, list[str]] = {}
    for column, text in (*_silent_judges(result.tallies), *agreement_alerts(result)):
        columns_by_text.setdefault(text, []).append(column)
    for text, names in columns_by_text.items():
        yield f"{', '.join(dict.fromkeys(names))}: {text}"


def _silent_judges(tallies: Iterable[JudgeCounts]) -> Iterator[tuple[str, str]]:
    """Yield the judges that gave no verdict at all on a model, with the metric."""
    models: dict[tuple[str, str], list[str]] = {}
    for tally in tallies:
        if tally.asked and not tally.scored:
            models.setdefault((tally.metric, tally.judge), []).append(tally.model)
    for (metric, judge), names in models.items():
        yield metric, f"'{judge}' gave no verdict at all on {join_quoted(names)}."


# --- judges ----------------------------------------------------------------------------------


def judge_cards(plan: Plan) -> dict[JudgeCard, str]:
    """Return every judge with its metrics or its jury, each jury before its members."""
    roles: dict[JudgeCard, list[str]] = {}
    for card in dict.fromkeys(plan.judges.values()):
        roles.setdefault(card, []).extend(m for m, judge in plan.judges.items() if judge == card)
        for member in card.members:
            roles.setdefault(member, []).append(f"member of {card.name}")
        if card.then is not None:
            roles.setdefault(card.then, []).append(f"where {card.name} cannot be read")
    return {card: ", ".join(role) for card, role in roles.items()}


def _judges_table(plan: Plan) -> Iterator[Table]:
    rows = [
        (card.name, role, card.nature, card.model or ABSENT, card.evidence or ABSENT)
        for card, role in judge_cards(plan).items()
    ]
    head = ("Judge", "Used for", "Description", "Language model", "Validation")
    if rows:
        computed = {n for n, metric in plan.metrics.items() if metric.computed}
        asked = {
            n: card for n, card in plan.judges.items() if n not in computed and not card.people
        }
        sampled = [n for n, card in asked.items() if card.sample]
        notes = [_SAMPLED_JUDGES.format(metrics=", ".join(sampled))] if sampled else []
        notes += [_FIXED_JUDGES] if len(sampled) < len(asked) else []
        note = " ".join(notes)
        yield without_empty_columns(Table("Judges", head, "lllll", tuple(rows), note=note))


# --- order, length, ceiling ------------------------------------------------------------------


def _position_table(result: RunResult) -> Iterator[Table]:
    """Yield the effect of the order in which the two answers are shown."""
    pairs = [(c, c.pairwise) for c in result.comparisons if c.pairwise]
    rows = [
        (
            comparison.metric,
            models_compared(result.plan, comparison),
            percent(detail.first_share),
            _position_effect(detail.position_effect),
            p_value(detail.position_p),
            ABSENT if detail.consistency is None else percent(detail.consistency),
            with_interval(detail.order_kappa, 2),
            _favoured_position(detail),
        )
        for comparison, detail in pairs
    ]
    if rows:
        head = ("Metric", "Models", "First answer wins", "Effect of position", "p",
                "Same winner in both orders", "Kappa between orders",
                "Favoured position")  # fmt: skip
        table = Table(
            "Effect of the order of the answers",
            head,
            "llrrrrrl",
            tuple(rows),
            note="Without an effect of order, the answer shown first wins in half of the "
            "judgements; a tie counts as half a win.",
        )
        yield without_empty_columns(table)


def _position_effect(effect: Interval | None) -> str:
    return f"{signed(effect.estimate, 3)} ({format_interval(effect, 3)})" if effect else ABSENT


def _favoured_position(detail: PairwiseDetail) -> str:
    if detail.single_order:
        return "unknown: pairs were shown in one order only"
    if detail.position_effect is None:
        return "not estimable"
    side = favoured_side(detail.position_effect, 0)
    if side == 0:
        return "none shown"
    return "first" if side > 0 else "second"


def _length_table(result: RunResult, columns: dict[str, Column]) -> Iterator[Table]:
    """Yield each comparison as observed, and adjusted to answers of equal length."""
    rows = [
        (
            effect.metric,
            models_compared(result.plan, effect),
            columns[effect.metric].difference(effect.raw),
            difference_with_interval(effect.adjusted, columns[effect.metric])
            if effect.adjusted
            else f"not identified: {effect.unidentified}",
            f"{percent(effect.share_longer)} / {percent(effect.share_shorter)}",
        )
        for effect in result.length_effects
    ]
    if rows:
        head = ("Metric", "Models", "Observed", "At equal length",
                "Candidate longer / shorter")  # fmt: skip
        table = Table(
            "Effect of answer length",
            head,
            "llrrr",
            tuple(rows),
            note="Judges often prefer longer answers. The adjusted value estimates the result if "
            "both models gave answers of equal length; it does not affect the verdict.",
        )
        yield without_empty_columns(table)


def _ceiling_table(result: RunResult, columns: dict[str, Column]) -> Iterator[Table]:
    """Yield the models whose scores are mostly at the top of the scale."""
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
        or (columns[score.metric].has_points and score.ceiling_share >= CEILING_SHARE)
    ]
    if rows:
        yield Table(
            "Scores at the top of the scale",
            ("Score", "Model", "Answers with the top score", "n"),
            "llrr",
            tuple(rows),
            note="Where most scores are at or near the top of the scale, differences between good "
            "answers cannot be seen.",
        )
