"""Chat models behind OpenAI-compatible endpoints, called as fast as the endpoint admits.

    endpoint = Endpoint(spec, budget=Budget(5.0))
    for index, reply in endpoint.ask_all(asks): ...

A single request never raises: its failure is the `problem` of its reply. Only a failure that
concerns every request ends the run: a refused key or model, an outage, a spent budget.

    client.py      Endpoint: the interface for callers
    flows.py       chats in which a request may follow from an earlier reply
    dispatch.py    many flows at a time: requests go to the event loop, replies come back
    attempts.py    one request: attempts within a deadline, each of them paid for
    rate_limit.py  how many calls may run, how fast they may start, and the queue for that
    secrets.py     redaction of the key in everything that comes back
    replies.py     what an HTTP answer means and what to do about it
    response_formats.py  how the endpoint takes to be asked for JSON
    event_stream.py  a reply in pieces, closed where its JSON object ends
    budget.py      the cost so far, and the limit that no call may exceed
    transport.py   LangChain's client and the connections under it: the only file that knows them
    addresses.py   where requests and keys may go
    key_consent.py which key the user sends to which host
    event_loop.py  the process's one event loop
"""

from harness.models.endpoint.attempts import EndpointRefusedError
from harness.models.endpoint.budget import Budget, BudgetSpentError, Spend
from harness.models.endpoint.client import Endpoint
from harness.models.endpoint.flows import ChatFlow, Ended, advance, ask_once
from harness.models.endpoint.replies import Problem, Reply
from harness.models.endpoint.response_formats import AdmittedFormat, ResponseFormats, Structured
from harness.models.endpoint.transport import Ask

__all__ = [
    "AdmittedFormat",
    "Ask",
    "Budget",
    "BudgetSpentError",
    "ChatFlow",
    "Ended",
    "Endpoint",
    "EndpointRefusedError",
    "Problem",
    "Reply",
    "ResponseFormats",
    "Spend",
    "Structured",
    "advance",
    "ask_once",
]
