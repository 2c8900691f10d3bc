"""report.html, report.md, study.json and the tables for a paper, of a study that ranks arms."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from harness.core.files import write_private
from harness.core.sanitize import escape_record, printable_line
from harness.types.study import ArmPair, StudyArm, StudyLook, StudyResult
from reports.components import (
    Chart,
    ForestPanel,
    ForestRow,
    KeyValue,
    Link,
    ScatterChart,
    ScatterPoint,
    Section,
    Table,
    VerdictLabel,
    View,
    without_empty_columns,
)
from reports.formatting import (
    ABSENT,
    count,
    duration,
    format_interval,
    number,
    percent,
    signed,
    signed_with_interval,
)
from reports.html import view_to_html
from reports.markdown import view_to_markdown
from reports.paper_tables import paper_csv, paper_latex, paper_markdown

STUDY_FILES = ("study.json", "table.csv", "table.tex", "table.md", "report.md", "report.html")
RANKED = VerdictLabel("none", "RANKED", "○")
COST_WORDS = {
    "trainable_parameters": "Trained parameters",
    "peak_memory_bytes": "Peak memory, MiB",
    "training_seconds": "Training, seconds",
    "training_tokens": "Training tokens",
    "training_cost": "Training cost",
}
_RULE = (
    "Differences are over items and training seeds, both as samples; the interval of every pair holds together with "
    "all others' with probability {confidence} (Šidák's inequality). 'Better than' is said where it excludes 0. Arms "
    "that share a letter are not told apart, which does not show that they are equal. A study gives no verdict of a gate."
)


def write_study(result: StudyResult, folder: Path) -> None:
    """Write the files of a study, each atomically, study.json last.

    Raises:
        InfrastructureError: a file could not be written.
    """
    view = study_view(result, folder)
    dumped = json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_private(folder / "table.md", paper_markdown(result).encode(errors="replace"))
    write_private(folder / "table.tex", paper_latex(result).encode(errors="replace"))
    write_private(folder / "table.csv", paper_csv(result).encode(errors="replace"))
    write_private(folder / "report.md", view_to_markdown(view).encode(errors="replace"))
    write_private(folder / "report.html", view_to_html(view).encode(errors="replace"))
    write_private(folder / "study.json", dumped.encode(errors="backslashreplace"))


def study_view(result: StudyResult, folder: Path) -> View:
    """Build the page of a study in `folder`, from which it links to the runs' reports."""
    links = [_link(look, folder) for look in result.looks]
    result = escape_record(result)
    return View(
        title=result.title or result.study,
        provenance=f"study {result.study} · stated {result.registered} · finished {result.finished}",
        verdict=RANKED,
        sentence=result.sentence,
        summary=tuple(study_summary(result)),
        facts=tuple(_facts(result)),
        claims=(),
        claims_note="",
        caveats=tuple(caveat.text for caveat in result.caveats),
        sections=tuple(_sections(result, links)),
        footer=f"alignment-harness {result.harness_version}",
    )


def describe_study(result: StudyResult, folder: Path) -> Iterator[str]:
    """Describe a study in lines for a terminal: the sentence, each arm's place, and the page."""
    yield f"{result.study}: {result.sentence}"
    yield from (f"  {line}" for line in study_summary(result))
    width = max(len(arm.name) for arm in result.arms)
    for arm in result.arms:
        if arm.problem:
            yield f"  {arm.name:<{width}}  no place: {printable_line(arm.problem)}"
        else:
            yield f"  {arm.name:<{width}}  {rank_words(arm)}  {arm.letters}  {_mean(arm)}"
    yield str(folder / "report.html")


def study_summary(result: StudyResult) -> Iterator[str]:
    """Yield how many arms were ranked by what, and what dropping arms saved."""
    ranked = [arm for arm in result.arms if not arm.problem]
    seeds = max((len(arm.seeds) for arm in ranked), default=0)
    by_seed = f", {count(seeds, 'training seed')} each" if seeds else ""
    items = result.looks[-1].n_items
    yield f"{count(len(ranked), 'arm')} ranked by {result.metric} on {count(items, 'item')}{by_seed}"
    without = [arm.name for arm in result.arms if arm.problem]
    if without:
        yield f"without a place, for the reasons below: {', '.join(without)}"
    if result.saving is not None:
        saved = result.saving
        left_out = saved.judgements_planned - saved.judgements
        fewer = saved.trainings_planned - saved.trainings
        trainings = f" and {fewer} of {saved.trainings_planned} trainings"
        yield from dropped_words(result)
        yield (
            f"dropped at looks: {count(sum(arm.dropped_at is not None for arm in ranked), 'arm')}; saved "
            f"{percent(left_out / saved.judgements_planned)} of the judgements ({left_out:,} of "
            f"{saved.judgements_planned:,}){trainings if saved.trainings_planned else ''}"
        )


