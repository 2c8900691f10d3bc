"""A store is checked row by row, and only what it no longer needs is removed, when that is wanted."""

import os
import time
from pathlib import Path

import pytest

from harness.core.errors import HarnessError, InfrastructureError, StoreLockedError
from harness.core.store import Store
from harness.models.batch_files import BatchFile, BatchIndex
from harness.models.endpoint import Reply
from harness.stores.check import check_store
from harness.stores.describe import describe_check, describe_garbage
from harness.stores.gc import collect_garbage
from harness.stores.merge import merge_stores
from harness.types import Response
from tests.builders.stores import change_rows, dump_rows, outcome, response, write_store

ROWS = {f"k{i}": response(f"text {i}") for i in range(4)}

REPLY = Reply(
    text="a", finish="stop", refusal=None, input_tokens=1, output_tokens=1, seconds=1, attempts=1
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "store", {"response": ROWS, "outcome": {"o": outcome("so")}})


def damage(store: Path) -> None:
    change_rows(store, "UPDATE rows SET body = replace(body, 'text', 'word') WHERE key = 'k1'")


def age(path: Path) -> None:
    old = time.time() - 7200
    os.utime(path, (old, old))


def test_a_sound_store_is_said_to_be_sound(store: Path) -> None:
    found = check_store(store)
    assert found.sound
    assert {kind.kind: kind.rows for kind in found.kinds} == {"response": 4, "outcome": 1}
    assert found.sizes["store.sqlite"] == (store / "store.sqlite").stat().st_size
    assert any("is not recorded" in line for line in describe_check(found))


def test_damaged_and_unreadable_rows_and_those_of_a_later_version_are_counted(store: Path) -> None:
    with Store(store) as opened:
        opened.put("response", {"odd": outcome("no response")})
    damage(store)
    change_rows(store, "UPDATE rows SET version = 7 WHERE key = 'k2'")
    found = check_store(store)
    (rows,) = (kind for kind in found.kinds if kind.kind == "response")
    assert (rows.damaged, rows.unreadable, rows.later, found.sound) == (1, 1, 1, False)
    assert any(
        "1 damaged; 1 unreadable; 1 of a later version" in line for line in describe_check(found)
    )


def test_a_row_that_is_no_utf8_is_damaged_and_made_again(store: Path, tmp_path: Path) -> None:
    change_rows(store, "UPDATE rows SET body = CAST(? AS TEXT) WHERE key = 'k1'", b"\xff")
    assert not check_store(store).sound
    with Store(store) as opened:
        assert set(opened.get("response", ROWS, Response)) == {"k0", "k2", "k3"}
    with pytest.raises(InfrastructureError, match="1 rows are damaged"):
        merge_stores([store], tmp_path / "merged")
    assert collect_garbage(store, older_than_days=None, delete=True).bad == 1
    assert check_store(store).sound


@pytest.mark.parametrize("column", ["key", "kind"])
def test_a_name_that_is_no_utf8_is_damaged_and_removed(store: Path, column: str) -> None:
    change_rows(store, f"UPDATE rows SET {column} = CAST(? AS TEXT) WHERE key = 'k1'", b"k\xff1")
    assert sum(kind.damaged for kind in check_store(store).kinds) == 1
    assert collect_garbage(store, older_than_days=None, delete=True).bad == 1
    assert check_store(store).sound
    assert len(dump_rows(store)) == 4


def test_a_torn_file_is_an_error_with_advice(store: Path) -> None:
    os.truncate(store / "store.sqlite", 6000)
    with pytest.raises(InfrastructureError, match="Move it away"):
        check_store(store)


