"""The view: the whole content of a report, built once from a RunResult.

HTML, Markdown and the terminal only lay out a View, so that they cannot disagree.
"""

from collections.abc import Iterator, Sequence

from harness.config import metric_of
from harness.core.sanitize import escape_invisible, escape_record
from harness.gate.advice import items_needed_in_words
from harness.gate.confirmation import confirmation_caveats
from harness.gate.rules import describe_rule
from harness.types import ClaimResult, Example, PlannedModel, RunResult
from reports.components import LABELS, ClaimLine, KeyValue, View
from reports.formatting import (
    columns_by_name,
    describe_items,
    digits_to_distinguish,
    duration,
    format_interval,
    gate_rule,
    models_measured,
    number,
    p_value,
)
from reports.human_inputs import NO_HUMAN_INPUTS, HumanInputs
from reports.items import MAX_ITEMS, item_address
from reports.pages import ITEMS_PAGE, describe_pages
from reports.sections.appendix import (
    example_section,
    hygiene_section,
    spend_section,
    training_section,
)
from reports.sections.comparisons import (
    comparison_section,
    distribution_section,
    preference_section,
)
from reports.sections.critical import critical_line, critical_section
from reports.sections.human import human_section
from reports.sections.interim import items_judged, looks_line, looks_section
from reports.sections.judge_reliability import judge_section
from reports.sections.plan import plan_section, reproduce_section
from reports.sections.sensitivity import sensitivity_section
from reports.sections.slices import slice_section


def make_view(
    result: RunResult, human_inputs: HumanInputs = NO_HUMAN_INPUTS, pages: Sequence[str] = ()
) -> View:
    """Build the content of a run's report, with human inputs and the names of other pages in its folder."""
    # 1. Find the pages of items by their names as they are.
    examples = _item_addresses(result, result.examples, pages)
    critical = _item_addresses(result, result.critical_examples, pages)
    # 2. Drop the samples, which no section shows, and escape invisible characters.
    without_samples = tuple(task.model_copy(update={"samples": ()}) for task in result.plan.tasks)
    plan = result.plan.model_copy(update={"tasks": without_samples})
    result = _without_repeated_columns(escape_record(result.model_copy(update={"plan": plan})))
    decision, plan = result.decision, result.plan
    # 3. Build the sections in reading order.
    sections = (
        comparison_section(result),
        looks_section(result),
        critical_section(result, critical),
        slice_section(result),
        sensitivity_section(result),
        distribution_section(result),
        preference_section(result),
        judge_section(result),
        human_section(human_inputs),
        hygiene_section(result),
        example_section(result, examples),
        training_section(result),
        spend_section(result),
        plan_section(result),
        reproduce_section(result),
    )
    # 4. Add the first screen.
    return View(
        title=plan.title or plan.suite,
        provenance=f"{plan.suite} · profile {plan.profile} · run {result.run_id}",
        verdict=LABELS[decision.verdict if decision else "none"],
        sentence=decision.sentence if decision else _NO_GATE_ALONE if plan.alone else _NO_GATE,
        summary=tuple(_summary(result)),
        facts=tuple(_facts(result)),
        claims=(
            *(_claim_line(claim, result) for claim in decision.claims),
            *(critical_line(rule) for rule in decision.critical),
            *(ClaimLine(LABELS["not_tested"], c, _NO_BASELINE, ()) for c in plan.not_decided),
        )
        if decision
        else (),
        claims_note=_claims_note(result),
        caveats=_caveats(result, human_inputs),
        next_steps=(*(step.text for step in result.next_steps), *describe_pages(pages)),
        links=_links(result, pages),
        sections=tuple(section for section in sections if section),
        footer=f"alignment-harness {result.harness_version} · finished {result.finished} "
        f"after {duration(result.seconds)} · plan {plan.hash}",
    )