def dropped_words(result: StudyResult) -> Iterator[str]:
    """Yield for each dropped arm after what it was, and because of which difference."""
    for look in result.looks:
        for name, other in look.dropped.items():
            seeds = f" and {count(len(look.seeds), 'training seed')}" if len(look.seeds) > 1 else ""
            yield (
                f"{name} was dropped after look {look.number} ({count(look.n_items, 'item')}{seeds}): {other} is better"
                f"{_by_how_much(result, name, other, look)}, so that it cannot be the best any more"
            )


def _by_how_much(result: StudyResult, name: str, other: str, look: StudyLook) -> str:
    """Return the difference for which an arm was dropped; nothing where the other has lost its place since."""
    for pair in result.pairs:
        if {pair.first, pair.second} == {name, other}:
            low, high = sorted((abs(pair.difference.low), abs(pair.difference.high)))
            return (
                f" by {number(abs(pair.difference.estimate), 3)} ({number(low, 3)} to {number(high, 3)}, with all pairs "
                f"of that look at alpha {look.alpha:.3g})"
            )
    return ""


def rank_words(arm: StudyArm) -> str:
    """Return the ranks that an arm may have: rank 1, or rank 1 to 3."""
    if arm.rank_best == arm.rank_worst:
        return f"rank {arm.rank_best}"
    return f"rank {arm.rank_best} to {arm.rank_worst}"


# --- sections --------------------------------------------------------------------------------


def _sections(result: StudyResult, links: list[Link]) -> Iterator[Section]:
    yield Section(
        name="ranking",
        title="Ranking",
        lead=_RULE.format(confidence=percent(result.confidence)),
        charts=tuple(_against_best(result)),
        tables=(_ranking_table(result),),
        notes=tuple(f"{arm.name}: {arm.problem}" for arm in result.arms if arm.problem),
    )
    yield Section(
        name="pairs",
        title="Every pair",
        tables=(_pairs_table(result),),
        notes=(
            "A statement that follows is one of two others: where a is better than b and b than c, so is a than c.",
        )
        if any(pair.follows for pair in result.pairs)
        else (),
    )
    yield Section(
        name="trade-off",
        title="Quality against cost",
        lead="An arm is on the front of a cost (filled) unless another costs no more and is shown to be better; where "
        "nothing is told apart, everything is on it. Costs are means over an arm's own trainings, parents not "
        "included, as the checkpoints recorded them; memory is the largest. What models of the profile took is not known.",
        charts=tuple(_front_charts(result)),
        tables=tuple(_cost_table(result)),
    )
    yield Section(
        name="looks",
        title="Looks and runs",
        lead="An arm is dropped at a look where another is shown to be better at that look's share of alpha; the "
        "shares of all looks sum to alpha."
        if len(result.looks) > 1
        else "",
        tables=(_looks_table(result),),
        links=tuple(links),
    )


def _ranking_table(result: StudyResult) -> Table:
    rows = tuple(
        (
            ABSENT if arm.problem else rank_words(arm).removeprefix("rank "),
            arm.name,
            arm.letters or ABSENT,
            _mean(arm),
            signed_with_interval(arm.strength),
            str(len(arm.seeds) or 1),
            f"{arm.n_missing:,}" if arm.n_missing else ABSENT,
            f"look {arm.dropped_at}, {count(arm.n_items, 'item')}" if arm.dropped_at else ABSENT,
            arm.recipe or "model of the profile",
        )
        for arm in result.arms
    )
    title = (
        "Mean win score against the arms of its last look, itself included"
        if result.preference
        else f"Mean of {result.metric}"
    )
    head = ("Rank", "Arm", "Groups", "Mean (95 % interval)", "Log-strength", "Trainings", "Scores missing", "Dropped at", "Recipe")  # fmt: skip
    note = "The interval of a mean is that arm's own; arms are compared by their differences below."
    if any(arm.dropped_at for arm in result.arms):
        note += " That of a dropped arm is over the items and arms of its last look alone."
    if result.preference:
        note += " A log-strength is Bradley and Terry's, against the first arm of the study."
    return without_empty_columns(Table(title, head, "rllrrrrll", rows, note=note))


def _pairs_table(result: StudyResult) -> Table:
    rows = tuple(
        (
            pair.second,
            pair.first,
            f"{signed(pair.difference.estimate, 3)} ({_limits(pair)})",
            statement(pair),
            f"{pair.look}",
        )
        for pair in result.pairs
    )
    head = ("Arm", "Less", "Difference, simultaneous interval", "Statement", "Look")
    table = Table("Pairwise differences", head, "llrlr", rows, folded=len(rows) > 20)
    return table if len(result.looks) > 1 else _without_last_column(table)


def _without_last_column(table: Table) -> Table:
    rows = tuple(row[:-1] for row in table.rows)
    return Table(table.title, table.head[:-1], table.align[:-1], rows, table.folded, table.note)


