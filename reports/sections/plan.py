"""The sections on the plan made before the first answer, and on how to reproduce the run."""

import shlex
from collections.abc import Iterable, Iterator

from harness.config import JudgedMetric, RubricMetric
from harness.types import ANSWERED_BEFORE, Amendment, Plan, RunResult, Task
from reports.components import Section, Table, TextBlock
from reports.formatting import ABSENT, describe_items, gate_rule
from reports.sections.judge_reliability import judge_cards


def plan_section(result: RunResult) -> Section:
    """Return the plan: models, judges, items, metrics, claims, and changes since earlier plans."""
    plan = result.plan
    return Section(
        name="plan",
        title="Plan",
        lead=_when_registered(result),
        tables=(
            _models_table(result),
            _judges_table(plan),
            _tasks_table(plan),
            _metrics_table(plan),
            *_claims_table(plan),
            *_criteria_table(plan),
            *_amendments_tables(result.amendments),
        ),
        notes=(gate_rule(plan.gate),) if plan.gate else (),
        text_blocks=tuple(_prompts(plan)),
    )


def _prompts(plan: Plan) -> Iterator[TextBlock]:
    """Yield the system prompts of the models, and the judge prompts that are not ours."""
    for task in plan.tasks:
        if task.system:
            yield TextBlock(f"System prompt for {', '.join(task.metrics)}", task.system)
        for name, metric in task.metrics.items():
            if isinstance(metric, JudgedMetric) and metric.prompt:
                yield TextBlock(f"Judge prompt of {name}, the suite's own", metric.prompt)


def _when_registered(result: RunResult) -> str:
    when = f" on {result.registered[:16].replace('T', ' ')} UTC" if result.registered else ""
    recorded = [model.name for model in result.plan.models if model.kind == "recorded"]
    if recorded:
        return (
            f"Registered{when}, when the answers of {' and '.join(recorded)} were recorded already: whether "
            f"its claims were stated before anybody saw them is not known here. Hash: {result.plan.hash}"
        )
    known = any(caveat.code == ANSWERED_BEFORE for caveat in result.caveats)
    order = "after some of the answers were there" if known else "before the first answer"
    return f"Registered {order}{when}. Hash: {result.plan.hash}"


def _amendments_tables(amendments: Iterable[Amendment]) -> Iterator[Table]:
    for earlier in amendments:
        rows = [(change.field, change.before, change.now) for change in earlier.changes]
        yield Table(
            f"Changes since the plan of {earlier.registered[:10]} ({', '.join(earlier.models)})",
            ("Field", "Before", "Now"),
            "lll",
            tuple(rows),
        )


def _models_table(result: RunResult) -> Table:
    rows = [
        (
            model.name,
            model.kind,
            model.described_source,
            result.fingerprints.get(model.name, ABSENT),
        )
        for model in result.plan.models
    ]
    return Table("Models", ("Model", "Kind", "Source", "Fingerprint"), "llll", tuple(rows))


def _judges_table(plan: Plan) -> Table:
    rows = [(card.name, role, card.fingerprint) for card, role in judge_cards(plan).items()]
    return Table("Judges", ("Judge", "Used for", "Fingerprint"), "lll", tuple(rows))


def _tasks_table(plan: Plan) -> Table:
    rows = [
        (describe_items(task), task.source, _decoding(task), task.items_hash) for task in plan.tasks
    ]
    return Table("Items", ("Items", "Source", "Decoding", "Items hash"), "llll", tuple(rows))


def _decoding(task: Task) -> str:
    if task.scored_options is not None:
        return "log-probabilities of the options, no answer"
    generation = task.generation
    thoughts = "thoughts kept" if generation.thoughts == "keep" else "thoughts left out"
    limit = f"at most {generation.max_new_tokens:,} new tokens"
    if generation.max_thinking_tokens is not None:
        limit += f" beside {generation.max_thinking_tokens:,} of thoughts"
    if generation.thinking is not None:
        thoughts = f"thinking {'on' if generation.thinking else 'off'}, {thoughts}"
    if generation.temperature == 0:
        return f"greedy, {limit}, {thoughts}"
    options = [f"temperature {generation.temperature:g}"]
    if generation.top_k is not None:
        options.append(f"top_k {generation.top_k}")
    if generation.top_p is not None:
        options.append(f"top_p {generation.top_p:g}")
    return ", ".join([*options, limit, f"seed {generation.seed}", thoughts])


def _metrics_table(plan: Plan) -> Table:
    rows = [(name, metric.kind, metric.description) for name, metric in plan.metrics.items()]
    return Table("Metrics", ("Metric", "Kind", "Definition"), "lll", tuple(rows))


def _claims_table(plan: Plan) -> Iterator[Table]:
    gate = plan.gate
    if gate:
        rows = tuple((str(claim),) for claim in (*gate.claims, *gate.critical))
        yield Table("Claims", ("Claim",), "l", rows)
    left_out = [
        *((f"claim {claim}",) for claim in plan.not_decided),
        *((f"metric {metric}",) for metric in plan.not_measured),
    ]
    if left_out:
        yield Table("Left out of a run of one model", ("Compares two models",), "l", (*left_out,))


def _criteria_table(plan: Plan) -> Iterator[Table]:
    rows = [
        (f"{name}.{criterion.name}", criterion.asks, _anchors(criterion.anchors))
        for name, metric in plan.metrics.items()
        if isinstance(metric, RubricMetric)
        for criterion in metric.criteria
    ]
    if rows:
        head = ("Criterion", "Question to the judge", "Anchors")
        yield Table("Rubric criteria", head, "lll", tuple(rows), folded=True)


def _anchors(anchors: dict[int, str]) -> str:
    return "; ".join(f"{score}: {text}" for score, text in sorted(anchors.items())) or ABSENT


def reproduce_section(result: RunResult) -> Section:
    """Return the command that repeats the run, and the environment it ran in."""
    facts = tuple(result.environment.items())
    return Section(
        name="reproduce",
        title="Reproduce this run",
        lead="The same plan hash means the same items, prompts, metrics, claims and judges. "
        "Answers and verdicts that are already in the store are not requested again.",
        tables=(Table("Environment", ("", ""), "ll", facts, folded=True),),
        text_blocks=(TextBlock("Command", _command(result.plan)),),
    )


def _command(plan: Plan) -> str:
    arguments = ["harness", "run", f"suites/{plan.suite}.yaml"]
    arguments += ["--models", ",".join(model.name for model in plan.models)]
    arguments += ["--profile", plan.profile]
    overrides = {"--limit": plan.limit, "--seed": plan.seed, "--judge": plan.judge}
    for option, value in overrides.items():
        if value is not None:
            arguments += [option, str(value)]
    return shlex.join(arguments)
