"""A chat model behind an OpenAI-compatible endpoint, asked as fast as it allows.

    endpoint = Endpoint(spec, budget=Budget(5.0))
    for index, reply in endpoint.ask_all(asks): ...

One ask never raises: what went wrong with it is its reply's `problem`. Only what concerns every
ask ends the run: a refused key or model, an outage, a spent budget.

    client.py     Endpoint: what callers see
    batch.py      one `ask_all`: asks go to the event loop's thread, replies come back
    calls.py      one ask: attempts within a deadline, each of them paid for
    limits.py     how many calls may run, and how fast they may start
    throttle.py   the queue of calls that wait for that
    blot.py       the key, blotted out of what comes back
    replies.py    what an HTTP answer says, and what to do about it
    budget.py     what was spent, and the limit that no call may pass
    wire.py       LangChain's client: the only file that knows it
    lanes.py      the connections under it
    addresses.py  where requests and keys may go
    background.py the process's one event loop
"""

from harness.models.endpoint.attempts import EndpointRefusedError
from harness.models.endpoint.budget import Budget, BudgetSpentError, Spend
from harness.models.endpoint.client import Endpoint
from harness.models.endpoint.replies import Problem, Reply
from harness.models.endpoint.transport import Ask

__all__ = [
    "Ask",
    "Budget",
    "BudgetSpentError",
    "Endpoint",
    "EndpointRefusedError",
    "Problem",
    "Reply",
    "Spend",
]
