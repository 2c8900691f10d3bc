"""Links in a cloned folder lead to no file outside of it, and what is written is its owner's alone."""

from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.core.files import make_folder, write_atomically, write_output
from harness.core.store import Store, make_writable


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    file = tmp_path / "outside.txt"
    file.write_text("mine")
    return file


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("name", ["lock", "store.sqlite", "store.sqlite-wal", "store.sqlite-shm"])
def test_a_store_opens_no_link(tmp_path: Path, outside: Path, name: str) -> None:
    workspace = tmp_path / "store"
    workspace.mkdir()
    (workspace / name).symlink_to(outside)
    with pytest.raises(HarnessError, match="is a symbolic link"), Store(workspace):
        pass
    assert outside.read_text() == "mine"


def test_the_name_of_a_locks_holder_replaces_a_link(tmp_path: Path, outside: Path) -> None:
    workspace = tmp_path / "store"
    workspace.mkdir()
    (workspace / "lock.owner").symlink_to(outside)
    with Store(workspace):
        assert not (workspace / "lock.owner").is_symlink()
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("write", [write_atomically, write_output])
def test_a_file_replaces_a_link(tmp_path: Path, outside: Path, write: object) -> None:
    path = tmp_path / "new" / "a.json"
    path.parent.mkdir()
    path.symlink_to(outside)
    write(path, b"theirs")  # type: ignore[operator]
    assert (path.read_bytes(), outside.read_text()) == (b"theirs", "mine")


def test_output_to_a_device_is_written_there() -> None:
    write_output(Path("/dev/null"), b"nothing")
    assert not Path("/dev/null").is_file()


def test_a_store_and_all_in_it_belong_to_its_owner(tmp_path: Path) -> None:
    with Store(tmp_path / "a" / "store") as store:
        write_atomically(store.workspace / "plans" / "p.json", b"{}")
    assert mode(tmp_path / "a") == 0o700
    assert mode(tmp_path / "a" / "store" / "plans") == 0o700
    assert mode(tmp_path / "a" / "store" / "plans" / "p.json") == 0o600


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    make_folder(tmp_path / "new")
    make_writable(tmp_path)
    assert (mode(tmp_path), mode(tmp_path / "new")) == (0o750, 0o700)
