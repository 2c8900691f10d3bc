"""Numbers in environment variables."""

import math
import os

from harness.core.errors import HarnessError


def env_positive_float(name: str) -> float | None:
    """Return the positive number in an environment variable; None if it is unset or empty.

    Raises:
        HarnessError: the variable holds something else.
    """
    text = os.environ.get(name)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise HarnessError(f"{name}={text}: write a number above 0.")
    return number
