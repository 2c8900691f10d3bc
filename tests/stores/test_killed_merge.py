"""A merge killed at any moment has changed nothing, or is finished by the next command."""

import os
import signal
import time
from pathlib import Path

from harness.core.store import Store
from harness.stores.check import check_store
from harness.stores.merge import merge_stores
from tests.builders.stores import dump_rows, response, write_store

N_ROWS = 1500
N_KILLS = 6


def start_merge(sources: list[Path], into: Path) -> int:
    """Start a merge in a process of its own; return its id."""
    pid = os.fork()
    if pid == 0:
        merge_stores(sources, into)
        os._exit(0)
    return pid


def test_a_killed_merge_leaves_the_old_store_or_the_new_one(tmp_path: Path) -> None:
    sources = [
        write_store(
            tmp_path / name,
            {"response": {f"{name}{i}": response("x" * 300) for i in range(N_ROWS)}},
        )
        for name in "ab"
    ]
    began = time.monotonic()
    merge_stores(sources, tmp_path / "whole")
    seconds, whole = time.monotonic() - began, dump_rows(tmp_path / "whole")
    seen = set()
    for kill in range(N_KILLS):
        into = write_store(tmp_path / f"into-{kill}", {"response": {"old": response("old")}})
        old = dump_rows(into)
        pid = start_merge(sources, into)
        time.sleep(seconds * (kill + 1) / N_KILLS)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with Store(into):  # what was staged as a whole takes its place
            pass
        rows = dump_rows(into)
        assert rows in (old, sorted([*whole, *old]))
        assert check_store(into).sound
        seen.add(len(rows))
        merge_stores(sources, into)
        assert len(dump_rows(into)) == len(whole) + 1
        assert not list(into.glob(".merge-*"))
    assert 1 in seen  # at least one came in time