def _item_addresses(
    result: RunResult, examples: Sequence[Example], pages: Sequence[str]
) -> list[str]:
    """Return the address of each example's item; "" where the folder has no pages, or not of every item."""
    plan = result.plan
    if ITEMS_PAGE not in pages or sum(task.n_items for task in plan.tasks) > MAX_ITEMS:
        return [""] * len(examples)
    tasks = {metric: task.name for task in plan.tasks for metric in task.metrics}
    named = [(tasks.get(metric_of(e.metric)), e.sample_id) for e in examples]
    return [item_address(task, name) if task else "" for task, name in named]


def _links(result: RunResult, pages: Sequence[str]) -> dict[str, str]:
    """Return the addresses of the pages and, in a suite with one data set, of the items that the next steps name."""
    tasks = result.plan.tasks
    named = [name for step in result.next_steps for name in step.items]
    has_pages = ITEMS_PAGE in pages and len(tasks) == 1 and tasks[0].n_items <= MAX_ITEMS
    items = {name: item_address(tasks[0].name, name) for name in named if has_pages}
    return items | {page: page for page in pages}


def _without_repeated_columns(result: RunResult) -> RunResult:
    """Return the result without the rows of columns that repeat the numbers of another.

    Rows that a repeating column has alone are those of the other.
    """
    repeated = result.plan.repeated_columns
    renamed = {
        field: tuple(
            row.model_copy(update={"metric": repeated.get(row.metric, row.metric)})
            for row in getattr(result, field)
        )
        for field in ("length_effects", "examples")
    }
    shown = {
        field: tuple(row for row in getattr(result, field) if row.metric not in repeated)
        for field in ("comparisons", "scores", "coverage", "sensitivities", "slices")
    }
    return result.model_copy(update=shown | renamed)


_NO_GATE = (
    "No claims were specified before this run, so there is no verdict. "
    "The comparisons below are descriptive."
)


_NO_GATE_ALONE = "No claims were specified before this run, so there is no verdict. The scores below are descriptive."
_NO_BASELINE = "Not decided: it compares two models, and this run has one."


def _summary(result: RunResult) -> Iterator[str]:
    """Yield the compared models, the number of items, and the judges."""
    plan = result.plan
    n_items = " + ".join(items_judged(result))
    yield f"{models_measured(plan)} · {n_items} items"
    if result.stopping is not None:
        yield looks_line(result.stopping)
    cards = dict.fromkeys(plan.judges.values())
    for card in cards:
        metrics = ", ".join(metric for metric, judge in plan.judges.items() if judge == card)
        subject = f"{metrics} judged" if len(cards) > 1 else "Judged"
        yield f"{subject} by {card.name}: {card.nature}"


def _facts(result: RunResult) -> Iterator[KeyValue]:
    plan = result.plan
    *compared, candidate = plan.models
    yield KeyValue("Model" if plan.alone else "Candidate", candidate.name, _origin(candidate))
    for place, model in enumerate(compared):
        yield KeyValue("Also compared" if place else "Baseline", model.name, _origin(model))
    for task, n_judged in zip(plan.tasks, items_judged(result), strict=True):
        source = f"from {_brief_source(task.source)}"
        yield KeyValue("Items", describe_items(task, n_judged), source)


def _origin(model: PlannedModel) -> str:
    kinds = {
        "recipe": "trained with recipe",
        "checkpoint": "checkpoint",
        "endpoint": "endpoint",
        "recorded": "recorded answers from",
    }
    return f"{kinds[model.kind]} {_brief_source(model.described_source)}"


def _brief_source(source: str) -> str:
    """Return a URL as file name and host; the plan section has it in full."""
    host, slash, path = source.partition("://")[2].partition("/")
    return f"{path.rpartition('/')[2]} ({host})" if slash else source


def _claims_note(result: RunResult) -> str:
    """Return how the claims' verdicts are combined, and by which rule each was tested."""
    if result.plan.gate is None:
        return ""
    rule = describe_rule(result.decision.rule) if result.decision else ""
    return f"{gate_rule(result.plan.gate)} How each was decided: {rule}."


