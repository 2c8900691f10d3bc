"""Folders that are filled once, whoever else wants them at the same time."""

import errno
import threading
import time
from pathlib import Path

import pytest

from harness.core.errors import InfrastructureError
from harness.core.folder_cache import build_once


def fill(folder: Path) -> None:
    (folder / "a").write_text("whole")


def test_of_two_that_come_together_one_fills_and_the_other_waits(tmp_path: Path) -> None:
    filled = []

    def fill_slowly(folder: Path) -> None:
        filled.append(folder)
        time.sleep(0.2)
        fill(folder)

    threads = [
        threading.Thread(target=build_once, args=(tmp_path / "x", fill_slowly)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(filled) == 1
    assert (tmp_path / "x" / "a").read_text() == "whole"


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".x.partial").mkdir()
    (tmp_path / ".x.partial" / "half").write_text("ha")
    folder = build_once(tmp_path / "x", fill)
    assert not (folder / "half").exists()
    assert not (tmp_path / ".x.partial").exists()


def test_a_changed_folder_is_filled_again(tmp_path: Path) -> None:
    (build_once(tmp_path / "x", fill) / "a").write_text("edited")
    assert (build_once(tmp_path / "x", fill) / "a").read_text() == "whole"


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    def fill_the_disk(folder: Path) -> None:
        fill(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InfrastructureError, match="the disk is full"):
        build_once(tmp_path / "x", fill_the_disk)
    assert [path.name for path in tmp_path.iterdir()] == [".x.lock"]


def test_a_whole_folder_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_once(tmp_path / "x", fill)
    monkeypatch.setattr("harness.core.folder_cache.make_writable", None)
    assert build_once(tmp_path / "x", fill) == folder
