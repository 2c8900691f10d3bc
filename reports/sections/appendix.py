"""The sections behind the findings: flagged answers, examples, training, cost."""

from collections.abc import Iterator, Sequence

from harness.core.sanitize import short_line, shorten
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
from harness.types.samples import speaker
from reports.components import CurveChart, ExampleCard, Section, Table, TextBlock
from reports.formatting import (
    Column,
    columns_by_name,
    difference_with_interval,
    number,
    percent,
    signed,
)
from reports.sections.preference_pairs import pair_tables

N_ANSWER_CHARS = 8_000


# --- flagged answers -------------------------------------------------------------------------

FLAG_LABELS: dict[HygieneFlag, str] = {
    "prompt_leak_sentence": "repeats a sentence of the prompt",
    "prompt_leak_words": "repeats words of the prompt",
    "suspected_injection": "addresses the judge",
    "empty": "empty",
    "cut_off": "cut off",
    "unfinished_thoughts": "thoughts never ended",
    "repetition_loop": "repetition loop",
    "repeated_answer": "same answer to other questions",
    "special_tokens": "special tokens",
}


def hygiene_section(result: RunResult) -> Section | None:
    """Return the flagged answers, and each difference with and without them."""
    if not result.hygiene:
        return None
    unflagged = tuple(_unflagged_table(result.comparisons, columns_by_name(result.plan)))
    lead = "No answer is flagged."
    if any(sum(cell.counts.values()) for cell in result.hygiene):
        lead = "A flagged answer can win for the wrong reason."
    if unflagged:
        lead = (
            "A flagged answer can win for the wrong reason, so each difference is shown with and "
            "without flagged answers."
        )
    return Section(
        name="hygiene",
        title="Flagged answers",
        lead=lead,
        tables=(_flag_table(result.hygiene), *_thoughts_table(result.hygiene), *unflagged),
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
    counted = [_capitalise(FLAG_LABELS[flag]) for flag in flags]
    head = ("Task", "Model", *counted, "Mean words", "Answers")
    return Table("Flags by model", head, "ll" + "r" * (len(counted) + 2), tuple(rows))


def _thoughts_table(cells: Sequence[HygieneCount]) -> Iterator[Table]:
    """Yield how often and how long each model thought, if any did.

    Words are those of answers that came with thoughts; tokens those of all answers, thoughts included.
    """
    if not any(cell.thoughts for cell in cells):
        return
    rows = [
        (
            cell.task,
            cell.model,
            _share(cell.thoughts, cell.n),
            _share(cell.counts.get("unfinished_thoughts", 0), cell.n),
            number(cell.mean_thought_words, 0) if cell.thoughts else "",
            number(cell.mean_words, 0),
            "" if cell.mean_tokens is None else number(cell.mean_tokens, 0),
        )
        for cell in cells
    ]
    head = (
        "Task", "Model", "Answers with thoughts", "Thoughts never ended", "Mean words of thoughts",
        "Mean words of answers", "Mean tokens of both",
    )  # fmt: skip
    yield Table("Thoughts by model", head, "llrrrrr", tuple(rows))


def _share(part: int, total: int) -> str:
    return f"{part:,} ({percent(part / total)})" if part else "0"


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


def _unflagged_table(
    comparisons: Sequence[Comparison], columns: dict[str, Column]
) -> Iterator[Table]:
    """Yield the differences with one column for each exclusion; a cell is an estimate and its n."""
    kinds = list(dict.fromkeys(s.without for c in comparisons for s in c.sensitivity))
    if not kinds:
        return
    # Rows: all items first, then each exclusion.
    rows = []
    for c in comparisons:
        without = {s.without: (s.difference, s.n) for s in c.sensitivity}
        cells = [(c.difference, c.n), *(without.get(kind, (None, 0)) for kind in kinds)]
        formatted = [
            f"{difference_with_interval(difference, columns[c.metric])}, n {n:,}"
            if difference
            else "no items left"
            for difference, n in cells
        ]
        rows.append((c.metric, f"{c.candidate} against {c.baseline}", *formatted))
    # Head.
    labels = {"any_flag": "any flag"} | FLAG_LABELS
    head = ("Metric", "Models", "All items", *(f"Without: {labels[kind]}" for kind in kinds))
    title = "Differences with and without flagged items"
    yield Table(title, head, "ll" + "r" * (len(kinds) + 1), tuple(rows))


# --- examples --------------------------------------------------------------------------------


def example_section(result: RunResult, addresses: Sequence[str]) -> Section | None:
    """Return the items with the largest differences and the addresses of their pages; None without examples."""
    if not result.examples:
        return None
    return Section(
        name="examples",
        title="Examples",
        lead="The items with the lowest and the highest scores."
        if result.plan.alone
        else "The items with the largest differences between the two models, in both directions.",
        examples=tuple(
            _example_card(example, result.plan, address)
            for example, address in zip(result.examples, addresses, strict=True)
        ),
    )


def _example_card(example: Example, plan: Plan, address: str) -> ExampleCard:
    column = columns_by_name(plan)[example.metric]
    moved = (number if plan.alone else signed)(example.moved, column.digits)
    return make_example_card(example, plan, f"{example.metric} {moved}", address)


def make_example_card(example: Example, plan: Plan, title: str, address: str) -> ExampleCard:
    """Return a card with the item's turns, reference, and the answers side by side."""
    turns = [(speaker(turn), turn.content) for turn in example.history]
    question = [
        TextBlock(title, shorten(text, N_ANSWER_CHARS))
        for title, text in (*turns, ("Question", example.input))
    ]
    if example.reference is not None:
        question.append(TextBlock("Reference", shorten(example.reference, N_ANSWER_CHARS)))
    return ExampleCard(
        title=title,
        subtitle=f"{example.sample_id}: {short_line(example.input, 100)}",
        question=tuple(question),
        answers=(_answer(plan.candidate, "", example.candidate, example),)
        if plan.alone
        else (
            _answer(plan.baseline, "baseline", example.baseline, example),
            _answer(plan.candidate, "candidate", example.candidate, example),
        ),
        address=address,
    )


def _answer(model: str, role: str, text: str | None, example: Example) -> TextBlock:
    flags = ", ".join(FLAG_LABELS[flag] for flag in example.flags.get(model, ()))
    answer = "(no answer)" if text is None else shorten(text, N_ANSWER_CHARS)
    return TextBlock(f"{model} ({role})" if role else model, answer, note=flags)


# --- training --------------------------------------------------------------------------------


def training_section(result: RunResult) -> Section | None:
    """Return training curves, contamination, preference pairs and facts of each checkpoint."""
    if not result.checkpoints:
        return None
    return Section(
        name="training",
        title="Training",
        charts=tuple(c for card in result.checkpoints for c in _curve_charts(card)),
        tables=(
            *_contamination_table(result.exposures),
            *pair_tables(result.checkpoints),
            *(_checkpoint_table(card) for card in result.checkpoints),
        ),
    )


def _contamination_table(results: Sequence[ContaminationResult]) -> Iterator[Table]:
    if not results:
        return
    rows = [
        (
            r.task,
            r.model,
            f"{r.n_rows:,}",
            _share(r.exact, r.n_items),
            _share(r.contaminated, r.n_items),
            _share(r.touched, r.n_items),
            f"{r.n_items:,}",
        )
        for r in results
    ]
    head = ("Task", "Model", "Training rows", "Verbatim", "Verbatim or mostly",
            "Sharing an n-gram", "Items")  # fmt: skip
    title = "Test items found in the training data"
    yield Table(title, head, "llrrrrr", tuple(rows), folded=not any(r.touched for r in results))


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
    """Return the calls, tokens and cost of each endpoint; None without calls."""
    if not result.spend:
        return None
    head = ("Endpoint of", "Purpose", "Calls", "Input tokens", "Output tokens", "Cost",
            "Median latency", "Maximum latency", "Tokens/s of a call")  # fmt: skip
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
            "" if line.tokens_per_second is None else f"{line.tokens_per_second:.1f}",
        )
        for line in result.spend
    ]
    return Section(
        name="spend",
        title="Cost of endpoint calls",
        lead="All calls behind this result, including those made and paid in earlier runs.",
        tables=(Table("Calls, tokens and cost", head, "llrrrrrrr", tuple(rows)),),
    )
