"""Every kind of claim has a row of facts, and the row is what the claim is."""

from typing import get_args

import pytest
from pydantic import ValidationError

from harness.config import Claim, Gate
from harness.config.claim_kinds import CLAIM_KINDS, ClaimName
from tests.builders.claim_kinds import EVERY_CLAIM, claim_of_kind

every_claim = pytest.mark.parametrize("claim", EVERY_CLAIM, ids=lambda claim: claim.claim)


def test_every_kind_of_claim_has_a_row() -> None:
    assert list(CLAIM_KINDS) == list(get_args(ClaimName))


@every_claim
def test_a_claim_is_written_with_its_boundary(claim: Claim) -> None:
    stated = claim.value if claim.value is not None else claim.margin
    amount = "" if stated is None else claim.kind.amount.format(stated)
    assert str(claim) == f"m {claim.kind.words}{amount}"
    assert claim.kind.amount.format(0.25) != claim.kind.amount


@pytest.mark.parametrize("name", CLAIM_KINDS)
def test_a_claim_takes_a_margin_or_a_value(name: ClaimName) -> None:
    kind = CLAIM_KINDS[name]
    wrong, problem = ({"margin": 0.5}, "'value'") if kind.own_mean else ({"value": 5.0}, "'margin'")
    with pytest.raises(ValidationError, match=f"'{name}' (needs|takes) a {problem}"):
        claim_of_kind(name, **wrong)
    if kind.margin_needed:
        with pytest.raises(ValidationError, match=kind.margin_needed):
            claim_of_kind(name, margin=0.0)


@every_claim
def test_boundaries_lie_on_the_side_that_the_row_states(claim: Claim) -> None:
    claim = claim if claim.value is not None else claim_of_kind(claim.claim, margin=0.25)
    low, high = claim.boundaries(0.5)
    if claim.kind.own_mean:
        assert claim.value is not None
        assert low == claim.value - 0.5
    else:
        assert low == 0.25 * claim.kind.margin_sign
    assert high == (0.25 if claim.kind.two_sided else None)


@every_claim
def test_every_verdict_and_chart_has_its_words(claim: Claim) -> None:
    assert len(set(claim.kind.reasons)) == len(claim.kind.reasons) == 3
    assert all(claim.kind.reasons.of(verdict) for verdict in ("pass", "fail", "inconclusive"))
    marks = {claim.kind.mark.format(exact="0.5", rounded="0.50")}
    assert marks.isdisjoint({claim.kind.mark, ""})
    assert claim.kind.easier_with


@every_claim
def test_an_alarm_alone_is_outside_the_family_and_keeps_alpha(claim: Claim) -> None:
    others = (claim_of_kind("superior"), claim_of_kind("superior", metric="other"))
    gate = Gate(require="any", claims=(claim, *others))
    assert (claim in gate.family) != claim.kind.alarm
    assert gate.level_of(claim) == (gate.alpha if claim.kind.alarm else gate.level) > 0