def test_a_folder_without_a_store_is_named_and_gets_none(tmp_path: Path) -> None:
    for act in (check_store, lambda path: collect_garbage(path, older_than_days=None, delete=True)):
        with pytest.raises(HarnessError, match="holds no store"):
            act(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_without_delete_nothing_is_removed(store: Path) -> None:
    damage(store)
    found = collect_garbage(store, older_than_days=None, delete=False)
    assert (found.bad, found.deleted) == (1, False)
    assert "to be removed with --delete" in [*describe_garbage(found)][-1]
    assert not check_store(store).sound


def test_rows_that_cannot_be_used_are_removed_and_others_kept(store: Path) -> None:
    damage(store)
    collect_garbage(store, older_than_days=None, delete=True)
    assert check_store(store).sound
    with Store(store) as opened:
        assert set(opened.get("response", ROWS, Response)) == {"k0", "k2", "k3"}


def test_rows_go_by_age_only_where_it_is_stated_and_undated_ones_stay(store: Path) -> None:
    change_rows(store, "UPDATE rows SET made = ? WHERE key = 'k0'", int(time.time()) - 10 * 86_400)
    change_rows(store, "UPDATE rows SET made = NULL WHERE key = 'k1'")
    assert collect_garbage(store, older_than_days=None, delete=True).old == 0
    assert collect_garbage(store, older_than_days=11, delete=True).old == 0
    found = collect_garbage(store, older_than_days=9, delete=True)
    assert (found.old, found.undated) == (1, 1)
    with Store(store) as opened:
        assert set(opened.get("response", ROWS, Response)) == {"k1", "k2", "k3"}


def test_leftovers_of_killed_processes_are_removed(store: Path) -> None:
    for name in (".merge-0123abcd", ".ledger.jsonl.0123abcd"):
        (store / name).mkdir() if name.startswith(".merge") else (store / name).write_text("x")
        age(store / name)
    (store / ".young.0123abcd").write_text("another process writes it")
    found = collect_garbage(store, older_than_days=None, delete=True)
    assert set(found.leftovers) == {".merge-0123abcd", ".ledger.jsonl.0123abcd"}
    assert (store / ".young.0123abcd").exists()


def test_nothing_is_removed_through_links(store: Path, tmp_path: Path) -> None:
    at_work = tmp_path / "shared" / "checkpoints" / ".sft.0123abcd"
    at_work.mkdir(parents=True)
    age(at_work)
    (store / "checkpoints").symlink_to(at_work.parent)
    (store / ".merge-0123abcd").symlink_to(at_work)
    assert collect_garbage(store, older_than_days=None, delete=True).leftovers == ()
    assert at_work.is_dir()


def test_replies_stay_where_the_record_of_their_batch_file_is_damaged(
    store: Path, tmp_path: Path
) -> None:
    with Store(store) as opened:
        files = {
            str(i): BatchFile(path=str(tmp_path / name), ids=(name,)) for i, name in enumerate("ab")
        }
        opened.put("batch", files)
        opened.put("reply", {"a": REPLY})
    change_rows(store, "UPDATE rows SET body = 'x' WHERE kind = 'batch' AND key = '0'")
    assert collect_garbage(store, older_than_days=None, delete=True).bad == 1
    with Store(store) as opened:
        assert set(opened.get("reply", ["a"], Reply)) == {"a"}
        BatchIndex(opened).add(tmp_path / "c", ["c"])
        assert all(name in BatchIndex(opened) for name in "bc")


def test_nothing_is_removed_while_a_run_works_in_the_store(store: Path) -> None:
    damage(store)
    with Store(store), pytest.raises(StoreLockedError, match="in use by process"):
        collect_garbage(store, older_than_days=0, delete=True)
    assert not check_store(store).sound


def test_removed_rows_give_their_space_back(tmp_path: Path) -> None:
    rows = {f"k{i}": response("x" * 2000) for i in range(300)}
    store = write_store(tmp_path / "store", {"response": rows})
    change_rows(store, "UPDATE rows SET made = 1")
    before = (store / "store.sqlite").stat().st_size
    assert collect_garbage(store, older_than_days=1, delete=True).old == 300
    assert (store / "store.sqlite").stat().st_size < before / 10
