"""Whatever a command writes, only its owner may read."""

from pathlib import Path

from tests.builders.commands import harness
from tests.builders.recorded import write_study


def test_nothing_that_a_run_writes_can_be_read_by_others(tmp_path: Path) -> None:
    write_study(tmp_path, shifts={"sft": 0.0, "dpo": 1.0})
    before = set(tmp_path.rglob("*"))
    run = ("run", "suite.yaml", "--profile", "profile.yaml", "--models", "sft,dpo")
    assert harness(*run, cwd=tmp_path).returncode in {0, 1, 3}
    [folder] = (tmp_path / "runs" / "small").iterdir()
    harness("bless", str(folder), "--margin", "rubric.safety=0.5", cwd=tmp_path)
    harness("check", str(folder), "--junit", "check.xml", "--comment", "c.md", cwd=tmp_path)
    made = set(tmp_path.rglob("*")) - before
    assert {"store.sqlite", "baseline.json", "check.xml", "c.md"} <= {path.name for path in made}
    assert [path for path in made if path.stat().st_mode & 0o077] == []
