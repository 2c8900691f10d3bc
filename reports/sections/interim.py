"""The section on interim analyses (looks): where judging stopped, what it saved, each claim then."""

from collections.abc import Iterator

from harness.types import ClaimAtLook, RunResult, Stopping, TaskLooks
from reports.components import LABELS, Section, Table, without_empty_columns
from reports.formatting import (
    ABSENT,
    columns_by_name,
    count,
    digits_to_distinguish,
    format_interval,
    number,
    percent,
)


def looks_section(result: RunResult) -> Section | None:
    """Return the section on looks; None if the run had no interim looks."""
    stopping = result.stopping
    if stopping is None:
        return None
    return Section(
        name="looks",
        title="Early stopping",
        lead=_lead(stopping),
        tables=(_claims_table(result, stopping), _looks_table(result.plan.looks)),
        notes=tuple(_notes(stopping)),
    )


def looks_line(stopping: Stopping) -> str:
    """Return one line: the look at which judging stopped, and what was not needed."""
    look = f"Look {stopping.look} of {stopping.looks}"
    if not stopping.early:
        return f"{look}: all items judged"
    return f"Stopped at look {stopping.look} of {stopping.looks}; not needed: {_savings(stopping)}"


def items_judged(result: RunResult) -> tuple[str, ...]:
    """Return the number of items of each task; `120 of 300` where not all were judged."""
    if result.stopping is None:
        return tuple(f"{task.n_distinct:,}" for task in result.plan.tasks)
    return tuple(
        f"{stop.n_items:,} of {stop.n_most:,}" if stop.n_items < stop.n_most else f"{stop.n_most:,}"
        for stop in result.stopping.tasks
    )


def _lead(stopping: Stopping) -> str:
    if not stopping.early:
        return f"All items were judged, in {stopping.looks} looks."
    reasons = {
        "pass": "every claim was shown to hold",
        "fail": "the verdict was certain to be a fail",
        "futile": "at the current trend, the chance of a pass and the chance of a fail were both "
        "below 10 %",
        "complete": "all items were judged",
    }
    n_judged = " + ".join(f"{stop.n_items:,} of {stop.n_most:,}" for stop in stopping.tasks)
    return (
        f"Judging stopped at look {stopping.look} of {stopping.looks}, after {n_judged} items in "
        f"random order: {reasons[stopping.reason]}. This saved {_savings(stopping)}."
    )


def _savings(stopping: Stopping) -> str:
    savings = [count(stopping.verdicts_skipped, "judge verdict")]
    if stopping.answers_skipped:
        savings.append(count(stopping.answers_skipped, "model answer"))
    savings += [f"about {saving.cost:.2f} {saving.currency}" for saving in stopping.savings]
    return ", ".join(savings)


def _notes(stopping: Stopping) -> Iterator[str]:
    if stopping.early:
        yield (
            "An estimate from a run that stopped early is biased: it tends to be farther from no "
            "difference than the true value, because runs with a lucky start stop sooner. The "
            "median-unbiased estimate beside it is above the truth half of the time (outcomes ordered by "
            "the look at which they stop; at the first look both are the same). Use the "
            "repeated confidence intervals of this section; the 95 % intervals of other sections are "
            "not adjusted for the looks."
        )
    yield (
        f"Each limit of a repeated interval is wrong with probability {stopping.alpha:g} over all "
        "looks together. A claim that has crossed its boundary is decided at that look; later items "
        "do not change it."
    )
    if stopping.savings:
        yield "Saved cost is estimated from the mean cost of the calls that were made."


def _claims_table(result: RunResult, stopping: Stopping) -> Table:
    level = f"Repeated interval ({100 * (1 - 2 * stopping.alpha):.3g} %)"
    head = ("Claim", "Verdict", "Look", "Items", "Estimate", "Median-unbiased", level, "Boundary",
            "Chance of pass", "Chance of fail")  # fmt: skip
    columns = columns_by_name(result.plan)
    rows = tuple(_claim_row(claim, columns[claim.metric].digits) for claim in stopping.claims)
    table = Table("Each claim at the look that decided it", head, "llrrrrrrrr", rows)
    return without_empty_columns(table)


def _claim_row(claim: ClaimAtLook, digits: int) -> tuple[str, ...]:
    digits = digits_to_distinguish(claim.repeated.low, claim.boundary, digits)
    return (
        claim.claim,
        LABELS[claim.verdict].word,
        str(claim.look),
        f"{claim.n:,}",
        number(claim.repeated.estimate, digits),
        ABSENT if claim.unbiased is None else number(claim.unbiased, digits),
        format_interval(claim.repeated, digits),
        number(claim.boundary, digits),
        _chance(claim.chance_of_pass),
        _chance(claim.chance_of_fail),
    )


def _chance(chance: float | None) -> str:
    return ABSENT if chance is None else percent(chance)


def _looks_table(planned: tuple[TaskLooks, ...]) -> Table:
    """Return the schedule of looks, as planned before the first answer."""
    rows = tuple(
        (looks.task, str(which), f"{size:,}", f"{z:.4f}", f"{alpha:.3g}", str(looks.order_seed))
        for looks in planned
        for which, (size, z, alpha) in enumerate(
            zip(looks.sizes, looks.z, looks.alphas, strict=True), start=1
        )
    )
    return Table(
        "Planned looks (O'Brien-Fleming boundaries)",
        ("Task", "Look", "Items", "Critical z", "One-sided alpha", "Seed of the order"),
        "lrrrrr",
        rows,
        folded=True,
    )
