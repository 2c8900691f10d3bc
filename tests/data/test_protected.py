"""Items that are protected health information are marked wherever they are quoted."""

from pathlib import Path

import pytest

from harness.config.request import load_request
from harness.planning.plan import make_plan
from harness.runs.caveats import find_caveats
from tests.builders.files import write, write_world


@pytest.mark.parametrize("phi", [True, False])
def test_a_report_says_that_it_quotes_protected_items(tmp_path: Path, phi: bool) -> None:
    suite, profile = write_world(tmp_path, n=12)
    text = (tmp_path / "small.yaml").read_text()
    marked = f"path: items.jsonl, phi: {str(phi).lower()},"
    write(tmp_path / "small.yaml", text.replace("path: items.jsonl,", marked))
    plan = make_plan(load_request(suite, profile, ["sft", "dpo"]), {})
    found = find_caveats(plan, [], {}, [], [], [])
    told = [caveat.text for caveat in found if caveat.code == "protected"]
    assert [text.startswith("'items' is marked phi") for text in told] == [True] * phi
    assert plan.tasks[0].phi is phi
