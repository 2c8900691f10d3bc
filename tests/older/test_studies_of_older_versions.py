"""A study's file and its result, as the first version wrote them, are still read."""

import json
import shutil
from pathlib import Path

from harness.config.study import load_study
from tests.builders.commands import harness_here

OLD = Path(__file__).parent / "studies" / "tiny_methods"


def test_the_file_is_read() -> None:
    study, _ = load_study(str(OLD / "tiny_methods.yaml"))
    assert study.arm_names == ("lora", "dora", "full", "ia3", "base")


def test_the_result_is_rendered_with_the_same_places(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "old")
    old = json.loads((OLD / "study.json").read_text())
    done = harness_here("study", "report", "old", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    arms = json.loads(done.stdout)["arms"]
    places = [(arm["name"], arm["rank_best"], arm["rank_worst"], arm["letters"]) for arm in arms]
    assert places == [
        (arm["name"], arm["rank_best"], arm["rank_worst"], arm["letters"]) for arm in old["arms"]
    ]
    assert "3 to 5" in (tmp_path / "old" / "report.html").read_text()


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text('{"schema_version": 2}')
    done = harness_here("study", "report", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "study.json: is no result of a study that this version reads: schema_version" in done.stderr
    )
