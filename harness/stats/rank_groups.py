"""What a set of "is better than" leaves open: ranks, and groups of arms that are not told apart."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Relation = NDArray[np.bool]  # [i, j] is whether i is shown to be better than j


class RankRange(NamedTuple):
    """The ranks that an arm may have, 1 for the best."""

    best: int
    worst: int


def transitive_closure(relation: Relation) -> Relation:
    """Compute the transitive closure: what follows from a > b and b > c too."""
    closed = relation.copy()
    for middle in range(len(closed)):
        closed |= closed[:, middle : middle + 1] & closed[middle]
    return closed


def rank_ranges(better: Relation) -> list[RankRange]:
    """Return the ranks that each arm may have, given which are shown to be better than which.

    Where all statements together are true with probability 1 - alpha, all ranges together hold every arm's
    rank with that probability (Mogstad, Romano, Shaikh & Wilhelm 2024, Review of Economic Studies 91:476).
    """
    above, below = better.sum(axis=0), better.sum(axis=1)
    return [RankRange(1 + int(a), len(better) - int(b)) for a, b in zip(above, below, strict=True)]


def group_letters(better: Relation) -> list[str]:
    """Return each arm's letters: two arms share one exactly if neither is shown to be better.

    It is the compact letter display (Piepho 2004, JCGS 13:456), with one letter for every largest group of
    arms none of which is told apart; arms are given the best first, and so are letters.
    """
    apart = better | better.T
    cliques = sorted(_largest_groups(~apart & ~np.eye(len(better), dtype=np.bool)))
    return [
        "".join(letter_name(k) for k, group in enumerate(cliques) if arm in group)
        for arm in range(len(better))
    ]


def letter_name(number: int) -> str:
    """Return a letter: a to z, then a1 to z1 and so on."""
    return chr(ord("a") + number % 26) + (str(number // 26) if number >= 26 else "")


def _largest_groups(together: Relation) -> list[tuple[int, ...]]:
    """Find all maximal cliques (Bron & Kerbosch 1973, CACM 16:575, with a pivot)."""
    neighbours = [set(np.flatnonzero(row).tolist()) for row in together]
    found: list[tuple[int, ...]] = []

    def extend(chosen: set[int], left: set[int], seen: set[int]) -> None:
        if not left and not seen:
            found.append(tuple(sorted(chosen)))
            return
        pivot = max(left | seen, key=lambda arm: len(neighbours[arm] & left))
        for arm in sorted(left - neighbours[pivot]):
            extend(chosen | {arm}, left & neighbours[arm], seen & neighbours[arm])
            left, seen = left - {arm}, seen | {arm}

    extend(set(), set(range(len(together))), set())
    return found