def statement(pair: ArmPair) -> str:
    """Return what a pair's interval says: better than, or not told apart."""
    if pair.better is None:
        return "not told apart"
    worse = pair.first if pair.better == pair.second else pair.second
    return f"{pair.better} better than {worse}{' (follows)' if pair.follows else ''}"


def _cost_table(result: StudyResult) -> Iterator[Table]:
    arms = [arm for arm in result.arms if arm.on_front]
    if not arms:
        return
    rows = tuple((arm.name, _mean(arm), *(_cost(arm, name) for name in COST_WORDS)) for arm in arms)
    head = ("Arm", "Mean (95 % interval)", *(_cost_head(name, result) for name in COST_WORDS))
    yield without_empty_columns(
        Table("Costs; * is on the front", head, "lr" + "r" * len(COST_WORDS), rows)
    )


def _cost(arm: StudyArm, name: str) -> str:
    value = _cost_value(arm, name)
    if value is None:
        return ABSENT
    digits = 4 if name == "training_cost" else 1 if name == "training_seconds" else 0
    return f"{value:,.{digits}f}{' *' if arm.on_front.get(name) else ''}"


def _cost_value(arm: StudyArm, name: str) -> float | None:
    value: float | None = getattr(arm.cost, name)
    return value / 2**20 if value is not None and name == "peak_memory_bytes" else value


def _cost_head(name: str, result: StudyResult) -> str:
    return f"{COST_WORDS[name]}, {result.currency}" if name == "training_cost" else COST_WORDS[name]


def _looks_table(result: StudyResult) -> Table:
    rows = tuple(
        (
            str(look.number),
            ", ".join(map(str, look.seeds)),
            f"{look.n_items:,}",
            f"{look.alpha:.3g}",
            f"{len(look.arms)}",
            "; ".join(f"{name} (by {other})" for name, other in look.dropped.items()) or ABSENT,
            look.run_id,
        )
        for look in result.looks
    )
    head = ("Look", "Training seeds", "Items", "Alpha", "Arms", "Dropped after it", "Run")
    return without_empty_columns(Table("Looks", head, "rlrrrll", rows))


def _facts(result: StudyResult) -> Iterator[KeyValue]:
    yield KeyValue("Suite", result.suite, f"ranked by {result.metric}")
    yield KeyValue("Level", f"alpha {result.alpha:g}", "for all statements together")
    seconds = sum((arm.cost.training_seconds or 0) * len(arm.seeds) for arm in result.arms)
    if seconds:
        yield KeyValue("Training", duration(seconds), "of all arms, parents not included")
    for line in result.spend:
        cost = "" if line.cost is None else f", {line.cost:.2f} {line.currency}"
        yield KeyValue(line.who, f"{line.calls:,} calls", f"{line.work}{cost}")


# --- charts ----------------------------------------------------------------------------------


def _against_best(result: StudyResult) -> Iterator[Chart]:
    """Yield each arm's difference to the arm with the first place."""
    ranked = [arm for arm in result.arms if not arm.problem]
    if len(ranked) < 2:
        return
    best = ranked[0].name
    by_arms = {(pair.first, pair.second): pair for pair in result.pairs}
    rows = []
    for arm in ranked[1:]:
        pair, sign = by_arms.get((best, arm.name)), 1.0
        if pair is None:
            pair, sign = by_arms.get((arm.name, best)), -1.0
        if pair is None:
            continue
        low, high = sorted((sign * pair.difference.low, sign * pair.difference.high))
        estimate = sign * pair.difference.estimate
        numbers = f"{signed(estimate, 2)} ({signed(low, 2)} to {signed(high, 2)})"
        rows.append(ForestRow(arm.name, numbers, estimate, low, high, ()))
    if rows:
        yield ForestPanel(f"{result.metric}, less {best}", 0.0, best, "the other", tuple(rows))


def _front_charts(result: StudyResult) -> Iterator[Chart]:
    for name in COST_WORDS:
        points = tuple(
            ScatterPoint(arm.name, value, arm.mean.estimate, arm.mean.low, arm.mean.high, filled)
            for arm in result.arms
            if (filled := arm.on_front.get(name)) is not None and arm.mean is not None
            for value in [_cost_value(arm, name)]
            if value is not None
        )
        if len({point.x for point in points}) > 1:
            yield ScatterChart(f"{result.metric} against cost", _cost_head(name, result), points)


def _mean(arm: StudyArm) -> str:
    if arm.mean is None:
        return ABSENT
    return f"{number(arm.mean.estimate, 3)} ({format_interval(arm.mean, 3)})"


def _limits(pair: ArmPair) -> str:
    return f"{signed(pair.difference.low, 3)} to {signed(pair.difference.high, 3)}"


def _link(look: StudyLook, folder: Path) -> Link:
    page = Path(os.path.relpath(look.folder, folder)) / "report"
    return Link(quote(page.as_posix()), f"Report of the run at look {look.number}: {look.run_id}")
