"""Responses of a model: from a local checkpoint, from an endpoint, or from a recorded file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import JsonValue

from harness.config import EndpointSpec, Generation, most_unscored
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.hashing import content_hash
from harness.core.progress import Progress
from harness.core.sanitize import printable_line
from harness.core.store import Store, read_rows
from harness.data.recorded import RecordedModel, read_responses
from harness.data.redaction import redact_task
from harness.data.thoughts import UNFINISHED_THOUGHTS, measured_response
from harness.models.cost import Meter
from harness.models.endpoint import Ask, BudgetSpentError, Endpoint, EndpointRefusedError, Reply
from harness.models.likelihood import LIKELIHOOD_VERSION, score_options
from harness.models.local import LocalModel, drops_system, has_thinking_switch, make_prompt
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
from harness.models.session import BatchEndpoint, EndpointSession, open_endpoint
from harness.models.weights import load_tokenizer
from harness.models.write_buffer import WriteBuffer
from harness.types import Caveat, Exchange, Response, Sample, Task
from harness.types.judgements import describe_reasons
from harness.types.samples import RECORDED_FAILURE, Responses

GENERATOR_VERSION = 1  # raise it when the same request would be answered differently
BATCH_SIZE = 32
EMPTY = "empty"  # how the reason of an answer without text begins


class CheckpointModel:
    """A local model, loaded when the first response is missing."""

    def __init__(
        self,
        name: str,
        source: str | Path,
        fingerprint: str,
        revision: str | None = None,
        seed: int | None = None,
    ):
        self.name = name
        self.fingerprint = fingerprint
        self.seed = seed
        self._source = source
        self._revision = revision

    @cached_property
    def local(self) -> LocalModel:
        """Load the weights at the first access.

        Raises:
            HarnessError: as `LocalModel.load`, or the files changed since the run began.
        """
        model = LocalModel.load(self._source, revision=self._revision, chats=False)
        if model.fingerprint != self.fingerprint:
            raise HarnessError(
                f"{self._source}: changed since this run began, so its answers would not be those of "
                f"'{self.name}'. Run it again."
            )
        return model

    def switches_thinking(self) -> bool:
        """Return whether the model's chat template can switch thinking; True if it cannot be read."""
        try:
            return has_thinking_switch(load_tokenizer(self._source, revision=self._revision))
        except (HarnessError, OSError, ValueError):
            return True

    def release(self) -> None:
        """Let the weights go; another access loads them again."""
        self.__dict__.pop("local", None)

    def drops(self, system: str) -> bool:
        """Return whether the model's chat template leaves a system prompt unwritten.

        Only the tokenizer is loaded; one that cannot be, or that refuses the prompt, drops nothing.
        """
        try:
            tokenizer = load_tokenizer(self._source, revision=self._revision)
            return drops_system(tokenizer, make_prompt(system, "Is it bad?"))
        except (HarnessError, OSError, ValueError):
            return False


class EndpointModel(NamedTuple):
    """A model behind an endpoint, asked in a session."""

    name: str
    spec: EndpointSpec
    session: EndpointSession
    seed: int | None = None

    def switches_thinking(self) -> bool:
        """Return whether the endpoint is told to switch thinking: OpenAI's own takes no such field."""
        return self.spec.base_url is not None


Model = RecordedModel | CheckpointModel | EndpointModel


class StopSignal(Protocol):
    """A signal to generate no more, such as a closed response stream."""

    @property
    def closed(self) -> bool:
        """Return whether to generate no more."""


def generate_responses(
    task: Task, model: Model, store: Store, progress: Progress, stop: StopSignal | None = None
) -> Iterator[Response]:
    """Yield the model's response to every sample as it comes; generate only those not in the store.

    The thoughts of a reasoning model are left out or kept as the task states; the store has them all.
    A model with a seed of its own is decoded with that seed instead of the suite's. White space
    alone is no answer: its text is None, with the reason.
    When `stop` closes, requests in flight are still answered and stored, and the iterator ends.

    Raises:
        HarnessError: recorded answers do not cover the items.
    """
    for response in _responses(task, model, store, progress, stop):
        yield as_measured(response, task)


