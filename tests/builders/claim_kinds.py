"""One claim of every kind, so that a test over all kinds meets a new one by itself."""

from harness.config import Claim
from harness.config.claim_kinds import CLAIM_KINDS, ClaimName


def claim_of_kind(name: ClaimName, *, metric: str = "m", **options: float) -> Claim:
    """A claim with what its kind needs, unless the options say otherwise."""
    kind = CLAIM_KINDS[name]
    needed: dict[str, float] = {"value": 5.0} if kind.own_mean else {}
    if kind.margin_needed:
        needed = {"margin": 0.5}
    return Claim.model_validate({"metric": metric, "claim": name} | (options or needed))


EVERY_CLAIM = tuple(map(claim_of_kind, CLAIM_KINDS))
