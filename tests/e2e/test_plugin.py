"""A package with a metric and a judge of its own, installed as its users do, from plan to report."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.core.paths import bundle_root
from tests.builders.commands import Done, harness
from tests.builders.files import PROFILE, write, write_rows, write_world

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).parents[1] / "plugins" / "readability"

SUITE = """\
suite: plain
data:
  source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}
metrics:
  ease: {kind: plugin, scorer: readability}
  rubric: {kind: rubric, judge: plain, criteria: [{name: clarity, asks: Clear or not}]}
gate:
  max_unscored: 0.5
  claims:
    - {metric: ease.words, claim: non_inferior, margin: 0.4}
    - {metric: rubric.clarity, claim: non_inferior, margin: 4}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(site), str(EXAMPLE)]
    subprocess.run(pip, check=True, capture_output=True, timeout=300)
    return site


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_world(tmp_path, n=20)
    rows = [json.loads(line) for line in (tmp_path / "dpo.jsonl").read_text().splitlines()]
    write_rows(tmp_path / "dpo.jsonl", [{**rows[0], "text": "?!"}, *rows[1:]])
    write(tmp_path / "plain.yaml", SUITE)
    profile = PROFILE.replace("judges:\n", "judges:\n  plain: {plugin: plain_words}\n")
    write(tmp_path / "recorded.yaml", profile)
    return tmp_path


def in_world(world: Path, site: Path, *args: str) -> Done:
    return harness(*args, cwd=world, env={"PYTHONPATH": f"{site}:{bundle_root()}"})


def run(world: Path, site: Path) -> tuple[dict[str, Any], str]:
    done = in_world(
        world, site, "run", "plain.yaml", "--models", "sft,dpo", "--profile", "recorded.yaml"
    )
    assert done.returncode in (0, 1, 3), done.stderr
    folder = max((world / "runs" / "plain").iterdir(), key=lambda path: path.stat().st_mtime)
    return json.loads((folder / "results.json").read_text()), (folder / "report.md").read_text()


def test_an_installed_package_is_listed_planned_and_run(world: Path, site: Path) -> None:
    listed = in_world(world, site, "list").stdout
    assert "readability  plain-reading 1.0" in listed
    assert "plain_words  plain-reading 1.0" in listed
    planned = in_world(
        world, site, "plan", "plain.yaml", "--models", "sft,dpo", "--profile", "recorded.yaml"
    )
    assert "computed by plain-reading 1.0" in planned.stdout
    assert "What these plug-ins send where is not known here: plain_words" in planned.stdout
    assert "Nothing leaves this machine" not in planned.stdout

    result, report = run(world, site)
    (scored,) = [c for c in result["comparisons"] if c["metric"] == "ease.words"]
    assert scored["n"] == 19
    reasons = {c["metric"]: c["reasons"] for c in result["coverage"] if c["model"] == "dpo"}
    assert reasons["ease.words"] == reasons["rubric.clarity"] == {"plug-in failed": 1}
    source = result["plan"]["tasks"][0]["metrics"]["ease"]["scorer"]["source"]
    assert f"plain-reading 1.0 (source {source[:12]})" in report
    # The rules of a package are not a language model either: they pass nothing alone.
    assert any(caveat["code"] == "offline_rules_alone" for caveat in result["caveats"])


def test_a_changed_package_is_another_plan_and_scores_anew(world: Path, site: Path) -> None:
    before, _ = run(world, site)
    file = site / "plain_reading" / "scorer.py"
    file.write_text(file.read_text().replace("LONGEST_WORD = 7", "LONGEST_WORD = 3"))
    after, report = run(world, site)
    means = [
        next(c["candidate_mean"] for c in result["comparisons"] if c["metric"] == "ease.words")
        for result in (before, after)
    ]
    assert means[0] > means[1]
    (amendment,) = after["amendments"]
    changed = {change["field"] for change in amendment["changes"]}
    assert changed == {"metric ease", "judge of ease", "judge of rubric"}
    assert "metric ease" in report


def test_without_the_package_the_suite_is_refused_and_its_report_still_made(
    world: Path, site: Path
) -> None:
    run(world, site)
    refused = harness("validate", "plain.yaml", "--profile", "recorded.yaml", cwd=world)
    assert refused.returncode == 2
    assert "plain.yaml:5: metrics.ease.scorer: no installed package registers" in refused.stderr
    assert harness("report", "latest", cwd=world).returncode in (0, 1, 3)
