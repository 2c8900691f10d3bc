"""Stored answers of an endpoint's model: is it the same model still, and how often was it asked anew?

`served.py` has the rules; here the server is asked, once a run.
"""

from collections.abc import Iterator, Mapping, Sequence

from harness.core.errors import HarnessError
from harness.core.progress import Progress
from harness.core.sanitize import printable_line
from harness.core.store import Store
from harness.models.endpoint import BudgetSpentError, Endpoint, EndpointRefusedError
from harness.models.endpoint_answers import make_ask, read_reply
from harness.models.model_kinds import EndpointModel, Model
from harness.models.served import (
    ServedCheck,
    ServedModel,
    choose_probes,
    describe_dates,
    describe_served,
    is_same_answer,
    name_change,
    vouches,
)
from harness.models.session import BatchEndpoint, EndpointSession
from harness.types import Caveat, Response, Sample, Task


def check_server(
    task: Task,
    model: EndpointModel,
    endpoint: Endpoint | BatchEndpoint,
    store: Store,
    keys: Sequence[str],
    stored: Mapping[str, Response],
    progress: Progress,
) -> None:
    """Check once a run that the server still holds the model whose answers are stored.

    `keys` are those of all samples' answers, in order; `stored` has the answers by key. A stated revision
    vouches for answers that are all there. Nothing is asked where replies come by batch.

    Raises:
        HarnessError: another model answers under the name now; tells what to do.
    """
    key = _served_key(model)
    vouched = model.spec.revision is not None and stored.keys() >= set(keys)
    if key in model.session.served or model.session.by_batch or vouched:
        return
    before = store.get("server", [key], ServedModel).get(key)
    known = before.fields if before else None
    now = describe_served(endpoint.list_models(), model.spec.model)
    if vouches(known, now):
        check = ServedCheck(True, "the server lists the same model as then")
    else:
        answers = [
            (sample, stored[k]) for sample, k in zip(task.samples, keys, strict=True) if k in stored
        ]
        check = _probe(task, model, endpoint, answers, name_change(known, now))
    model.session.served[key] = check
    if check.ok and now:
        store.put("server", {key: ServedModel(fields=now)})
    if not check.ok:
        dates = describe_dates(store.dates("response", stored))
        raise HarnessError(
            f"model '{model.name}': {endpoint.host} no longer gives the answers that are stored, made "
            f"{dates}: {check.detail}. If another model is served under the name "
            f"'{model.spec.model}' now: --ask-again answers --model {model.name} asks it anew, or "
            f"'revision: …' beside its endpoint keeps both models' answers apart."
        )
    if check.caveat:
        progress.log(f"{model.name}: {check.caveat}")


def remember_server(
    model: EndpointModel, endpoint: Endpoint | BatchEndpoint, store: Store, *, answered: bool
) -> None:
    """Keep what the server tells of the model that answers in this run.

    A server that lists a model only once it was asked is asked for its list again then.
    """
    key = _served_key(model)
    if key in model.session.served or model.session.by_batch:
        return
    fields = describe_served(endpoint.list_models(), model.spec.model)
    if fields or answered:
        model.session.served[key] = ServedCheck(True, "answers in this run")
        store.put("server", {key: ServedModel(fields=fields)})


def _probe(
    task: Task,
    model: EndpointModel,
    endpoint: Endpoint | BatchEndpoint,
    answers: Sequence[tuple[Sample, Response]],
    change: str,
) -> ServedCheck:
    """Ask for a few stored greedy answers once more, and compare."""
    unchecked = f"whether {endpoint.host} still serves that model was not checked"
    if task.generation.temperature != 0 or model.spec.temperature is None:
        if change:
            return ServedCheck(False, f"the server says that {change}")
        return ServedCheck(True, "", f"{unchecked}: its answers are sampled")
    answered = [(sample, r.text or "") for sample, r in answers if (r.text or "").strip()]
    chosen = [answered[n] for n in choose_probes([text for _, text in answered])]
    asks = [make_ask(sample, task) for sample, _ in chosen]
    try:
        replies = dict(endpoint.ask_all(asks))
    except (EndpointRefusedError, BudgetSpentError) as error:
        return ServedCheck(True, "", f"{unchecked}: {printable_line(str(error), limit=160)}")
    again = {n: read_reply(reply, chosen[n][0], model) for n, reply in replies.items()}
    asked = [response.exchange for response in again.values() if response.exchange is not None]
    model.session.probes.setdefault(model.name, []).extend(asked)
    texts = {n: response.text for n, response in again.items()}
    compared = [is_same_answer(chosen[n][1], text) for n, text in texts.items() if text is not None]
    if not compared:
        return ServedCheck(True, "", f"{unchecked}: it gave no answer")
    differ = compared.count(False)
    counted = f"{differ} of {len(compared)} stored answers asked for once more came out otherwise"
    if differ == len(compared):
        return ServedCheck(False, f"{counted}; {change}" if change else counted)
    if differ:
        return ServedCheck(True, counted, f"{counted}; the server may hold another model now")
    return ServedCheck(
        True, f"{len(compared)} stored answers asked for once more came out the same"
    )


def stored_answer_caveats(session: EndpointSession) -> Iterator[Caveat]:
    """Yield what a reader should know of answers that were stored by earlier runs."""
    for key, check in sorted(session.served.items()):
        if check.caveat:
            name = key.partition(" ")[0]
            yield Caveat(code="stored_answers", text=f"Stored answers of '{name}': {check.caveat}.")
    for name, check in sorted(session.judges.items()):
        if check.caveat:
            yield Caveat(
                code="stored_verdicts", text=f"Stored verdicts of '{name}': {check.caveat}."
            )
    for name, admitted in sorted(session.formats.items()):
        yield Caveat(code="response_format", text=f"The judge {name} {admitted}.")


def log_stored(
    task: Task,
    model: EndpointModel,
    store: Store,
    keys: Sequence[str],
    stored: Mapping[str, Response],
    progress: Progress,
) -> None:
    """Say with dates where all answers come from the store."""
    if len(stored) < len(set(keys)):
        return
    check = model.session.served.get(_served_key(model))
    found = f"; {check.detail}" if check and check.detail else ""
    progress.log(
        f"{model.name}: all {len(keys):,} answers on {task.name} are stored ones, made "
        f"{describe_dates(store.dates('response', stored))}{found}"
    )


def _served_key(model: EndpointModel) -> str:
    spec = model.spec
    return f"{spec.model} {spec.base_url or ''} {spec.revision or ''}".rstrip()


# --- answers asked anew -----------------------------------------------------------------------


def count_renewal(model: EndpointModel, store: Store) -> None:
    """Count, once a run, that all answers of a model are asked anew: later runs are on these."""
    key = _renewal_key(model)
    if key not in model.session.renewed:
        model.session.renewed.add(key)
        times = n_renewals(model, store) + 1
        store.put("server", {key: ServedModel(fields={"times": str(times)})})


def n_renewals(model: Model, store: Store) -> int:
    """Return how often all answers of a model were asked anew, which makes other runs of it."""
    if not isinstance(model, EndpointModel):
        return 0
    key = _renewal_key(model)
    row = store.get("server", [key], ServedModel).get(key)
    return 0 if row is None else int(row.fields["times"])


def _renewal_key(model: EndpointModel) -> str:
    return f"renewed {_served_key(model)}"