def _responses(
    task: Task, model: Model, store: Store, progress: Progress, stop: StopSignal | None
) -> Iterator[Response]:
    """Yield the model's responses with their thoughts, as the store keeps them."""
    match model:
        case RecordedModel():
            yield from read_responses(task, model).values()
        case CheckpointModel():
            yield from _generate_locally(_with_seed(task, model.seed), model, store, progress, stop)
        case EndpointModel():
            yield from _generate_by_endpoint(
                _with_seed(task, model.seed), model, store, progress, stop
            )


def as_measured(response: Response, task: Task) -> Response:
    """Return a stored response as it is measured: without thoughts, and None where nothing is left.

    A judge need not be asked about an answer without text. Recorded ones keep their empty text, on
    which there may be a recorded verdict.
    """
    response = measured_response(response, task.generation.thoughts)
    if response.text is None or response.text.strip() or response.finish == "recorded":
        return response
    reason = response.reason
    if reason != UNFINISHED_THOUGHTS:
        cut_off = response.finish == "length"
        reason = "cut off before any text" if cut_off else reason or "the model gave no text"
        reason = f"{EMPTY}: {reason}"
    return response.model_copy(update={"text": None, "reason": reason})


def _with_seed(task: Task, seed: int | None) -> Task:
    if seed is None:
        return task
    generation = task.generation.model_copy(update={"seed": seed})
    return task.model_copy(update={"generation": generation})


def stored_responses(
    task: Task, model: CheckpointModel | EndpointModel, workspace: Path
) -> dict[str, Response]:
    """Return the stored responses by sample id, without the workspace's lock; nothing is asked."""
    task = _with_seed(task, model.seed)
    if isinstance(model, EndpointModel):
        task = redact_task(task) if model.spec.redact else task
        spec = _with_generation(model.spec, task.generation)
        fingerprint = open_endpoint(spec, model.session).fingerprint
    else:
        fingerprint = model.fingerprint
    keys = [_response_key(sample, task, fingerprint) for sample in task.samples]
    stored = read_rows(workspace, "response", keys, Response)
    return {
        sample.id: as_measured(_with_run_names(stored[key], sample, model), task)
        for sample, key in zip(task.samples, keys, strict=True)
        if key in stored
    }


def check_recorded_answers(tasks: Iterable[Task], models: Iterable[Model]) -> None:
    """Read all recorded answers, so that a missing one is found before anything is paid for.

    Raises:
        HarnessError: as `generate_responses`.
    """
    recorded = [model for model in models if isinstance(model, RecordedModel)]
    for task in tasks:
        for model in recorded:
            read_responses(task, model)


def require_answers(task: Task, model: str, responses: Responses, most_failed: float) -> None:
    """Refuse to judge a model that too many requests did not reach: that would measure the server.

    Args:
        task: The items.
        model: The model's name in the run.
        responses: Its responses to the items.
        most_failed: The largest share of failed requests with which the run may go on, rounded up.

    Raises:
        InfrastructureError: all requests failed, or a larger share; with the server's own words.
    """
    failed = [response for response in responses.values() if response.request_failed]
    n = len(responses)
    if failed and (len(failed) == n or len(failed) > most_unscored(most_failed, n)):
        shown = f"'{model}': {len(failed)} of {n}"
        if is_recorded_failure(failed[0]):
            raise InfrastructureError(
                f"{shown} recorded answers do not count ({count_failures(task, failed)}). Record them "
                "again, leave the items out, or allow a larger share with `max_unscored`."
            )
        raise InfrastructureError(
            f"{shown} requests failed ({count_failures(task, failed)}). Answers so far are kept; run "
            "again to ask for the others."
        )


def is_recorded_failure(response: Response) -> bool:
    """Return whether a file of recorded answers says that this one does not count."""
    return (response.reason or "").startswith(RECORDED_FAILURE)


