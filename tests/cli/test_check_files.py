"""The files of an earlier check never stand for one that was not made."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.runs import regression

EARLIER = "✅ pass"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    junit, comment = tmp_path / "check.xml", tmp_path / "comment.md"
    for file in (junit, comment):
        file.write_text(EARLIER)
    return junit, comment


@pytest.mark.parametrize("ending", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_a_check_that_crashes_leaves_no_earlier_pass(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, ending: type[BaseException]
) -> None:
    def crash(path: Path) -> None:
        # What stands there while the check runs, and so if it is killed.
        assert all(EARLIER not in file.read_text() for file in files)
        raise ending("in the middle")

    monkeypatch.setattr(regression, "read_baseline", crash)
    monkeypatch.setattr("harness.artifacts.run_folder.load_run", lambda folder: None)
    junit, comment = files
    done = CliRunner().invoke(
        app, ["check", "run", "--junit", str(junit), "--comment", str(comment)]
    )
    assert done.exit_code != 0
    assert "<error" in junit.read_text()
    assert "could not run" in comment.read_text()
    assert ending.__name__ in comment.read_text()
