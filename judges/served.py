"""Does the server of a judge still hold the model whose verdicts are stored?

As for models under test (harness/models/served.py): the server's list vouches for it, or up to three
stored verdicts are asked for once more. Verdicts of two judges must not be compared as one judge's, so
that a run that has asked another judge for some of them ends.
"""

from collections.abc import Sequence
from typing import NamedTuple

from harness.core.errors import HarnessError
from harness.core.sanitize import printable_line
from harness.core.store import Store
from harness.models.endpoint import BudgetSpentError, Endpoint, EndpointRefusedError
from harness.models.served import (
    ServedCheck,
    ServedModel,
    choose_probes,
    describe_served,
    is_same_answer,
    name_change,
    vouches,
)
from harness.models.session import BatchEndpoint, EndpointSession
from harness.types import JudgeRequest, Outcome
from judges.protocol import Judge

Stored = Sequence[tuple[JudgeRequest, Outcome]]  # requests with their stored outcomes


class ServedBy(NamedTuple):
    """The endpoint of a judge in a session; `greedy` verdicts can be asked for once more.

    A stated `revision` vouches for verdicts that are all there.
    """

    endpoint: Endpoint | BatchEndpoint
    session: EndpointSession
    greedy: bool
    revision: str | None


def check_judge(
    judge: Judge, served: ServedBy, store: Store, stored: Stored, new_keys: Sequence[str]
) -> None:
    """Check once a run that the server still holds the judge whose verdicts are `stored`.

    `new_keys` are those of the verdicts that this run has asked for.

    Raises:
        HarnessError: another judge answers now and has given some of the verdicts; these are removed.
    """
    session, card = served.session, judge.card
    vouched = served.revision is not None and not new_keys
    if session.by_batch or vouched or not (stored or new_keys):
        return
    with session.lock:  # judges of several metrics ask from threads of their own
        check = session.judges.get(card.name)
        if check is None:
            check = _check(judge, served, store, stored)
    if check is None or check.ok or not new_keys:
        return
    store.remove("outcome", new_keys)
    raise HarnessError(
        f"judge '{card.name}': {served.endpoint.host} no longer gives the verdicts that are stored: "
        f"{check.detail}. The {len(new_keys):,} new verdicts are not kept, so that two judges are never "
        "taken for one. 'revision: …' beside its endpoint keeps the verdicts of both apart, and asks "
        "for all of them anew."
    )


def _check(judge: Judge, served: ServedBy, store: Store, stored: Stored) -> ServedCheck | None:
    """Check, and keep what the server tells; None where there is nothing to be checked.

    Of verdicts of an older version, or of a first run that was killed, nothing is known of the server:
    they count as this judge's, and are not paid for again.
    """
    key = f"judge {judge.card.fingerprint}"
    before = store.get("server", [key], ServedModel).get(key)
    known = before.fields if before else None
    now = describe_served(served.endpoint.list_models(), judge.card.model or "")
    if known is None or not stored:
        if known is None:
            store.put("server", {key: ServedModel(fields=now)})
        return None
    if vouches(known, now):
        check = ServedCheck(True, "the server lists the same model as then")
    else:
        check = _probe(judge, served, stored, name_change(known, now))
    served.session.judges[judge.card.name] = check
    if check.ok and now:
        store.put("server", {key: ServedModel(fields=now)})
    return check


def _probe(judge: Judge, served: ServedBy, stored: Stored, change: str) -> ServedCheck:
    """Ask for a few stored verdicts once more, and compare."""
    unchecked = f"whether {served.endpoint.host} still serves that judge was not checked"
    if not served.greedy:
        if change:
            return ServedCheck(
                False, f"the server says that {change}", f"the server says that {change}"
            )
        return ServedCheck(True, "", f"{unchecked}: its verdicts are sampled")
    read = [(request, outcome) for request, outcome in stored if outcome.reason is None]
    chosen = [read[n] for n in choose_probes([outcome.rationale or "" for _, outcome in read])]
    try:
        replies = dict(judge.judge([request for request, _ in chosen]))
    except (EndpointRefusedError, BudgetSpentError) as error:
        return ServedCheck(True, "", f"{unchecked}: {printable_line(str(error), limit=160)}")
    exchanges = [reply.exchange for reply in replies.values() if reply.exchange is not None]
    served.session.probes.setdefault(judge.card.name, []).extend(exchanges)
    compared = [
        _is_same_verdict(chosen[n][1], now) for n, now in replies.items() if now.reason is None
    ]
    if not compared:
        return ServedCheck(True, "", f"{unchecked}: it gave no verdict")
    differ = compared.count(False)
    counted = f"{differ} of {len(compared)} stored verdicts asked for once more came out otherwise"
    if differ == len(compared):
        counted = f"{counted}; {change}" if change else counted
        return ServedCheck(False, counted, f"{counted}: the server holds another judge now")
    if differ:
        return ServedCheck(True, counted, f"{counted}; the server may hold another judge now")
    return ServedCheck(True, f"{len(compared)} stored verdicts came out the same")


def _is_same_verdict(stored: Outcome, now: Outcome) -> bool:
    """Return whether two verdicts are of one judge: by their words, or by what they say without any."""
    if stored.rationale and now.rationale:
        return is_same_answer(stored.rationale, now.rationale)
    return (stored.values, stored.label, stored.winner) == (now.values, now.label, now.winner)