def count_failures(task: Task, failed: Iterable[Response]) -> str:
    """Count failed requests by their reason, the commonest three first."""
    reasons = ((response.reason or "").removeprefix(f"{RECORDED_FAILURE}: ") for response in failed)
    return describe_reasons(reasons, protected=task.phi)


def answer_numbers(task: Task, model: Model, store: Store) -> list[int]:
    """Return the places of a model's stored answers in the order in which the workspace grew."""
    if isinstance(model, CheckpointModel):
        fingerprint = model.fingerprint
    elif isinstance(model, EndpointModel):
        task = redact_task(task) if model.spec.redact else task
        spec = _with_generation(model.spec, task.generation)
        fingerprint = open_endpoint(spec, model.session).fingerprint
    else:
        return []  # recorded answers were there before anything was stated
    keys = {_response_key(sample, task, fingerprint) for sample in task.samples}
    return store.numbers("response", keys)


# --- local models ----------------------------------------------------------------------------


def _generate_locally(
    task: Task, model: CheckpointModel, store: Store, progress: Progress, stop: StopSignal | None
) -> Iterator[Response]:
    # 1. Yield the stored responses.
    keys = [_response_key(sample, task, model.fingerprint) for sample in task.samples]
    stored = store.get("response", keys, Response)
    for sample, key in zip(task.samples, keys, strict=True):
        if key in stored:
            yield _with_run_names(stored[key], sample, model)
    # 2. Generate the missing ones, batch by batch, and store each batch.
    n_keys = len(set(keys))
    if len(stored) == n_keys:
        return
    for batch in _fixed_batches(task, model):
        if stop is not None and stop.closed:
            return
        missing = [i for i in batch if keys[i] not in stored]
        if missing:
            responses = _generate_batch([task.samples[i] for i in missing], task, model)
            answered = {keys[i]: response for i, response in zip(missing, responses, strict=True)}
            # What failed for want of memory is tried again by the next run.
            store.put("response", {k: r for k, r in answered.items() if not r.request_failed})
            stored.update(answered)
            yield from (_with_run_names(stored[keys[i]], task.samples[i], model) for i in missing)
        progress.advance(f"{model.name} answers {task.name}", len(stored), n_keys)


def _with_run_names(response: Response, sample: Sample, model: Model) -> Response:
    """Return a stored response under this run's names; its key covers the content alone."""
    return response.model_copy(update={"sample_id": sample.id, "model": model.name})


def _fixed_batches(task: Task, model: CheckpointModel) -> Iterator[list[int]]:
    """Yield batches of samples of similar length.

    They are cut from all samples, stored or not: a resumed run then computes the same batches
    as an uninterrupted one, and so the same floating-point numbers.
    """
    if task.scored_options is not None:
        lengths = [len(sample.input) for sample in task.samples]
    else:
        prompts = [sample.chat(task.system) for sample in task.samples]
        lengths = model.local.prompt_lengths(prompts, task.generation)
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    for start in range(0, len(order), BATCH_SIZE):
        yield order[start : start + BATCH_SIZE]


def _generate_batch(
    samples: Sequence[Sample], task: Task, model: CheckpointModel
) -> list[Response]:
    if task.scored_options is not None:
        answers = score_options(model.local, samples, task.scored_options)
    else:
        answers = model.local.answer(
            [sample.chat(task.system) for sample in samples],
            task.generation,
            seeds=[_item_seed(task.generation, sample) for sample in samples],
        )
    return [
        Response(
            sample_id=sample.id,
            model=model.name,
            text=answer.whole_text,
            finish=answer.finish,
            n_tokens=answer.n_tokens,
            reason=answer.reason,
        )
        for sample, answer in zip(samples, answers, strict=True)
    ]


def _item_seed(generation: Generation, sample: Sample) -> int:
    return int(content_hash(generation.seed, sample.id)[:12], 16)


