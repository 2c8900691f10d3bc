"""Stores in words: what a merge made, what a check found, and what is or would be removed."""

from collections.abc import Iterator
from pathlib import Path

from harness.stores.check import UNKNOWN_USE, StoreCheck
from harness.stores.gc import Garbage
from harness.stores.merge import MergedStore
from reports.formatting import count


def describe_merge(merged: MergedStore, into: Path) -> Iterator[str]:
    """Describe what a workspace holds after a merge, and what was not merged."""
    for source, added in merged.added.items():
        yield f"{source}: {count(added, 'new row')}"
    rows = ", ".join(f"{n:,} {kind}" for kind, n in sorted(merged.rows.items())) or "no rows"
    yield f"{into}: {rows}; {count(merged.plans, 'plan')}, tries: {merged.tries:,}"
    if not merged.one_plan:
        yield (
            "No plan is common to all of these stores. Shards of one run state one plan: the same suite, profile, "
            "items, --limit, --seed and version of the harness; the next run asks for what its own plan lacks."
        )
    if merged.contradictions:
        yield f"{count(merged.contradictions, 'row')} contradicted one of an earlier store, which was kept"
    if merged.left:
        yield f"not merged, as their names hold their content: {', '.join(map(str, merged.left))}"


def describe_check(found: StoreCheck) -> Iterator[str]:
    """Describe a workspace: rows by kind, what is wrong with them, and what lies beside."""
    for kind in found.kinds:
        days = f", {kind.first} to {kind.last}" if kind.first else ""
        wrong = {
            "damaged": kind.damaged,
            "unreadable": kind.unreadable,
            "of a later version": kind.later,
        }
        named = "".join(f"; {n:,} {what}" for what, n in wrong.items() if n)
        yield f"{kind.kind}: {count(kind.rows, 'row')}, {_megabytes(kind.bytes)}{days}{named}"
    yield f"{count(found.plans, 'plan')}, tries: {found.tries:,}"
    yield ", ".join(f"{name} {_megabytes(size)}" for name, size in found.sizes.items())
    yield UNKNOWN_USE
    if found.leftovers:
        yield f"left by killed processes: {', '.join(found.leftovers)}"
    if found.problem:
        yield f"the file is damaged: {found.problem}"
    elif not found.sound:
        yield "rows that cannot be used are made again by a run; 'harness store gc' removes them"


def describe_garbage(found: Garbage) -> Iterator[str]:
    """Describe what was removed, or would be."""
    reasons = {
        "damaged or unreadable": found.bad,
        "older than the stated age": found.old,
    }
    for reason, n in reasons.items():
        if n:
            yield f"{reason}: {count(n, 'row')}"
    for name in found.leftovers:
        yield f"left by a killed process: {name}"
    if found.undated:
        yield f"kept, as they have no date: {count(found.undated, 'row')}"
    done = "removed" if found.deleted else "to be removed with --delete"
    yield f"{_megabytes(found.bytes)} {done}" if found.bytes else "nothing to remove"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
