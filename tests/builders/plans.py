"""Plans of small suites."""

from pathlib import Path

from harness.config.request import load_request
from harness.planning.plan import make_plan
from harness.types import JudgeCard, Plan
from judges.panel import Panel

CARD = JudgeCard(name="j", nature="n", fingerprint="f")
PANELS = {"rubric": Panel(CARD, judges=())}


def plan_of(folder: Path, models: str = "sft,dpo", **options: int) -> Plan:
    suite, profile = str(folder / "small.yaml"), str(folder / "recorded.yaml")
    request = load_request(suite, profile, models.split(","), **options)  # type: ignore[arg-type]
    return make_plan(request, PANELS)