def _response_key(sample: Sample, task: Task, fingerprint: str) -> str:
    if task.scored_options is not None:
        texts = task.scored_options.continuations(sample.choices)
        return content_hash("likelihood", LIKELIHOOD_VERSION, fingerprint, sample.input, texts)
    decoding = task.generation.model_dump(exclude={"system", "seed", "thoughts"})
    greedy = task.generation.temperature == 0
    seed = None if greedy else _item_seed(task.generation, sample)
    asked = [sample.chat(task.system)] if sample.history else [task.system, sample.input]
    return content_hash(GENERATOR_VERSION, fingerprint, *asked, decoding, seed)


# --- endpoints -------------------------------------------------------------------------------


def _generate_by_endpoint(
    task: Task, model: EndpointModel, store: Store, progress: Progress, stop: StopSignal | None
) -> Iterator[Response]:
    """Yield responses as they come; a failed one is not stored, so that the next run asks again."""
    # 1. Yield the stored responses.
    task = redact_task(task) if model.spec.redact else task
    endpoint = open_endpoint(_with_generation(model.spec, task.generation), model.session)
    keys = [_response_key(sample, task, endpoint.fingerprint) for sample in task.samples]
    stored = store.get("response", keys, Response)
    renewed = [key for key, response in stored.items() if _is_asked_again(key, response, model)]
    for key in renewed:
        del stored[key]
    if stored:
        kept = [(i, stored[key]) for i, key in enumerate(keys) if key in stored]
        check_server(task, model, endpoint, store, kept, progress, n_missing=len(keys) - len(kept))
        _log_stored(task, model, store, keys, stored, progress)
    missing = [i for i, key in enumerate(keys) if key not in stored]
    for sample, key in zip(task.samples, keys, strict=True):
        if key in stored:
            yield _with_run_names(stored[key], sample, model)
    # 2. Request the missing ones and store each as it comes.
    done, buffer = len(stored), WriteBuffer(store, "response")
    meter = Meter(model.spec.price_per_million)
    to_ask = takewhile(lambda _: stop is None or not stop.closed, missing)
    asks = (_make_ask(task.samples[i], task) for i in to_ask)
    if missing and not stored:
        remember_server(model, endpoint, store, answered=False)  # the run may be stopped
    for number, reply in endpoint.ask_all(asks) if missing else ():
        i = missing[number]
        response = _endpoint_response(reply, task.samples[i], model)
        if response.text is not None:
            if renewed:  # once the server answers: old and new answers must not be mixed
                store.remove("response", renewed)
                model.session.renewed.update(renewed)
                if model.session.again.what == "answers":
                    _count_renewal(model, store)
                renewed = []
            buffer.add(keys[i], response)
        done += 1
        meter.add(response.exchange)
        progress.advance(f"{model.name} answers {task.name}", done, len(keys), str(meter))
        yield response
    if done > len(stored):
        remember_server(model, endpoint, store, answered=True)


def _count_renewal(model: EndpointModel, store: Store) -> None:
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


def _is_asked_again(key: str, response: Response, model: EndpointModel) -> bool:
    again = model.session.again
    if not again.concerns(model.name) or key in model.session.renewed:
        return False
    empty = not (measured_response(response, "drop").text or "").strip()
    return again.what == "answers" or (again.what == "failed" and empty)


# --- servers behind stored answers -----------------------------------------------------------