def _claim_line(claim: ClaimResult, result: RunResult) -> ClaimLine:
    column = columns_by_name(result.plan)[claim.metric]
    digits = digits_to_distinguish(claim.estimate, claim.boundary, column.digits)
    if claim.bound is not None:
        digits = digits_to_distinguish(claim.bound, claim.boundary, digits)
    if claim.bound_high is not None and claim.ceiling is not None:
        digits = digits_to_distinguish(claim.bound_high, claim.ceiling, digits)
    # Numbers in reading order: estimate, bounds, p-values, sample size.
    parts = [f"estimate {number(claim.estimate, digits)}", *_bounds(claim, digits)]
    if claim.p_value is not None:
        parts.append(f"{'p of harm' if claim.alarm else 'p'} {p_value(claim.p_value)}")
    if claim.p_adjusted is not None and claim.p_adjusted != claim.p_value:
        parts.append(f"adjusted p {p_value(claim.p_adjusted)}")
    if claim.simultaneous is not None:
        parts.append(f"simultaneous interval {format_interval(claim.simultaneous, digits)}")
    parts.append(f"n {claim.n:,}")
    parts += [*_one_sided(claim, result, digits), *_unseen(claim), *_needed(claim)]
    return ClaimLine(LABELS[claim.verdict], claim.claim, claim.why, tuple(parts))


def _one_sided(claim: ClaimResult, result: RunResult, digits: int) -> Iterator[str]:
    """Explain a pass beside a two-sided 95 % interval that includes the boundary."""
    if claim.verdict != "pass" or claim.low is None or claim.high is None or not claim.confidence:
        return
    shown = next(
        (
            c.difference
            for c in result.comparisons
            if c.metric == claim.metric and (c.baseline, c.candidate) == result.plan.gated
        ),
        None,
    )
    if shown is not None and shown.low <= claim.boundary <= shown.high:
        yield (
            f"the test is one-sided: its {100 * claim.confidence:.3g} % interval is "
            f"{number(claim.low, digits)} to {number(claim.high, digits)}, while the two-sided 95 % "
            "interval includes the boundary"
        )


def _unseen(claim: ClaimResult) -> Iterator[str]:
    """Say with which share of unseen answers at their worst a pass still holds."""
    if claim.unseen is not None:
        turns_at, not_excluded = claim.unseen.turns_at, claim.unseen.not_excluded
        yield (
            f"holds even if {_share(turns_at)} of unseen answers were worst; "
            f"{claim.unseen.n:,} {claim.unseen.unit} leave {_share(not_excluded)} possible"
        )


def _share(value: float) -> str:
    return f"{100 * value:.2g} %"


def _needed(claim: ClaimResult) -> Iterator[str]:
    """Say how many items would settle an undecided claim, and what that assumes."""
    if claim.n_needed is None:
        return
    number = items_needed_in_words(claim)
    yield f"{number} decide it in 4 of 5 cases, if the truth is no nearer to the boundary than the estimate"


def _bounds(claim: ClaimResult, digits: int) -> Iterator[str]:
    """Yield the confidence bounds of a claim, and the boundaries it is tested against."""
    low = None if claim.bound is None else number(claim.bound, digits)
    boundary = number(claim.boundary, digits)
    if claim.ceiling is not None:
        if low is not None and claim.bound_high is not None:
            yield f"bounds {low} to {number(claim.bound_high, digits)}"
        yield f"must lie within {boundary} to {number(claim.ceiling, digits)}"
        return
    if low is not None:
        yield f"bound {low}"
    yield f"alarm below {boundary}" if claim.alarm else f"must exceed {boundary}"


def _caveats(result: RunResult, human_inputs: HumanInputs) -> tuple[str, ...]:
    """Return what labels after the run do not confirm, the profile's note, and the run's caveats."""
    calibration = human_inputs.calibration
    unconfirmed = confirmation_caveats(calibration.confirmations) if calibration else ()
    texts = [
        *(escape_invisible(caveat.text) for caveat in unconfirmed),
        result.plan.note,
        *(caveat.text for caveat in result.caveats),
    ]
    return tuple(dict.fromkeys(text for text in texts if text.strip()))
