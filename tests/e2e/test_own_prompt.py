"""A judge asked with the suite's own prompt, from the copy of ours to the report."""

from pathlib import Path

import pytest

from tests.builders.commands import harness_here
from tests.builders.endpoint_runs import answer
from tests.builders.files import PROFILE, SUITE, write, write_world
from tests.loopback.server import LoopbackServer

pytestmark = pytest.mark.slow
N_ITEMS = 12


def test_another_text_is_judged_anew_and_named_and_other_line_breaks_are_not(
    tmp_path: Path,
) -> None:
    write_world(tmp_path, n=N_ITEMS)
    write(
        tmp_path / "small.yaml", SUITE.replace("kind: rubric", "kind: rubric\n    prompt: own.md")
    )
    assert (
        harness_here("judge", "prompt", "rubric", "--out", "own.md", cwd=tmp_path).returncode == 0
    )
    ours = (tmp_path / "own.md").read_text()
    n_asked, reports = [], []
    with LoopbackServer(answer) as server:
        judge = f"default: {{endpoint: {{model: judge-model, base_url: '{server.base_url}'}}}}\n"
        write(tmp_path / "recorded.yaml", PROFILE.partition("default:")[0] + judge)
        for text in (ours, ours.replace("\n", "\r\n"), f"You are a physician.\n{ours}"):
            (tmp_path / "own.md").write_bytes(text.encode())
            done = harness_here(
                "run",
                "small.yaml",
                "--models",
                "sft,dpo",
                "--profile",
                "recorded.yaml",
                cwd=tmp_path,
            )
            assert done.returncode in (0, 1, 3), done.stderr
            n_asked.append(server.counts["ok"])
            folder = max((tmp_path / "runs/small").iterdir(), key=lambda path: path.stat().st_mtime)
            reports.append((folder / "report.md").read_text())
    assert n_asked == [2 * N_ITEMS, 2 * N_ITEMS, 4 * N_ITEMS]
    assert "Judge prompt of rubric, the suite's own" in reports[0]
    assert "judge prompt of rubric" not in reports[1]  # among the changes of its plan
    assert "judge prompt of rubric" in reports[2]
    assert "You are a physician." in reports[2]
