"""The sections behind the findings: oddities, examples, training, cost."""

from collections.abc import Iterator, Sequence

from harness.core.sanitize import one_line, shorten
from harness.types import (
    CheckpointCard,
    Comparison,
    ContaminationResult,
    Example,
    HygieneCount,
    HygieneFlag,
    Plan,
    RunResult,
)
from reports.components import CurveChart, ExampleCard, Section, Table, TextBlock
from reports.formatting import Column, columns_by_name, estimate_with_span, number, percent, signed
from reports.sections.preference_pairs import pair_tables

N_ANSWER_CHARS = 8_000


# --- what is odd -----------------------------------------------------------------------------

FLAG_LABELS: dict[HygieneFlag, str] = {
    "prompt_leak_sentence": "repeats a sentence of the prompt",
    "prompt_leak_words": "repeats words of the prompt",
    "suspected_injection": "speaks to the judge",
    "empty": "empty",
    "cut_off": "cut off",
    "repetition_loop": "loops",
    "special_tokens": "stray tokens",
}


def hygiene_section(result: RunResult) -> Section | None:
    if not result.hygiene:
        return None
    n_flags = sum(sum(cell.counts.values()) for cell in result.hygiene)
    lead = (
        "Flagged answers can win for the wrong reason, so each difference is shown with and "
        "without them."
        if n_flags
        else "No answer carries a flag."
    )
    return Section(
        name="hygiene",
        title="Are the answers clean?",
        lead=lead,
        tables=(
            _flag_table(result.hygiene),
            *_sensitivity_table(result.comparisons, columns_by_name(result.plan)),
        ),
    )


def _flag_table(cells: Sequence[HygieneCount]) -> Table:
    flags = [flag for flag in FLAG_LABELS if any(cell.counts.get(flag) for cell in cells)]
    rows = [
        (
            cell.task,
            cell.model,
            *(_share(cell.counts.get(flag, 0), cell.n) for flag in flags),
            number(cell.mean_words, 0),
            f"{cell.n:,}",
        )
        for cell in cells
    ]
    head = ("Task", "Model", *(FLAG_LABELS[flag] for flag in flags), "Mean words", "Answers")
    return Table("Flagged answers", head, "ll" + "r" * (len(flags) + 2), tuple(rows))


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({percent(part / whole)})" if part else "0"


def _sensitivity_table(
    comparisons: Sequence[Comparison], columns: dict[str, Column]
) -> Iterator[Table]:
    """One column for each way of leaving flagged items out; a cell is an estimate and its n."""
    kinds = list(dict.fromkeys(s.without for c in comparisons for s in c.sensitivity))
    if not kinds:
        return
    rows = []
    for c in comparisons:
        without = {s.without: (s.difference, s.n) for s in c.sensitivity}
        cells = [(c.difference, c.n), *(without.get(kind, (None, 0)) for kind in kinds)]
        shown = [f"{estimate_with_span(d, columns[c.metric])}, n {n:,}" if d else "none left" for d, n in cells]  # fmt: skip
        rows.append((c.metric, f"{c.candidate} against {c.baseline}", *shown))
    named = {"any_flag": "any flag"} | FLAG_LABELS
    head = ("Metric", "Models", "All items", *(f"Without {named[kind].lower()}" for kind in kinds))
    title = "Differences with and without flagged items"
    yield Table(title, head, "ll" + "r" * (len(kinds) + 1), tuple(rows))


# --- examples --------------------------------------------------------------------------------


def example_section(result: RunResult) -> Section | None:
    if not result.examples:
        return None
    return Section(
        name="examples",
        title="What the models said",
        lead="The items that moved most between the two models, in both directions.",
        exhibits=tuple(_moved(example, result.plan) for example in result.examples),
    )


def _moved(example: Example, plan: Plan) -> ExampleCard:
    column = columns_by_name(plan)[example.metric]
    return make_exhibit(example, plan, f"{example.metric} {signed(example.moved, column.digits)}")


def make_exhibit(example: Example, plan: Plan, title: str) -> ExampleCard:
    """One item side by side under a title."""
    question = [TextBlock("Question", _capped(example.input))]
    if example.reference is not None:
        question.append(TextBlock("Reference", _capped(example.reference)))
    return ExampleCard(
        title=title,
        subtitle=f"{example.sample_id}: {one_line(example.input)[:100]}",
        question=tuple(question),
        answers=(
            _answer(plan.baseline, "baseline", example.baseline, example),
            _answer(plan.candidate, "candidate", example.candidate, example),
        ),
    )


def _answer(model: str, role: str, text: str | None, example: Example) -> TextBlock:
    flags = ", ".join(FLAG_LABELS[flag] for flag in example.flags.get(model, ()))
    shown = "(no answer)" if text is None else _capped(text)
    return TextBlock(f"{model} ({role})", shown, note=flags)


def _capped(text: str) -> str:
    return shorten(text, N_ANSWER_CHARS)


# --- training --------------------------------------------------------------------------------


def training_section(result: RunResult) -> Section | None:
    if not result.checkpoints:
        return None
    return Section(
        name="training",
        title="How the models were trained",
        charts=tuple(c for card in result.checkpoints for c in _curve_charts(card)),
        tables=(
            *_exposure_table(result.exposures),
            *pair_tables(result.checkpoints),
            *(_checkpoint_table(card) for card in result.checkpoints),
        ),
    )


def _exposure_table(exposures: Sequence[ContaminationResult]) -> Iterator[Table]:
    if not exposures:
        return
    rows = [
        (
            e.task,
            e.model,
            f"{e.n_rows:,}",
            _share(e.exact, e.n_items),
            _share(e.contaminated, e.n_items),
            _share(e.touched, e.n_items),
            f"{e.n_items:,}",
        )
        for e in exposures
    ]
    head = ("Items", "Model", "Rows learnt from", "Word for word", "Mostly", "In part", "n")
    title = "Do the items stand in the training data?"
    yield Table(title, head, "llrrrrr", tuple(rows), folded=not any(e.touched for e in exposures))


def _curve_charts(card: CheckpointCard) -> Iterator[CurveChart]:
    for curve in card.curves:
        if curve.values:
            last = f"{number(curve.values[-1], 3)} at step {curve.steps[-1]:,}"
            yield CurveChart(f"{card.model}: {curve.name}", curve.steps, curve.values, last)


def _checkpoint_table(card: CheckpointCard) -> Table:
    facts = {
        "method": card.method,
        "recipe": card.recipe,
        "parent": card.parent or "none",
        "fingerprint": card.fingerprint,
        **card.facts,
    }
    return Table(card.model, ("", ""), "ll", tuple(facts.items()))


# --- cost ------------------------------------------------------------------------------------


def spend_section(result: RunResult) -> Section | None:
    if not result.spend:
        return None
    head = ("Asked", "For", "Calls", "Tokens in", "Tokens out", "Cost", "Median reply",
            "Slowest reply")  # fmt: skip
    rows = [
        (
            line.who,
            line.work,
            f"{line.calls:,}",
            f"{line.input_tokens:,}",
            f"{line.output_tokens:,}",
            "no price given" if line.cost is None else f"{line.cost:.4f} {line.currency}",
            f"{line.median_seconds:.2f} s",
            f"{line.slowest_seconds:.2f} s",
        )
        for line in result.spend
    ]
    return Section(
        name="spend",
        title="What asking cost",
        lead="All calls behind this result, whenever they were paid for.",
        tables=(Table("Calls, tokens and money", head, "llrrrrrr", tuple(rows)),),
    )
