"""Where judging in looks ended, what that spared, and how each claim stood there."""

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
    """The section, where there were looks."""
    stopping = result.stopping
    if stopping is None:
        return None
    return Section(
        name="looks",
        title="Where judging ended",
        lead=_lead(stopping),
        tables=(_claims_table(result, stopping), _looks_table(result.plan.looks)),
        notes=tuple(_notes(stopping)),
    )


def looks_line(stopping: Stopping) -> str:
    """Where it ended, and what was not needed, in a line."""
    where = f"Look {stopping.look} of {stopping.looks}"
    return f"{where}: {_spared(stopping)} not needed" if stopping.early else f"{where}: all judged"


def items_judged(result: RunResult) -> tuple[str, ...]:
    """The number of items of each task, `120 of 300` where not all were judged."""
    if result.stopping is None:
        return tuple(f"{task.n_items // task.answers:,}" for task in result.plan.tasks)
    return tuple(
        f"{stop.n_items:,} of {stop.n_most:,}" if stop.n_items < stop.n_most else f"{stop.n_most:,}"
        for stop in result.stopping.tasks
    )


def _lead(stopping: Stopping) -> str:
    if not stopping.early:
        return f"All items were judged, in {stopping.looks} looks."
    whys = {
        "pass": "every claim was shown to hold",
        "fail": "the verdict was certain to be a fail",
        "futile": "at the trend so far, neither a pass nor a fail had a chance of 10 %",
        "complete": "all items were judged",
    }
    counted = " + ".join(f"{stop.n_items:,} of {stop.n_most:,}" for stop in stopping.tasks)
    return (
        f"Judging ended at look {stopping.look} of {stopping.looks}, after {counted} items in random "
        f"order: {whys[stopping.reason]}. This spared {_spared(stopping)}."
    )


def _spared(stopping: Stopping) -> str:
    spared = [f"{count(stopping.verdicts_skipped, 'verdict')} of judges"]
    if stopping.answers_skipped:
        spared.append(f"{count(stopping.answers_skipped, 'answer')} of models")
    spared += [f"about {saving.cost:.2f} {saving.currency}" for saving in stopping.savings]
    return ", ".join(spared)


def _notes(stopping: Stopping) -> Iterator[str]:
    if stopping.early:
        yield (
            "An estimate at which one stops is biased: it tends to lie farther from no difference "
            "than the truth, because a lucky start ends sooner. Read the repeated interval; the "
            "95 % intervals of other sections do not allow for the looks."
        )
    yield (
        f"Each limit of a repeated interval is wrong with chance {stopping.alpha:g} over all looks "
        "together. A claim that has crossed is decided at that look, and later items do not undo it."
    )
    if stopping.savings:
        yield "Money spared is reckoned at the mean cost of the calls that were made."


def _claims_table(result: RunResult, stopping: Stopping) -> Table:
    head = ("Claim", "Verdict", "At look", "Items", "Estimate", "Repeated interval", "Must clear",
            "Chance of pass", "Chance of fail")  # fmt: skip
    columns = columns_by_name(result.plan)
    rows = tuple(_claim_row(claim, columns[claim.metric].digits) for claim in stopping.claims)
    table = Table("Claims at the look that decided them", head, "llrrrrrrr", rows)
    return without_empty_columns(table)


def _claim_row(claim: ClaimAtLook, digits: int) -> tuple[str, ...]:
    digits = digits_to_distinguish(claim.repeated.low, claim.boundary, digits)
    return (
        claim.claim,
        LABELS[claim.verdict].word,
        str(claim.look),
        f"{claim.n:,}",
        number(claim.repeated.estimate, digits),
        format_interval(claim.repeated, digits),
        number(claim.boundary, digits),
        _chance(claim.chance_of_pass),
        _chance(claim.chance_of_fail),
    )


def _chance(chance: float | None) -> str:
    return ABSENT if chance is None else percent(chance)


def _looks_table(planned: tuple[TaskLooks, ...]) -> Table:
    """What was stated before the first answer."""
    rows = tuple(
        (looks.task, str(which), f"{size:,}", f"{z:.4f}", f"{alpha:.3g}", str(looks.order_seed))
        for looks in planned
        for which, (size, z, alpha) in enumerate(
            zip(looks.sizes, looks.z, looks.alphas, strict=True), start=1
        )
    )
    return Table(
        "Looks stated beforehand (O'Brien and Fleming)",
        ("Items of", "Look", "Items", "Critical z", "One-sided level", "Seed of the order"),
        "lrrrrr",
        rows,
        folded=True,
    )
