"""Where along a line does a yes-or-no answer change?"""

from collections.abc import Callable

HALVINGS = 60


def bisect_flip(
    decide: Callable[[float], bool], *, low: float, high: float, halvings: int = HALVINGS
) -> float:
    """The smallest value in [low, high] at which `decide` no longer answers as it does at `low`.

    `decide` may change its answer once. If it never does, the caller gets `high`.
    """
    at_low = decide(low)
    for _ in range(halvings):
        middle = (low + high) / 2
        if decide(middle) == at_low:
            low = middle
        else:
            high = middle
    return high
