"""Several stores merged into one: rows once, contradictions refused, and all or nothing."""

import os
from pathlib import Path

import pytest

from harness.core.errors import HarnessError, InfrastructureError, StoreLockedError
from harness.core.store import MERGED, Store
from harness.models.batch_files import BatchFile, BatchIndex
from harness.models.served import ServedModel
from harness.planning.preregistration import Registration, read_registrations, write_registration
from harness.stores.describe import describe_merge
from harness.stores.gc import collect_garbage
from harness.stores.merge import merge_stores
from harness.stores.merge_rows import merge_rows
from harness.types import Outcome, Response
from tests.builders.stores import change_rows, dump_rows, outcome, response, write_store


def test_a_merged_store_has_every_row_once(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k1": response("one"), "k2": response("two")}})
    b = write_store(
        tmp_path / "b", {"response": {"k2": response("two")}, "outcome": {"k2": outcome("so")}}
    )
    merged = merge_stores([a, b], tmp_path / "c")
    assert merged.rows == {"response": 2, "outcome": 1}
    assert merged.added == {a: 2, b: 1}
    with Store(tmp_path / "c") as store:
        assert set(store.get("response", ["k1", "k2"], Response)) == {"k1", "k2"}
        assert store.get("outcome", ["k2"], Outcome)["k2"] == outcome("so")


def test_sources_stay_as_they_were(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k1": response("one")}})
    before = {path.name: path.read_bytes() for path in a.iterdir()}
    merge_stores([a], tmp_path / "c")
    assert {path.name: path.read_bytes() for path in a.iterdir()} == before


def test_a_merge_again_changes_no_row(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k1": response("one")}})
    b = write_store(tmp_path / "b", {"response": {"k2": response("two")}})
    merge_stores([a, b], tmp_path / "c")
    once = dump_rows(tmp_path / "c", "kind, key, body, sha256, version, made")
    assert merge_stores([a, b], tmp_path / "c").added == {a: 0, b: 0}
    assert dump_rows(tmp_path / "c", "kind, key, body, sha256, version, made") == once
    assert {path.name for path in (tmp_path / "c").iterdir()} == {
        "lock",
        "lock.owner",
        "store.sqlite",
    }


def test_a_folder_or_file_in_the_way_is_named_and_stays(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k1": response("one")}})
    (tmp_path / "b" / "store.sqlite").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / MERGED).write_text("mine")
    for into in ("b", "c"):
        with pytest.raises(HarnessError, match="in the way of the merged store"):
            merge_stores([a], tmp_path / into)
    assert (tmp_path / "c" / MERGED).read_text() == "mine"


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k1": response("one")}})
    c = write_store(tmp_path / "c", {"outcome": {"k9": outcome("mine")}})
    assert merge_stores([a, c], c).rows == {"response": 1, "outcome": 1}


def test_an_unreadable_record_of_a_batch_file_is_no_merge(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"batch": {"0": outcome("no file")}})
    with pytest.raises(InfrastructureError, match="record of a batch file cannot be read"):
        merge_stores([a], tmp_path / "c")


def test_a_store_merged_into_itself_adds_nothing(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k1": response("one")}})
    merged = merge_stores([a], a)
    assert (merged.rows, merged.added) == ({"response": 1}, {a: 0})


def test_rows_behind_a_linked_file_that_a_run_writes_are_merged(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k1": response("one")}})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "store.sqlite").symlink_to(a / "store.sqlite")
    with Store(a) as at_work:
        at_work.put("response", {"k2": response("two")})
        assert merge_stores([tmp_path / "b"], tmp_path / "c").rows == {"response": 2}


def test_a_users_folder_called_merged_stays(tmp_path: Path) -> None:
    c = write_store(tmp_path / "c", {"response": {"k1": response("one")}})
    other = write_store(c / "merged", {"response": {"k2": response("two")}})
    before = dump_rows(other)
    with Store(c) as store:
        assert store.keys("response") == ["k1"]
    assert dump_rows(other) == before


@pytest.mark.parametrize("line", [b'{"a": 1}', b"[]", b"{", b"\xff"])
def test_a_damaged_registry_is_named(tmp_path: Path, line: bytes) -> None:
    a = write_store(tmp_path / "a", {"response": {"k1": response("one")}})
    (a / "models" / "m").mkdir(parents=True)
    (a / "models" / "m" / "looks.jsonl").write_bytes(line + b"\n")
    with pytest.raises(HarnessError, match=r"looks\.jsonl.*Restore the file"):
        merge_stores([a], tmp_path / "c")


def test_names_and_times_are_no_contradiction(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k": response("one", seconds=1.5)}})
    b = write_store(tmp_path / "b", {"response": {"k": response("one", sample="q2", seconds=9)}})
    merge_stores([a, b], tmp_path / "c")
    assert dump_rows(tmp_path / "c") == dump_rows(a)


def test_a_row_of_an_earlier_version_without_its_prompts_hash_is_no_contradiction(
    tmp_path: Path,
) -> None:
    earlier = response("one")
    assert earlier.exchange
    exchange = earlier.exchange.model_copy(update={"prompt": "h" * 64})
    hashed = earlier.model_copy(update={"exchange": exchange})
    a = write_store(tmp_path / "a", {"response": {"k": earlier}})
    b = write_store(tmp_path / "b", {"response": {"k": hashed}})
    assert merge_stores([a, b], tmp_path / "c").rows == {"response": 1}


def test_a_contradiction_names_both_stores_and_the_key(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k0": response("zero"), "kk": response("one")}})
    b = write_store(tmp_path / "b", {"response": {"k3": response("three")}})
    c = write_store(tmp_path / "c", {"response": {"kk": response("two")}})
    with pytest.raises(HarnessError, match=rf"{a} and {c} contradict.*response kk.*--first-wins"):
        merge_stores([b, a, c], tmp_path / "into")
    assert not (tmp_path / "into" / "store.sqlite").exists()
    assert not list((tmp_path / "into").glob(".merge-*"))


def test_the_first_of_contradicting_rows_is_kept_if_that_is_wanted(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k": response("one")}})
    b = write_store(tmp_path / "b", {"response": {"k": response("two")}})
    assert merge_stores([b, a], tmp_path / "c", first_wins=True).contradictions == 1
    assert dump_rows(tmp_path / "c") == dump_rows(b)


def test_a_damaged_row_is_refused_with_what_removes_it(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k": response("one")}})
    change_rows(a, "UPDATE rows SET body = replace(body, 'one', 'two')")
    with pytest.raises(InfrastructureError, match=r"1 rows are damaged \(response k\).*store gc"):
        merge_stores([a], tmp_path / "c")


def test_a_row_of_a_later_version_is_refused(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k": response("one")}})
    change_rows(a, "UPDATE rows SET version = 99")
    with pytest.raises(
        HarnessError, match="version 99, which a later version of the harness wrote"
    ):
        merge_stores([a], tmp_path / "c")


@pytest.mark.parametrize("size", [0, 5000, 60_000])
def test_a_torn_file_is_named_and_nothing_is_written(tmp_path: Path, size: int) -> None:
    rows = {f"k{i}": response("x" * 500) for i in range(200)}
    a = write_store(tmp_path / "a", {"response": rows})
    b = write_store(tmp_path / "b", {"response": {"k": response("one")}})
    os.truncate(a / "store.sqlite", size)
    with pytest.raises(InfrastructureError, match=r"a/store\.sqlite: "):
        merge_stores([b, a], tmp_path / "c")
    assert not (tmp_path / "c" / "store.sqlite").exists()


def test_rows_that_a_killed_process_left_in_the_log_are_merged(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:  # ends without closing the store
        store = Store(tmp_path / "a").__enter__()
        store.put("response", {"k": response("one")})
        os._exit(0)
    os.waitpid(pid, 0)
    assert (tmp_path / "a" / "store.sqlite-wal").stat().st_size
    assert merge_stores([tmp_path / "a"], tmp_path / "c").rows == {"response": 1}


def test_a_merge_that_was_killed_at_its_end_is_finished_by_the_next_opening(tmp_path: Path) -> None:
    c = write_store(tmp_path / "c", {"response": {"old": response("old")}})
    new = write_store(tmp_path / "new", {"response": {"k": response("one")}})
    (c / MERGED / "plans").mkdir(parents=True)
    (new / "store.sqlite").rename(c / MERGED / "store.sqlite")
    (c / MERGED / "plans" / "p.json").write_text("{}")
    with Store(c) as store:
        assert set(store.get("response", ["k", "old"], Response)) == {"k"}
    assert (c / "plans" / "p.json").is_file()
    assert not (c / MERGED).exists()


def test_a_source_whose_own_merge_is_not_finished_is_refused_until_it_is(tmp_path: Path) -> None:
    new = write_store(tmp_path / "new", {"response": {"k": response("one")}})
    (tmp_path / "a" / MERGED).mkdir(parents=True)
    (new / "store.sqlite").rename(tmp_path / "a" / MERGED / "store.sqlite")
    with pytest.raises(HarnessError, match=r"killed at its end.*store gc"):
        merge_stores([tmp_path / "a"], tmp_path / "c")
    collect_garbage(tmp_path / "a", older_than_days=None, delete=False)
    assert merge_stores([tmp_path / "a"], tmp_path / "c").rows == {"response": 1}


def test_a_merge_that_was_killed_before_leaves_only_a_folder_that_the_next_removes(
    tmp_path: Path,
) -> None:
    a = write_store(tmp_path / "a", {"response": {"k": response("one")}})
    (tmp_path / "c" / ".merge-12345678" / "plans").mkdir(parents=True)
    merge_stores([a], tmp_path / "c")
    assert not list((tmp_path / "c").glob(".merge-*"))


def test_a_store_in_use_is_not_merged_into(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k": response("one")}})
    with Store(tmp_path / "c"), pytest.raises(StoreLockedError, match="in use by process"):
        merge_stores([a], tmp_path / "c")


def test_a_folder_without_a_store_and_one_named_twice_are_refused(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k": response("one")}})
    with pytest.raises(HarnessError, match="nowhere: holds no store"):
        merge_stores([a, tmp_path / "nowhere"], tmp_path / "c")
    assert not (tmp_path / "c").exists()
    with pytest.raises(HarnessError, match="is named twice"):
        merge_stores([a, tmp_path / "b" / ".." / "a"], tmp_path / "c")


def test_of_servers_that_differ_what_both_tell_is_kept(tmp_path: Path) -> None:
    a, b = (
        write_store(
            tmp_path / name, {"server": {"m": ServedModel(fields={"root": "/w", "at": name})}}
        )
        for name in "ab"
    )
    merge_stores([a, b], tmp_path / "c")
    with Store(tmp_path / "c") as store:
        assert store.get("server", ["m"], ServedModel)["m"].fields == {"root": "/w"}


def test_answers_to_probes_are_those_of_the_first_store(tmp_path: Path) -> None:
    a, b = (
        write_store(tmp_path / name, {"server": {"probes 1 m": ServedModel(fields={"at": name})}})
        for name in "ab"
    )
    merge_stores([a, b], tmp_path / "c")
    assert dump_rows(tmp_path / "c") == dump_rows(a)


def test_batch_files_of_all_stores_are_numbered_anew_and_each_is_listed_once(
    tmp_path: Path,
) -> None:
    def file(name: str, **failed: str) -> BatchFile:
        return BatchFile(path=str(tmp_path / name), ids=(name,), failed=failed)

    a = write_store(tmp_path / "a", {"batch": {"0": file("x"), "1": file("y")}})
    b = write_store(tmp_path / "b", {"batch": {"0": file("z"), "1": file("y", y="line")}})
    merge_stores([a, b], tmp_path / "c")
    merge_stores([a, b], tmp_path / "c")
    with Store(tmp_path / "c") as store:
        assert len(store.keys("batch")) == 3
        assert all(name in BatchIndex(store) for name in "xyz")
        assert store.get("batch", ["1"], BatchFile)["1"].failed == {"y": "line"}


# --- the order of plans and rows ---------------------------------------------------------------


def freeze(folder: Path, number: int, registered: str, plan: str = "plan") -> None:
    write_registration(
        Registration(
            registered=registered, plan_hash=plan, suite="s", models=("m",), items={}, stated={},
            number=number,
        ),
        folder,
    )  # fmt: skip


def order(folder: Path, plan: str = "plan") -> tuple[int, dict[object, object]]:
    (place,) = (one.number for one in read_registrations(folder) if one.plan_hash == plan)
    return place, dict(dump_rows(folder, "key, number"))  # type: ignore[arg-type]


def date(folder: Path, key: str, number: int, made: int) -> None:
    change_rows(folder, "UPDATE rows SET number=?, made=? WHERE key=?", number, made, key)


def test_rows_stay_before_or_after_the_plan_of_their_store(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"early": response("1"), "late": response("2")}})
    b = write_store(tmp_path / "b", {"response": {"later": response("3")}})
    date(a, "early", 1, 1000)
    date(a, "late", 3, 1000)  # in the same second
    date(b, "later", 2, 500)  # a clock that goes wrong
    freeze(a, 2, "1970-01-01T00:16:40+00:00")
    freeze(b, 1, "1970-01-01T00:08:20+00:00")
    merge_stores([a, b], tmp_path / "c")
    place, rows = order(tmp_path / "c")
    assert place < rows["later"] < rows["early"] < rows["late"]
    (plan,) = read_registrations(tmp_path / "c")
    assert plan.registered == "1970-01-01T00:08:20+00:00"


def test_a_row_made_elsewhere_before_the_plan_stays_before_it(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"mine": response("1")}})
    b = write_store(tmp_path / "b", {"response": {"elsewhere": response("2")}})
    date(a, "mine", 2, 2000)
    date(b, "elsewhere", 1, 900)
    freeze(a, 1, "1970-01-01T00:16:40+00:00")
    merge_stores([a, b], tmp_path / "c")
    place, rows = order(tmp_path / "c")
    assert rows["elsewhere"] < place < rows["mine"]


def test_rows_without_a_place_stay_before_every_plan(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"old": response("1")}})
    change_rows(a, "UPDATE rows SET number=NULL, made=NULL")
    freeze(a, 1, "2026-01-01T00:00:00+00:00")
    merge_stores([a], tmp_path / "c")
    with Store(tmp_path / "c") as store:
        assert store.numbers("response", ["old"]) == [0]


def test_the_next_row_of_a_merged_store_comes_after_all_others(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"k": response("1")}})
    merge_stores([a], tmp_path / "c")
    with Store(tmp_path / "c") as store:
        store.put("response", {"new": response("2")})
        assert store.numbers("response", ["new"]) > store.numbers("response", ["k"])


def test_what_a_run_adds_while_its_store_is_merged_is_for_the_next_merge(tmp_path: Path) -> None:
    a = write_store(tmp_path / "a", {"response": {"mine": response("1")}})

    class PlansReadMeanwhile(dict[Path, list[Registration]]):
        def __getitem__(self, workspace: Path) -> list[Registration]:
            with Store(workspace) as store:
                store.put("response", {"added": response("2")})
            return []

    target = tmp_path / "c" / "store.sqlite"
    target.parent.mkdir()
    merge_rows(target, [a], PlansReadMeanwhile(), first_wins=False)
    assert dump_rows(target.parent, "key") == [("mine",)]


def test_stores_without_a_plan_in_common_are_said_to_be_no_shards_of_one_run(
    tmp_path: Path,
) -> None:
    names = ("a", "b", "c")
    a, b, c = (write_store(tmp_path / n, {"response": {n: response(n)}}) for n in names)
    freeze(a, 1, "2026-01-01T00:00:00+00:00", plan="first")
    freeze(b, 1, "2026-01-01T00:00:00+00:00", plan="first")
    freeze(b, 2, "2026-01-01T00:00:00+00:00", plan="second")
    freeze(c, 1, "2026-01-01T00:00:00+00:00", plan="second")
    assert merge_stores([a, b], tmp_path / "one").one_plan
    merged = merge_stores([a, b, c], tmp_path / "more")
    assert not merged.one_plan
    assert "No plan is common to all" in "\n".join(describe_merge(merged, tmp_path / "more"))
    assert merge_stores([c], tmp_path / "one").one_plan  # what it is merged into may be older
