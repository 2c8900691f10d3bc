"""Plans frozen before the first answer, so that a report shows what was stated when.

Every run writes its plan into the workspace before a model answers. If a later run of the same suite
on the same items states something else, its report lists the changes: claims that were chosen after
a look at the results decide nothing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from harness.core.errors import InfrastructureError
from harness.core.files import write_atomically
from harness.core.hashing import content_hash
from harness.core.json_text import read_utf8
from harness.gate.rules import RULES
from harness.planning.plan_diff import RULE_FIELD, claim_fields, diff_fields
from harness.types import Amendment, Plan, PlanChange, Record, Task


class Preregistration(NamedTuple):
    """The time at which a plan was frozen (ISO 8601, UTC), and earlier plans that differ from it.

    `rule` is that of the gate as it was stated then; empty without a gate.
    """

    registered: str
    amendments: tuple[Amendment, ...]
    rule: str = ""


class Registration(Record):
    """The statements of a plan, and the time at which it was first frozen in this workspace.

    `texts` are hashes of each task's items without their ids (empty in files of older versions).
    """

    registered: str
    plan_hash: str
    suite: str
    models: tuple[str, ...]
    items: dict[str, str]
    stated: dict[str, str]
    texts: dict[str, str] = Field(default={})


def preregister_plan(plan: Plan, workspace: Path) -> Preregistration:
    """Freeze the plan before anything is answered, and compare it with those frozen earlier.

    Raises:
        InfrastructureError: a frozen copy in the workspace is damaged.
    """
    registration = _register(plan, workspace)
    amendments = _find_amendments(registration, workspace)
    return Preregistration(
        registration.registered, amendments, registration.stated.get(RULE_FIELD, "")
    )


def _register(plan: Plan, workspace: Path) -> Registration:
    """Return the plan's frozen copy; write it if there is none, so that the first time counts."""
    path = _folder(workspace) / f"{plan.hash}.json"
    if path.is_file():
        return _read(path)
    registration = Registration(
        registered=datetime.now(UTC).isoformat(timespec="microseconds"),
        plan_hash=plan.hash,
        suite=plan.suite,
        models=tuple(model.name for model in plan.models),
        items={task.name: task.items_hash for task in plan.tasks},
        stated=claim_fields(plan),
        texts={task.name: _hash_texts(task) for task in plan.tasks},
    )
    write_atomically(path, registration.model_dump_json(indent=1).encode())
    return registration


def _find_amendments(registration: Registration, workspace: Path) -> tuple[Amendment, ...]:
    """Return earlier plans of the same suite and items that stated something else, oldest first.

    Plans that differ in the same way are listed once, with their first time.
    """
    amendments: dict[tuple[PlanChange, ...], Amendment] = {}
    for earlier in sorted(_earlier_plans(registration, workspace), key=lambda r: r.registered):
        changes = tuple(
            PlanChange(field=field, before=before, now=now)
            for field, before, now in diff_fields(earlier.stated, registration.stated)
            if field not in _renamed_items(earlier, registration)
        )
        if changes and changes not in amendments:
            amendments[changes] = Amendment(
                registered=earlier.registered, models=earlier.models, changes=changes
            )
    return tuple(amendments.values())


def _earlier_plans(registration: Registration, workspace: Path) -> Iterator[Registration]:
    for path in _folder(workspace).glob("*.json"):
        other = _read(path)
        same_items = set(other.items.values()) & set(registration.items.values())
        same_items |= set(other.texts.values()) & set(registration.texts.values())
        earlier = other.registered < registration.registered
        if other.suite == registration.suite and same_items and earlier:
            yield other


def _renamed_items(earlier: Registration, later: Registration) -> set[str]:
    """Return the fields on items of which only the ids have changed."""
    return {
        f"items of {task}"
        for task, texts in later.texts.items()
        if earlier.texts.get(task) == texts
    }


def _hash_texts(task: Task) -> str:
    """Hash the items without their ids; items of one cluster are still together."""
    clusters = {sample.cluster: i for i, sample in reversed([*enumerate(task.samples)])}
    return content_hash(
        [
            (
                *(s.own_question, s.acceptable_answers, s.cluster and clusters[s.cluster], s.draw),
                *([sorted(s.choices.values())] if s.choices else []),
            )
            for s in task.samples
        ]
    )


def _folder(workspace: Path) -> Path:
    return workspace / "plans"


def _read(path: Path) -> Registration:
    try:
        registration = Registration.model_validate_json(read_utf8(path))
    except (OSError, UnicodeDecodeError, ValidationError):
        raise InfrastructureError(
            f"{path}: this plan's frozen copy is damaged. What was stated before is unknown; "
            "restore it, or start in a new workspace with --store."
        ) from None
    if "gate's alpha" in registration.stated:
        registration.stated.setdefault(RULE_FIELD, RULES[""])
    return registration
