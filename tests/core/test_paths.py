"""Files that a suite or profile may name: what came with it, what is ours, what the user opened."""

from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.core.paths import suite_file_paths
from harness.core.text_files import read_prompt
from harness.data.tables import local_file


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a secret, and a cloned suite two folders below it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HARNESS_FILES_FROM", raising=False)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "key").write_text("secret")
    suite = tmp_path / "clones" / "suite"
    (suite / "prompts").mkdir(parents=True)
    (suite / "prompts" / "own.md").write_text("Be kind.")
    return suite


@pytest.mark.parametrize("how", ["relative", "absolute", "link", "linked folder", "round about"])
def test_a_cloned_suite_reads_no_file_outside_of_its_folder(world: Path, how: str) -> None:
    secret = world.parent.parent / ".ssh" / "key"
    (world / "link.md").symlink_to(secret)
    (world / "folder").symlink_to(secret.parent)
    path = {
        "relative": "../../.ssh/key",
        "absolute": str(secret),
        "link": "link.md",
        "linked folder": "folder/key",
        "round about": "prompts/../../../.ssh/key",
    }[how]
    for read in (read_prompt, local_file):
        with pytest.raises(HarnessError, match="lies outside of") as caught:
            read(path, world)
        assert "secret" not in str(caught.value)


def test_what_came_with_the_suite_is_read(world: Path) -> None:
    assert read_prompt("prompts/own.md", world) == "Be kind."
    assert read_prompt("prompts/../prompts/own.md", world) == "Be kind."
    assert read_prompt("prompts/medical_assistant.md", world)  # one of ours


def test_a_suite_in_a_repository_may_name_what_is_in_the_repository(world: Path) -> None:
    (world.parent / ".git").mkdir()
    (world.parent / "shared.md").write_text("Shared.")
    assert read_prompt("../shared.md", world) == "Shared."
    with pytest.raises(HarnessError, match="lies outside of"):
        read_prompt("../../.ssh/key", world)


def test_a_home_folder_that_is_a_repository_opens_nothing(world: Path) -> None:
    (world.parent.parent / ".git").mkdir()
    with pytest.raises(HarnessError, match="lies outside of"):
        read_prompt("../../.ssh/key", world)


def test_the_user_opens_a_folder(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = world.parent / "data"
    data.mkdir()
    (data / "items.jsonl").write_text("{}")
    with pytest.raises(HarnessError, match=f"HARNESS_FILES_FROM={data}"):
        local_file(str(data / "items.jsonl"), world)
    monkeypatch.setenv("HARNESS_FILES_FROM", f"/nowhere:{data}")
    assert local_file(str(data / "items.jsonl"), world) == data / "items.jsonl"


def test_a_name_that_is_nowhere_is_not_here(world: Path) -> None:
    assert not any(path.exists() for path in suite_file_paths("../../no-such", world))