def check_server(
    task: Task,
    model: EndpointModel,
    endpoint: Endpoint | BatchEndpoint,
    store: Store,
    kept: Sequence[tuple[int, Response]],
    progress: Progress,
    *,
    n_missing: int,
) -> None:
    """Check once a run that the server still holds the model whose answers are stored.

    A stated revision vouches for answers that are all there. Nothing is asked where replies come
    by batch.

    Raises:
        HarnessError: another model answers under the name now; tells what to do.
    """
    key = _served_key(model)
    vouched = model.spec.revision is not None and not n_missing
    if key in model.session.served or model.session.by_batch or vouched:
        return
    before = store.get("server", [key], ServedModel).get(key)
    known = before.fields if before else None
    now = describe_served(endpoint.list_models(), model.spec.model)
    if vouches(known, now):
        check = ServedCheck(True, "the server lists the same model as then")
    else:
        check = _probe(task, model, endpoint, kept, name_change(known, now))
    model.session.served[key] = check
    if check.ok and now:
        store.put("server", {key: ServedModel(fields=now)})
    if not check.ok:
        dates = describe_dates(store.dates("response", _stored_keys(task, endpoint, kept)))
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
    kept: Sequence[tuple[int, Response]],
    change: str,
) -> ServedCheck:
    """Ask for a few stored greedy answers once more, and compare."""
    unchecked = f"whether {endpoint.host} still serves that model was not checked"
    if task.generation.temperature != 0 or model.spec.temperature is None:
        if change:
            return ServedCheck(False, f"the server says that {change}")
        return ServedCheck(True, "", f"{unchecked}: its answers are sampled")
    answered = [(i, r.text or "") for i, r in kept if (r.text or "").strip()]
    chosen = [answered[n] for n in choose_probes([text for _, text in answered])]
    asks = [_make_ask(task.samples[i], task) for i, _ in chosen]
    try:
        replies = dict(endpoint.ask_all(asks))
    except (EndpointRefusedError, BudgetSpentError) as error:
        return ServedCheck(True, "", f"{unchecked}: {printable_line(str(error), limit=160)}")
    again = {n: _endpoint_response(reply, task.samples[chosen[n][0]], model)
             for n, reply in replies.items()}  # fmt: skip
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


def _log_stored(
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


def _stored_keys(
    task: Task, endpoint: Endpoint | BatchEndpoint, kept: Sequence[tuple[int, Response]]
) -> list[str]:
    return [_response_key(task.samples[i], task, endpoint.fingerprint) for i, _ in kept]


def _make_ask(sample: Sample, task: Task) -> Ask:
    """Build the request; a repeated sample needs another seed, or it may get the same answer."""
    seed = task.generation.seed + sample.draw if sample.draw else None
    return Ask(sample.chat(task.system), seed=seed)


def _with_generation(spec: EndpointSpec, generation: Generation) -> EndpointSpec:
    """Return the endpoint with the suite's decoding; OpenAI is not sent top_k and template variables."""
    decoding = {
        "temperature": None if spec.temperature is None else generation.temperature,
        "top_p": generation.top_p,
        "top_k": generation.top_k if spec.base_url else None,
        "seed": generation.seed,
        "max_tokens": generation.max_tokens,
        "structured": "text",
        "extra_body": _with_template_options(spec, generation),
    }
    return spec.model_copy(update=decoding)


def _with_template_options(spec: EndpointSpec, generation: Generation) -> dict[str, JsonValue]:
    """Return the further fields of a request's body, with the switch of thinking as vLLM takes it."""
    options = generation.template_options
    if not options or spec.base_url is None:
        return spec.extra_body
    return spec.extra_body | {"chat_template_kwargs": spec.template_options | options}


def _endpoint_response(reply: Reply, sample: Sample, model: EndpointModel) -> Response:
    """Convert a reply; a refusal counts as an answer, and so does one without text, which says why."""
    text = reply.refusal if reply.problem == "refusal" else reply.text
    answered = reply.problem in {None, "refusal", "length", "empty"}
    return Response(
        sample_id=sample.id,
        model=model.name,
        text=(text or "") if answered else None,
        finish=("length" if reply.problem == "length" else "stop") if answered else "failed",
        n_tokens=reply.output_tokens,
        reason=_why_empty(reply) if answered else f"{reply.problem}: {reply.detail or ''}",
        thoughts=reply.thoughts,
        exchange=Exchange(
            replies=(text or "",),
            input_tokens=reply.input_tokens or 0,
            output_tokens=reply.output_tokens or 0,
            seconds=reply.seconds,
            model="" if reply.model in (None, model.spec.model) else reply.model or "",
        ),
    )


def _why_empty(reply: Reply) -> str | None:
    """Return what the model did instead of giving a text; None where it gave one."""
    if reply.problem == "empty" and reply.finish in ("tool_calls", "function_call"):
        return "the model called a tool instead of answering"
    return None
