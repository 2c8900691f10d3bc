"""One workspace made of several: rows, plans, tries and looks. Checkpoints and what they learnt from stay.

Everything is written into a folder beside the new workspace's files, which then take their places:
what is killed before leaves nothing, what is killed after is finished by the next command.
"""

import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import HarnessError
from harness.core.files import make_folder, refuse_link, write_atomically
from harness.core.json_text import json_lines, read_utf8
from harness.core.locks import FolderLock
from harness.core.store import LEDGER, MERGED, finish_merge, make_writable
from harness.planning.ledger import add_lines, all_lines, read_ledger
from harness.planning.preregistration import (
    Registration,
    read_registrations,
    write_registration,
)
from harness.stores.attached import require_store
from harness.stores.merge_rows import MergedRows, Plans, merge_rows

LEFT = (
    "checkpoints",
    "pairs",
    "best_of",
    "references",
)  # folders named by the hash of their content


class MergedStore(NamedTuple):
    """What a workspace holds after a merge: rows by kind, and what each source added to it.

    `contradictions` are rows of a source that an earlier one's were kept in place of, `left` the folders
    that are not merged. `one_plan` says whether some plan stands in every source, as it does in all shards of
    one run.
    """

    rows: dict[str, int]
    added: dict[Path, int]
    plans: int
    tries: int
    contradictions: int
    left: tuple[Path, ...]
    one_plan: bool


def merge_stores(
    sources: Sequence[Path], into: Path, *, first_wins: bool = False, wait_s: float = 0.0
) -> MergedStore:
    """Merge workspaces into one, which may hold something already; the sources are only read.

    A run that still works in a source goes on, and what it adds later is for the next merge.

    Raises:
        HarnessError: no such store, one that is named twice, or rows that contradict each other.
        StoreLockedError: another process works in the workspace that they are merged into.
        InfrastructureError: a file is damaged, or the disk is full. Nothing has changed then.
    """
    _require_sources(sources)
    make_writable(into)
    _require_free(into)
    lock = FolderLock(into, advice="Wait for it (--wait SECONDS), or merge into another folder.")
    lock.take(wait_s)
    try:
        finish_merge(into)
        own = [into] if (into / "store.sqlite").is_file() else []
        workspaces = own + [one for one in sources if not own or not one.samefile(into)]
        with _staging(into) as staged:
            plans = {workspace: [*read_registrations(workspace)] for workspace in workspaces}
            merged = merge_rows(staged / "store.sqlite", workspaces, plans, first_wins=first_wins)
            together = [*_merge_plans(plans, merged)]
            for registration in together:
                write_registration(registration, staged)
            tries = _merge_ledgers(workspaces, staged)
            _merge_registries(workspaces, staged)
            staged.rename(into / MERGED)
        finish_merge(into)
    finally:
        lock.release()
    left = tuple(one / name for one in sources for name in LEFT if (one / name).is_dir())
    merged.added.pop(into, None)  # what is there already is not added
    added = {one: merged.added.get(one, 0) for one in sources}
    n_plans = len(together)
    one_plan = _have_one_plan([plans[one] for one in workspaces if one != into])
    return MergedStore(merged.rows, added, n_plans, tries, merged.contradictions, left, one_plan)


def _require_sources(sources: Sequence[Path]) -> None:
    seen = set()
    for source in sources:
        if source.resolve() in seen:
            raise HarnessError(f"{source}: is named twice. Name each store once.")
        seen.add(source.resolve())
        require_store(source)


def _require_free(workspace: Path) -> None:
    """Require that nothing else bears the names of the store and of a merge's folder.

    Raises:
        HarnessError: a folder has the store's name, or a file that of the folder.
    """
    for name, fits in (("store.sqlite", Path.is_file), (MERGED, Path.is_dir)):
        path = workspace / name
        if path.exists() and not fits(path):
            raise HarnessError(
                f"{path}: is in the way of the merged store. Move it away, or merge into another folder."
            )


@contextmanager
def _staging(workspace: Path) -> Iterator[Path]:
    """Yield an empty folder for new files; remove it, and those of killed merges, if it is still there."""
    folder = workspace / f".merge-{secrets.token_hex(4)}"
    for old in workspace.glob(".merge-*"):
        refuse_link(old)
        shutil.rmtree(old)
    make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _have_one_plan(plans: Sequence[Sequence[Registration]]) -> bool:
    """Return whether some plan stands in every store that has any."""
    stated = [{plan.plan_hash for plan in frozen} for frozen in plans if frozen]
    return not stated or bool(set.intersection(*stated))


def _merge_plans(plans: Plans, merged: MergedRows) -> Iterator[Registration]:
    """Yield every plan once, as first frozen, with its place among the merged rows."""
    by_hash: dict[str, list[Registration]] = {}
    for workspace, frozen in plans.items():
        for plan in frozen:
            place = merged.numbers.get((workspace, plan.number), 0)
            by_hash.setdefault(plan.plan_hash, []).append(plan.model_copy(update={"number": place}))
    for same in by_hash.values():
        first = min(same, key=lambda plan: plan.number)
        yield first.model_copy(
            update={
                "registered": min(plan.registered for plan in same),
                "clock_set_back": any(plan.clock_set_back for plan in same),
            }
        )


def _merge_ledgers(workspaces: Iterable[Path], staged: Path) -> int:
    """Write the tries of all workspaces into the new ledger; return their number."""
    for workspace in workspaces:
        add_lines(staged / LEDGER, all_lines(read_ledger(workspace / LEDGER)))
    return len(read_ledger(staged / LEDGER).tries)


def _merge_registries(workspaces: Iterable[Path], staged: Path) -> None:
    """Write the promotions and looks of all workspaces, each once and by time, which numbers them."""
    lines: dict[Path, list[tuple[str, str]]] = {}
    for workspace in workspaces:
        for path in sorted(workspace.glob("models/*/*.jsonl")):
            lines.setdefault(path.relative_to(workspace), []).extend(_read_dated(path))
    for name, several in lines.items():
        in_order = sorted(dict.fromkeys(several), key=lambda dated: dated[0])
        write_atomically(staged / name, "".join(f"{line}\n" for _, line in in_order).encode())


def _read_dated(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines of a registry's file, each with its time.

    Raises:
        HarnessError: one is damaged.
    """
    try:
        for number, line in json_lines(read_utf8(path)):
            try:
                yield str(json.loads(line)["when"]), line
            except (ValueError, KeyError, TypeError):
                raise HarnessError(
                    f"{path}:{number}: no promotion or look with its time. Restore the file."
                ) from None
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path}: cannot be read: {error}. Restore the file.") from None
