"""What was planned before the first answer, and how to run it again."""

import shlex
from collections.abc import Iterable, Iterator

from harness.config import Gate, Generation, RubricMetric
from harness.types import Amendment, Plan, RunResult
from reports.components import Section, Table, TextBlock
from reports.formatting import ABSENT, gate_rule, items_of
from reports.sections.judge_reliability import judge_cards


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
            TextBlock(f"System prompt for {', '.join(task.metrics)}", task.system)
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
        (name, metric.kind, metric.description)
        for task in plan.tasks
        for name, metric in task.metrics.items()
    ]
    return Table("Metrics", ("Metric", "Kind", "What is scored"), "lll", tuple(rows))


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
    facts = tuple(result.environment.items())
    return Section(
        name="reproduce",
        title="How to run it again",
        lead="The same plan hash means the same items, prompts, metrics, claims and judges. "
        "Answers and verdicts already in the store are not paid for twice.",
        tables=(Table("Environment", ("", ""), "ll", facts, folded=True),),
        passages=(TextBlock("Command", _command(result.plan)),),
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
