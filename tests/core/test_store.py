import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import pytest
from pydantic_core import PydanticSerializationError

from harness.core.errors import HarnessError, InfrastructureError, StoreLockedError
from harness.core.store import Store, read_rows
from harness.types import Outcome

GOOD = {f"key-{i}": Outcome(winner="first", rationale=f"reason {i}") for i in range(3)}


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def test_what_was_put_is_found_by_another_opening(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("outcome", GOOD)
    with Store(tmp_path) as store:
        assert store.get("outcome", [*GOOD, "other"], Outcome) == GOOD


def test_more_keys_than_one_query_takes_are_found(tmp_path: Path) -> None:
    many = {f"key-{i}": Outcome(reason="none") for i in range(2345)}
    with Store(tmp_path) as store:
        store.put("outcome", many)
        assert len(store.get("outcome", many, Outcome)) == 2345


def test_a_flipped_bit_drops_the_row_so_that_it_is_made_again(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("outcome", GOOD)
    change(store.path, "UPDATE rows SET body = replace(body, 'first', 'other') WHERE key = 'key-1'")
    with Store(tmp_path) as store:
        assert set(store.get("outcome", GOOD, Outcome)) == {"key-0", "key-2"}


def rewrite(path: Path, key: str, body: str) -> None:
    """Give a row another body, with the checksum that belongs to it."""
    sha256 = hashlib.sha256(f"outcome\n{key}\n{body}".encode()).hexdigest()
    change(path, f"UPDATE rows SET body='{body}', sha256='{sha256}' WHERE key='{key}'")


def test_a_row_of_a_later_version_is_read_without_what_only_that_version_knows(
    tmp_path: Path,
) -> None:
    with Store(tmp_path) as store:
        store.put("outcome", GOOD)
    nested = '{"replies": [], "input_tokens": 1, "output_tokens": 2, "seconds": 0, "newer": {}}'
    rewrite(store.path, "key-1", f'{{"winner": "tie", "later": [1], "exchange": {nested}}}')
    with Store(tmp_path) as store:
        row = store.get("outcome", ["key-1"], Outcome)["key-1"]
    assert (row.winner, row.exchange and row.exchange.output_tokens) == ("tie", 2)


@pytest.mark.parametrize("body", ["[]", "7", '{"winner": 7}', '{"winner": 7, "later": 1}', "{"])
def test_a_row_that_is_no_record_is_left_out_so_that_it_is_made_again(
    tmp_path: Path, body: str
) -> None:
    with Store(tmp_path) as store:
        store.put("outcome", GOOD)
    rewrite(store.path, "key-1", body)
    with Store(tmp_path) as store:
        assert set(store.get("outcome", GOOD, Outcome)) == {"key-0", "key-2"}


def test_a_file_of_an_earlier_version_gains_versions_and_dates(tmp_path: Path) -> None:
    change(
        tmp_path / "store.sqlite",
        "CREATE TABLE rows (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, "
        "sha256 TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID",
    )
    with Store(tmp_path) as store:
        store.put("outcome", GOOD)
        assert store.get("outcome", GOOD, Outcome) == GOOD
        assert len(store.dates("outcome", GOOD)) == 3


def test_removed_rows_are_gone_and_the_others_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("outcome", GOOD)
        store.remove("outcome", ["key-0", "unknown"])
        assert set(store.get("outcome", GOOD, Outcome)) == {"key-1", "key-2"}


def test_absurd_counts_of_tokens_in_a_stored_row_are_read_as_uncounted(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("outcome", GOOD)
    rewrite(
        store.path,
        "key-1",
        '{"winner": "tie", "exchange": {"replies": [], "input_tokens": 1' + "0" * 30 + ", "
        '"output_tokens": -1, "seconds": 0}}',
    )
    with Store(tmp_path) as store:
        row = store.get("outcome", ["key-1"], Outcome)["key-1"]
    assert row.exchange is not None
    assert (row.exchange.input_tokens, row.exchange.output_tokens) == (0, 0)


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(InfrastructureError, match=r"store\.sqlite.*Move it away"), Store(tmp_path):
        pass


def test_a_truncated_file_is_detected(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("outcome", {f"k{i}": Outcome(reason="x" * 500) for i in range(200)})
    os.truncate(store.path, store.path.stat().st_size // 2)
    with pytest.raises(InfrastructureError, match="damaged"), Store(tmp_path) as store:
        store.get("outcome", [f"k{i}" for i in range(200)], Outcome)


def test_a_full_disk_stops_cleanly_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path) as store:
        store.put("outcome", GOOD)
    monkeypatch.setenv("HARNESS_STORE_MAX_MB", "0.05")
    with Store(tmp_path) as store:
        with pytest.raises(InfrastructureError, match="disk is full"):
            store.put("outcome", {f"big-{i}": Outcome(reason="x" * 10_000) for i in range(50)})
        assert store.get("outcome", GOOD, Outcome) == GOOD
    monkeypatch.delenv("HARNESS_STORE_MAX_MB")
    with Store(tmp_path) as store:
        store.put("outcome", {"big": Outcome(reason="x" * 100_000)})
        assert len(store.keys("outcome")) == 4


def test_a_second_process_is_told_at_once_who_holds_the_workspace(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.core.store import Store\n"
        "with Store(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreLockedError, match=f"process {holder.pid} on "), Store(tmp_path):
            pass
        holder.kill()
    with Store(tmp_path) as store:  # the kernel freed the dead process's lock
        assert len(store.keys("outcome")) == 0


def test_after_the_end_reading_and_writing_are_errors_like_others(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("outcome", GOOD)
    with pytest.raises(InfrastructureError, match="closed"):
        store.put("outcome", GOOD)
    with pytest.raises(InfrastructureError, match="closed"):
        store.get("outcome", GOOD, Outcome)


def test_closing_under_threads_that_write_keeps_what_they_had_committed(tmp_path: Path) -> None:
    committed: list[str] = []
    told: list[str] = []
    many = threading.Event()

    def write(name: str, store: Store) -> None:
        try:
            for i in count():
                store.put("outcome", {f"{name}-{i}": GOOD["key-0"]})
                committed.append(f"{name}-{i}")
                if i == 50:
                    many.set()
        except InfrastructureError as error:
            told.append(str(error))

    with Store(tmp_path) as store:
        threads = [threading.Thread(target=write, args=(name, store)) for name in "abcd"]
        for thread in threads:
            thread.start()
        many.wait()
    for thread in threads:
        thread.join()
    assert len(told) == 4
    with Store(tmp_path) as store:
        assert set(store.get("outcome", committed, Outcome)) == set(committed)


def test_an_interrupted_commit_leaves_the_store_to_other_threads(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    n_interrupted = 0
    try:
        with Store(tmp_path) as store:
            for i in range(300):
                try:
                    signal.setitimer(signal.ITIMER_REAL, (1 + i % 100) * 2e-6)
                    store.put("outcome", {f"k{i}-{n}": GOOD["key-0"] for n in range(3)})
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except (KeyboardInterrupt, PydanticSerializationError):  # as pydantic hands it on
                    n_interrupted += 1
                    other = threading.Thread(
                        target=store.put, args=("outcome", {f"o{i}": GOOD["key-1"]})
                    )
                    other.start()
                    other.join(5)
                    assert store.get("outcome", [f"o{i}"], Outcome)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert n_interrupted > 30


def test_a_workspace_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match="cannot be written"), Store(tmp_path / "file" / "ws"):
        pass


@pytest.mark.parametrize("limit", ["plenty", "0", "-1", "nan"])
def test_a_size_limit_that_is_no_number_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv("HARNESS_STORE_MAX_MB", limit)
    with pytest.raises(HarnessError, match=f"HARNESS_STORE_MAX_MB={limit}: write a number"):
        Store(tmp_path).__enter__()


def test_a_file_without_rows_yet_is_read_as_none(tmp_path: Path) -> None:
    assert read_rows(tmp_path, "outcome", ["k"], Outcome) == {}
    (tmp_path / "store.sqlite").touch()  # as a run that was killed at its start leaves it
    assert read_rows(tmp_path, "outcome", ["k"], Outcome) == {}


def test_a_damaged_file_is_named_where_it_is_only_read(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(InfrastructureError, match=r"store\.sqlite: .*Move it away"):
        read_rows(tmp_path, "outcome", ["k"], Outcome)
