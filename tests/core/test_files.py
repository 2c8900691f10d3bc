"""A file is replaced whole or stays as it was."""

import os
from pathlib import Path

import pytest

from harness.core.errors import InfrastructureError
from harness.core.files import write_atomically, write_private


def test_a_file_and_its_folder_are_created(tmp_path: Path):
    write_atomically(tmp_path / "new" / "a.txt", b"whole")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"whole"


def test_a_failed_write_keeps_the_old_content_and_leaves_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_atomically(tmp_path / "a.txt", b"old")

    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(InfrastructureError, match=r"a\.txt: could not write 3 bytes: No space"):
        write_private(tmp_path / "a.txt", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.txt", b"old")]


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_private_file_is_its_owners(tmp_path: Path, before: bytes | None):
    path = tmp_path / "a.txt"
    if before is not None:
        write_atomically(path, before)
    write_private(path, b"quotes a patient")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_is_its_owners_alone(tmp_path: Path):
    write_atomically(tmp_path / "a", b"")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
