"""The sections behind the findings: oddities, examples, training, cost, the plan."""

import shlex
from collections.abc import Iterable, Iterator, Sequence

from harness.suite import (
    EvasionMetric,
    Gate,
    Generation,
    Metric,
    PairwiseMetric,
    RougeMetric,
    RubricMetric,
)
from harness.types import (
    Amendment,
    CheckpointCard,
    Comparison,
    Example,
    Exposure,
    HygieneCount,
    HygieneFlag,
    Plan,
    RunResult,
)
from reports.foreign import one_line, shorten
from reports.pairs import pair_tables
from reports.parts import CurveChart, Exhibit, Passage, Section, Table
from reports.trust import judge_cards
from reports.wording import (
    ABSENT,
    Column,
    columns_by_name,
    estimate_with_span,
    gate_rule,
    items_of,
    number,
    percent,
    signed,
)

N_ANSWER_CHARS = 8_000

# --- what is odd -----------------------------------------------------------------------------

FLAG_WORDS: dict[HygieneFlag, str] = {
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
    flags = [flag for flag in FLAG_WORDS if any(cell.counts.get(flag) for cell in cells)]
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
    head = ("Task", "Model", *(FLAG_WORDS[flag] for flag in flags), "Mean words", "Answers")
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
    named = {"any_flag": "any flag"} | FLAG_WORDS
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


def _moved(example: Example, plan: Plan) -> Exhibit:
    column = columns_by_name(plan)[example.metric]
    return make_exhibit(example, plan, f"{example.metric} {signed(example.moved, column.digits)}")


def make_exhibit(example: Example, plan: Plan, title: str) -> Exhibit:
    """One item side by side under a title."""
    question = [Passage("Question", _capped(example.input))]
    if example.reference is not None:
        question.append(Passage("Reference", _capped(example.reference)))
    return Exhibit(
        title=title,
        subtitle=f"{example.sample_id}: {one_line(example.input)[:100]}",
        question=tuple(question),
        answers=(
            _answer(plan.baseline, "baseline", example.baseline, example),
            _answer(plan.candidate, "candidate", example.candidate, example),
        ),
    )


def _answer(model: str, role: str, text: str | None, example: Example) -> Passage:
    flags = ", ".join(FLAG_WORDS[flag] for flag in example.flags.get(model, ()))
    shown = "(no answer)" if text is None else _capped(text)
    return Passage(f"{model} ({role})", shown, note=flags)


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


def _exposure_table(exposures: Sequence[Exposure]) -> Iterator[Table]:
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
    return _fact_table(card.model, facts, folded=False)


def _fact_table(title: str, facts: dict[str, str], *, folded: bool = True) -> Table:
    return Table(title, ("", ""), "ll", tuple(facts.items()), folded=folded)


# --- plan and reproduction -------------------------------------------------------------------


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


def plan_section(result: RunResult) -> Section:
    plan = result.plan
    return Section(
        name="plan",
        title="What was planned",
        lead=_when_stated(result),
        tables=(
            _models_table(result),
            _judges_table(plan),
            _tasks_table(plan),
            _metrics_table(plan),
            *_claims_table(plan.gate),
            *_criteria_table(plan),
            *_amendments_tables(result.amendments),
        ),
        notes=(gate_rule(plan.gate),) if plan.gate else (),
        passages=tuple(
            Passage(f"System prompt for {', '.join(task.metrics)}", task.system)
            for task in plan.tasks
            if task.system
        ),
    )


def _when_stated(result: RunResult) -> str:
    when = f" on {result.registered[:16].replace('T', ' ')} UTC" if result.registered else ""
    return f"Stated before the first answer{when}, and hashed: {result.plan.hash}"


def _amendments_tables(amendments: Iterable[Amendment]) -> Iterator[Table]:
    for earlier in amendments:
        rows = [(change.field, change.before, change.now) for change in earlier.changes]
        yield Table(
            f"Changed since {earlier.registered[:10]} ({', '.join(earlier.models)})",
            ("What", "Before", "Now"),
            "lll",
            tuple(rows),
        )


def _models_table(result: RunResult) -> Table:
    rows = [
        (model.name, model.kind, model.source, result.fingerprints.get(model.name, ABSENT))
        for model in result.plan.models
    ]
    return Table("Models", ("Model", "Kind", "Source", "Fingerprint"), "llll", tuple(rows))


def _judges_table(plan: Plan) -> Table:
    rows = [(card.name, part, card.fingerprint) for card, part in judge_cards(plan).items()]
    return Table("Judges", ("Judge", "For", "Fingerprint"), "lll", tuple(rows))


def _tasks_table(plan: Plan) -> Table:
    rows = [
        (items_of(task), task.source, _decoding(task.generation), task.items_hash)
        for task in plan.tasks
    ]
    return Table("Items", ("Items", "Source", "Answers", "Items hash"), "llll", tuple(rows))


def _decoding(generation: Generation) -> str:
    limit = f"at most {generation.max_new_tokens:,} new tokens"
    if generation.temperature == 0:
        return f"greedy, {limit}"
    options = [f"temperature {generation.temperature:g}"]
    if generation.top_k is not None:
        options.append(f"top_k {generation.top_k}")
    if generation.top_p is not None:
        options.append(f"top_p {generation.top_p:g}")
    return ", ".join([*options, limit, f"seed {generation.seed}"])


def _metrics_table(plan: Plan) -> Table:
    rows = [
        (name, metric.kind, _describe(metric))
        for task in plan.tasks
        for name, metric in task.metrics.items()
    ]
    return Table("Metrics", ("Metric", "Kind", "What is scored"), "lll", tuple(rows))


def _describe(metric: Metric) -> str:
    match metric:
        case RubricMetric():
            low, high = metric.scale
            names = ", ".join(criterion.name for criterion in metric.criteria)
            return f"{names}, each from {low} to {high}"
        case PairwiseMetric():
            return metric.asks
        case EvasionMetric():
            return "share of answers that are not evasive; a proper deferral counts as helpful"
        case RougeMetric():
            stemmer = "with" if metric.stemmer else "without"
            return f"{', '.join(metric.variants)}: precision, recall and F1, {stemmer} stemming"


def _claims_table(gate: Gate | None) -> Iterator[Table]:
    if gate:
        stated = tuple((str(claim),) for claim in (*gate.claims, *gate.critical))
        yield Table("Claims", ("Claim",), "l", stated)


def _criteria_table(plan: Plan) -> Iterator[Table]:
    rows = [
        (f"{name}.{criterion.name}", criterion.asks, _anchors(criterion.anchors))
        for task in plan.tasks
        for name, metric in task.metrics.items()
        if isinstance(metric, RubricMetric)
        for criterion in metric.criteria
    ]
    if rows:
        head = ("Criterion", "What the judge is asked", "Anchors")
        yield Table("Rubric criteria", head, "lll", tuple(rows), folded=True)


def _anchors(anchors: dict[int, str]) -> str:
    return "; ".join(f"{score}: {text}" for score, text in sorted(anchors.items())) or ABSENT


def reproduce_section(result: RunResult) -> Section:
    return Section(
        name="reproduce",
        title="How to run it again",
        lead="The same plan hash means the same items, prompts, metrics, claims and judges. "
        "Answers and verdicts already in the store are not paid for twice.",
        tables=(_fact_table("Environment", result.environment),),
        passages=(Passage("Command", _command(result.plan)),),
    )


def _command(plan: Plan) -> str:
    words = ["harness", "run", f"suites/{plan.suite}.yaml"]
    words += ["--models", ",".join(model.name for model in plan.models)]
    words += ["--profile", plan.profile]
    overrides = {"--limit": plan.limit, "--seed": plan.seed, "--judge": plan.judge}
    words += [
        w for name, value in overrides.items() if value is not None for w in (name, str(value))
    ]
    return shlex.join(words)
