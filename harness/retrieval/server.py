"""A server on this machine that is asked for vectors or scores of texts, and whether it holds the same model as before.

A request that failed is repeated as one to a chat endpoint is: up to eight times within two minutes.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from harness.core.retries import retry_after, wait_before
from harness.core.sanitize import printable_line

MAX_ATTEMPTS = 8
ATTEMPT_S, DEADLINE_S = 60.0, 120.0
REPEATED = frozenset({408, 409, 425, 429})  # and 500 and above
OF_ALL_REQUESTS = frozenset({401, 403, 404, 405})
MOST_WORDS = 160  # characters of a server's own words
PROBED = "retrieval "  # how the keys of what servers said of probes begin
SAME_WITHIN = 0.05  # of the length of a probe's values: rounding and batches change far less


class SearchError(Exception):
    """A search that could not be made; the message has the server's own words.

    `final` says that every other request would fail as well.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def post_json(url: str, body: Mapping[str, object], who: str) -> Any:
    """Send a request and return the JSON of its answer; `who` is named in messages.

    Raises:
        SearchError: there is no good answer, after repeats where these may help.
    """
    import httpx2

    problem, final, began = "", False, time.monotonic()
    # No proxy, which would read the texts.
    with httpx2.Client(trust_env=False, timeout=ATTEMPT_S) as client:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            stated_s: float | None = None
            try:
                answer = client.post(url, json=dict(body))
            except httpx2.HTTPError as error:
                words = printable_line(str(error), limit=MOST_WORDS)
                problem, final = f"no answer ({type(error).__name__}: {words})", True
            else:
                if answer.status_code == 200:
                    try:
                        return json.loads(answer.content)
                    except (ValueError, RecursionError):
                        problem, final = f"no JSON: {_words(answer.content)}", False
                else:
                    status = answer.status_code
                    problem = f"HTTP {status}: {_words(answer.content)}"
                    final = status in OF_ALL_REQUESTS
                    if status < 500 and status not in REPEATED:
                        break
                    stated_s = retry_after(answer.headers)
            wait_s = wait_before(attempt, stated_s)
            if attempt == MAX_ATTEMPTS or time.monotonic() + wait_s > began + DEADLINE_S:
                break
            time.sleep(wait_s)
    raise SearchError(f"{who}: {problem}", final=final)


def is_same_model(before: Sequence[float], now: Sequence[float]) -> bool:
    """Return whether two sets of values of one probe are those of one model."""
    return len(before) == len(now) and math.dist(before, now) <= SAME_WITHIN * math.hypot(*before)


def _words(content: bytes) -> str:
    """Return what a server says of a failure: the message in its JSON, or its text."""
    text = content.decode("utf-8", "replace")
    try:
        told = json.loads(text)
        told = told.get("error", told)
        text = str(told.get("message", told)) if isinstance(told, dict) else str(told)
    except (ValueError, AttributeError, RecursionError):
        pass
    return printable_line(text, limit=MOST_WORDS) or "no words"
