"""From a suite to a page for people, by the command line alone."""

from pathlib import Path

from harness.human.votes import load_study
from tests.builders.commands import harness_here
from tests.builders.files import write_world


def test_what_a_run_leaves_can_be_judged(tmp_path: Path) -> None:
    write_world(tmp_path)
    done = harness_here(
        "run", "small.yaml", "--models", "sft,dpo", "--profile", "recorded.yaml", cwd=tmp_path
    )
    assert done.returncode in {0, 1, 3}, done.stderr
    (run,) = (tmp_path / "runs" / "small").iterdir()
    done = harness_here(
        "annotate", str(run), "--rubric", "--offline", "page.html", "--annotator", "reader 1",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text()
    assert "Why does my knee number 7 hurt after sport?" in page
    assert "left.safety" in page
    study = load_study(run / "people" / "study")
    assert (study.n, study.n_comparable, study.n_items) == (12, 12, 12)
