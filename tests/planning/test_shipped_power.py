"""The suites that are shipped have items enough for what their claims call a success."""

from pathlib import Path

import pytest

from harness.config import known_suites
from harness.config.request import load_request
from harness.planning.claims import LOW_POWER
from harness.planning.forecast import forecast_run

LOOPS = sorted((Path(__file__).parents[2] / "suites" / "loops").glob("tiny_*.yaml"))


@pytest.mark.parametrize("suite", [*known_suites(), *map(str, LOOPS)])
def test_every_claim_has_80_percent_power_against_what_it_expects(
    suite: str, tmp_path: Path
) -> None:
    of_passages = suite == "grounded_answers"
    profile, models = (
        ("tiny_retrieval", ["closed", "open"]) if of_passages else ("tiny", ["sft", "dpo"])
    )
    request = load_request(suite, profile, models)
    found = forecast_run(request, tmp_path / "store")
    if found.missing:
        pytest.skip("its items are fetched from elsewhere")
    assert found.claims
    for claim in found.claims:
        assert claim.power is not None
        assert claim.power >= 0.8, (claim.claim, claim.power)


def test_a_plan_of_too_few_items_for_its_claims_warns(tmp_path: Path) -> None:
    request = load_request("medical_rubric", "tiny", ["sft", "dpo"], limit=30)
    claims = forecast_run(request, tmp_path / "store").claims
    assert claims
    assert all((claim.power or 0) < LOW_POWER for claim in claims)
