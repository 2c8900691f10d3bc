"""What would settle an undecided claim, in words; the numbers are the gate's own."""

from harness.types import ClaimResult

_WIDE = 10  # times: a range of items above this says no more than its lower end


def describe_items_needed(claim: ClaimResult) -> str:
    """Say how many items would settle an inconclusive claim."""
    least, most = claim.n_needed_least or claim.n_needed, claim.n_needed
    if least is None:
        return f"No number of items is sure to settle '{claim.claim}': its estimate is too near the boundary."
    if most is None or most > _WIDE * least:
        number = f"{least:,} items or more"
    elif least < most:
        number = f"about {least:,} to {most:,} items"
    else:
        number = f"about {most:,} items"
    return f"Use {number} ({claim.n:,} now) to settle '{claim.claim}'."
