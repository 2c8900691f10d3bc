"""Plans frozen before the first answer, so that a report shows what was stated when.

Every run writes its plan into the workspace before a model answers. If a later run of the same suite
on the same items states something else, its report lists the changes: claims that were chosen after
a look at the results decide nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from harness.core.errors import InfrastructureError
from harness.core.files import write_atomically
from harness.core.hashing import content_hash
from harness.core.json_text import read_utf8
from harness.core.store import Store
from harness.gate.rules import RULES
from harness.planning.plan_diff import RULE_FIELD, UNSCORED_FIELD, claim_fields, diff_fields
from harness.types import Amendment, Plan, PlanChange, Record, Task

PLANS = "plans"  # the folder of frozen plans in a workspace


class Preregistration(NamedTuple):
    """The time at which a plan was frozen (ISO 8601, UTC), and earlier plans that differ from it.

    `rule` is that of the gate as it was stated then; empty without a gate. `number` is the place in the
    workspace's order (`Store.next_number`) at which its claims were first stated on these items;
    answers with a smaller one were there before. `clock_set_back` is whether the times in the
    workspace contradict that order.
    """

    registered: str
    amendments: tuple[Amendment, ...]
    rule: str = ""
    number: int = 0
    clock_set_back: bool = False


class Registration(Record):
    """The statements of a plan, and the time at which it was first frozen in this workspace.

    `texts` are hashes of each task's items without their ids (empty in files of older versions).
    `number` is its place in the order in which the workspace grew (0 in files of older versions),
    `clock_set_back` whether something older than it was made at a later time.
    """

    registered: str
    plan_hash: str
    suite: str
    models: tuple[str, ...]
    items: dict[str, str]
    stated: dict[str, str]
    texts: dict[str, str] = Field(default={})
    number: int = 0
    clock_set_back: bool = False


def preregister_plan(plan: Plan, store: Store) -> Preregistration:
    """Freeze the plan before anything is answered, and compare it with those frozen earlier.

    Which came first is decided by a counter as well as by the clock: a plan that either of them puts
    before this one is an earlier one.

    Raises:
        InfrastructureError: a frozen copy in the workspace is damaged.
    """
    others = [*read_registrations(store.workspace)]
    registration = _register(plan, store, others)
    related = [other for other in others if _on_same_items(other, registration)]
    return Preregistration(
        registration.registered,
        _find_amendments(registration, related),
        registration.stated.get(RULE_FIELD, ""),
        number=min(
            (other.number for other in related if not _changes(other, registration)),
            default=registration.number,
        ),
        clock_set_back=registration.clock_set_back
        or any(_by_counter_alone(other, registration) for other in related),
    )


def _register(plan: Plan, store: Store, others: Sequence[Registration]) -> Registration:
    """Return the plan's frozen copy; write it if there is none, so that the first time counts."""
    path = store.workspace / PLANS / f"{plan.hash}.json"
    if path.is_file():
        return _read(path)
    count = store.next_number(above=max((other.number for other in others), default=0))
    registration = Registration(
        registered=datetime.now(UTC).isoformat(timespec="microseconds"),
        number=count.number,
        clock_set_back=count.latest > count.made,
        plan_hash=plan.hash,
        suite=plan.suite,
        models=tuple(model.name for model in plan.models),
        items={task.name: task.items_hash for task in plan.tasks},
        stated=claim_fields(plan),
        texts={task.name: _hash_texts(task) for task in plan.tasks},
    )
    write_registration(registration, store.workspace)
    return registration


def _find_amendments(
    registration: Registration, related: Iterable[Registration]
) -> tuple[Amendment, ...]:
    """Return earlier plans of the same suite and items that stated something else, oldest first.

    Plans that differ in the same way are listed once, with their first time.
    """
    amendments: dict[tuple[PlanChange, ...], Amendment] = {}
    before = [other for other in related if _is_before(other, registration)]
    for earlier in sorted(before, key=lambda other: (other.number, other.registered)):
        changes = _changes(earlier, registration)
        if changes and changes not in amendments:
            amendments[changes] = Amendment(
                registered=earlier.registered, models=earlier.models, changes=changes
            )
    return tuple(amendments.values())


def _changes(earlier: Registration, later: Registration) -> tuple[PlanChange, ...]:
    """Return what was changed since; how much may be missing is no claim (`hash_claims`)."""
    unclaimed = {UNSCORED_FIELD, *_renamed_items(earlier, later)}
    return tuple(
        PlanChange(field=field, before=before, now=now)
        for field, before, now in diff_fields(earlier.stated, later.stated)
        if field not in unclaimed
    )


def _on_same_items(other: Registration, registration: Registration) -> bool:
    same_items = set(other.items.values()) & set(registration.items.values())
    same_items |= set(other.texts.values()) & set(registration.texts.values())
    return other.suite == registration.suite and bool(same_items)


def _is_before(other: Registration, registration: Registration) -> bool:
    return other.number < registration.number or other.registered < registration.registered


def _by_counter_alone(other: Registration, registration: Registration) -> bool:
    """Return whether the clock puts a plan after this one that the counter puts before it."""
    numbered = 0 < other.number < registration.number
    return numbered and other.registered > registration.registered


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


def read_registrations(workspace: Path) -> Iterator[Registration]:
    """Yield the plans that are frozen in a workspace.

    Raises:
        InfrastructureError: a frozen copy is damaged.
    """
    for path in sorted((workspace / PLANS).glob("*.json")):
        yield _read(path)


def write_registration(registration: Registration, workspace: Path) -> None:
    """Write a plan's frozen copy into a workspace.

    Raises:
        OSError: it could not be written.
    """
    path = workspace / PLANS / f"{registration.plan_hash}.json"
    write_atomically(path, registration.model_dump_json(indent=1).encode())


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
