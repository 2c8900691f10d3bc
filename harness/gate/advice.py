"""What would settle an undecided claim, in words; the numbers are the gate's own."""

from harness.types import ClaimResult

_WIDE = 10  # times: a range of items above this says no more than its lower end


def describe_items_needed(claim: ClaimResult) -> str:
    """Say how many items would settle an inconclusive claim."""
    number = items_needed_in_words(claim)
    if not number:
        return f"No number of items is sure to settle '{claim.claim}': its estimate is too near the boundary."
    return f"Use {number} ({claim.n:,} now) to settle '{claim.claim}'."


def items_needed_in_words(claim: ClaimResult) -> str:
    """Return the number of items that would settle an inconclusive claim, more than it has; empty if unknown."""
    least, most = claim.n_needed_least or claim.n_needed, claim.n_needed
    if least is None:
        return ""
    if most is not None and most <= claim.n:
        return f"more than {claim.n:,} items"
    if most is None or most > _WIDE * least:
        return f"{max(least, claim.n + 1):,} items or more"
    if least <= claim.n:
        return f"up to about {most:,} items"
    return f"about {least:,} to {most:,} items" if least < most else f"about {most:,} items"
