"""How long to wait before a request that failed is sent again: the server's own wait, or full jitter."""

import math
import random
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 8.0
MAX_RETRY_AFTER_S = 60.0


def wait_before(attempt: int, stated_s: float | None) -> float:
    """Return the seconds to wait after attempt number `attempt`, of which the server stated `stated_s`.

    Jitter keeps retries from coming together.
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    backoff_s = random.uniform(0, min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (attempt - 1)))
    if stated_s is None:
        return backoff_s
    # Requests with the same Retry-After would otherwise all come at that moment.
    return min(MAX_RETRY_AFTER_S, stated_s) + backoff_s / 4


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the wait in seconds from `retry-after-ms`, or from `Retry-After` in either form."""
    milliseconds = _parse_seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _parse_seconds(value)
    return _seconds_until(value, headers) if seconds is None and value is not None else seconds


def _parse_seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def _seconds_until(date: str, headers: Mapping[str, str]) -> float | None:
    """Return the seconds from the answer's own Date header: this machine's clock may be wrong."""
    try:
        then, now = parsedate_to_datetime(date), parsedate_to_datetime(headers["date"])
        return max(0.0, (then - now).total_seconds())
    except (KeyError, ValueError, TypeError, OverflowError, IndexError):
        return None
