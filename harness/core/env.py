"""Numbers that environment variables state."""

import math
import os

from harness.core.errors import HarnessError


def env_positive_float(name: str) -> float | None:
    """The number above 0 in the environment variable `name`; None where it is unset or empty.

    Raises:
        HarnessError: it holds something else.
    """
    stated = os.environ.get(name)
    if not stated:
        return None
    try:
        number = float(stated)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise HarnessError(f"{name}={stated}: write a number above 0.")
    return number
