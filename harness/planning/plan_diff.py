"""The statements of a plan by field, to compare what two plans measure and what they claim."""

from collections.abc import Iterator, Mapping

from harness.config import Gate, JudgedMetric
from harness.core.hashing import content_hash
from harness.gate.rules import RULES, rule_of
from harness.types import Plan

UNSCORED_FIELD = "gate's max_unscored"
RULE_FIELD = "gate's rule"  # absent from statements of earlier versions, which had RULES[""]


def measurement_fields(plan: Plan) -> dict[str, str]:
    """Return everything that two runs must share to be compared, by field."""
    return dict(_measured(plan))


def claim_fields(plan: Plan) -> dict[str, str]:
    """Return everything but the models that decides a verdict: measurements and claims, by field."""
    claimed = _claimed(plan.gate) if plan.gate else ()
    return {**measurement_fields(plan), **dict(claimed)}


def unmeasured_fields(*plans: Plan, identity: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the fields of the metrics that runs of one model leave out, as they compare two.

    With the `identity` of a blessed run, also those that it left out.
    """
    names = {name for plan in plans for name in plan.not_measured}
    if identity is not None:
        names |= {
            name
            for plan in plans
            for name, metric in plan.metrics.items()
            if metric.compares_pairs and f"metric {name}" not in identity
        }
    return frozenset(
        f"{what} {name}" for name in names for what in ("metric", "judge prompt of", "judge of")
    )


def diff_fields(
    before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Yield each field that differs, with both values.

    A data set under another name is the same one if its items are.
    """
    before = _under_names_of(after, before)
    for field in dict.fromkeys((*before, *after)):
        values = before.get(field, "absent"), after.get(field, "absent")
        if values[0] != values[1]:
            yield field, *values


ITEMS_OF = "items of "
_TASK_FIELDS = ("items", "decoding", "system prompt", "equal answers")


def _under_names_of(other: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields with each task under the name that its items have in the other plan."""
    names = {value: field.removeprefix(ITEMS_OF) for field, value in _item_fields(other)}
    own = {field.removeprefix(ITEMS_OF): value for field, value in _item_fields(fields)}
    renamed = {
        old: names[value]
        for old, value in own.items()
        if value in names and f"{ITEMS_OF}{old}" not in other and names[value] not in own
    }
    return {_rename_task(field, renamed): value for field, value in fields.items()}


def _item_fields(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(field, value) for field, value in fields.items() if field.startswith(ITEMS_OF)]


def _rename_task(field: str, renamed: Mapping[str, str]) -> str:
    what, _, name = field.partition(" of ")
    if what in _TASK_FIELDS and name in renamed:
        return f"{what} of {renamed[name]}"
    return field


def _measured(plan: Plan) -> Iterator[tuple[str, str]]:
    for task in plan.tasks:
        yield f"items of {task.name}", task.items_hash[:16]
        yield f"decoding of {task.name}", task.generation.model_dump_json()
        yield f"system prompt of {task.name}", repr(task.system)
        if task.equal_answers != "flagged":
            yield f"equal answers of {task.name}", task.equal_answers
        for name, metric in task.metrics.items():
            spec = metric.model_dump_json(exclude={"data", "generation", "judge", "prompt"})
            yield f"metric {name}", spec
            if isinstance(metric, JudgedMetric) and metric.prompt is not None:
                yield f"judge prompt of {name}", content_hash(metric.prompt)[:16]
            card = plan.judges[name]
            judges = [card] if card.then is None else [card, card.then]
            names = ", then ".join(f"{judge.name} ({judge.fingerprint[:12]})" for judge in judges)
            yield f"judge of {name}", names


def _claimed(gate: Gate) -> Iterator[tuple[str, str]]:
    for metric in dict.fromkeys(claim.metric for claim in gate.claims):
        claims = [str(claim) for claim in gate.claims if claim.metric == metric]
        yield f"claims on {metric}", "; ".join(claims)
    if gate.critical:
        yield "rules on critical answers", "; ".join(map(str, gate.critical))
    for field, value in gate.model_dump(mode="json", exclude={"claims", "critical"}).items():
        yield f"gate's {field}", str(value)
    yield RULE_FIELD, RULES[rule_of(gate)]
