"""Responses of a model: from a local checkpoint, from an endpoint, or from a recorded file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from harness.config import Generation, most_unscored
from harness.core.errors import InfrastructureError
from harness.core.hashing import content_hash
from harness.core.progress import Progress
from harness.core.store import Store, read_rows
from harness.data.recorded import RecordedModel, read_responses
from harness.data.redaction import redact_task
from harness.data.thoughts import UNFINISHED_THOUGHTS, measured_response
from harness.models.cost import Meter
from harness.models.endpoint_answers import make_ask, read_reply, with_generation
from harness.models.likelihood import LIKELIHOOD_VERSION, score_options
from harness.models.model_kinds import CheckpointModel, EndpointModel, Model, ServedCheckpoint
from harness.models.retrieved import find_passages, stored_passages, with_retrieval
from harness.models.serving.answers import answer_by_server, require_same_server
from harness.models.serving.servers import describe_serving
from harness.models.session import open_endpoint
from harness.models.stored_answers import check_server, count_renewal, log_stored, remember_server
from harness.models.write_buffer import WriteBuffer
from harness.types import FoundPassages, GivenPassage, Response, Sample, Task
from harness.types.judgements import describe_reasons
from harness.types.samples import RECORDED_FAILURE, Responses

GENERATOR_VERSION = 1  # raise it when the same request would be answered differently
BATCH_SIZE = 64
EMPTY = "empty"  # how the reason of an answer without text begins


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
    alone is no answer: its text is None, with the reason. A model that retrieves is asked with passages, and
    never without them: where the search failed, so has the request.
    When `stop` closes, requests in flight are still answered and stored, and the iterator ends.

    Raises:
        HarnessError: recorded answers do not cover the items.
    """
    if isinstance(model, RecordedModel) or model.retriever is None:
        for response in _responses(task, task, model, store, progress, stop):
            yield as_measured(response, task)
        return
    asked = find_passages(task, model.retriever, store, progress, model.name)
    for sample_id, reason in asked.failed.items():
        yield Response(
            sample_id=sample_id, model=model.name, text=None, finish="failed", reason=reason
        )
    for response in _responses(asked.task, asked.plain, model, store, progress, stop):
        given = asked.passages[response.sample_id]
        yield as_measured(response, task).model_copy(update={"passages": given})


def _responses(
    task: Task,
    plain: Task,
    model: Model,
    store: Store,
    progress: Progress,
    stop: StopSignal | None,
) -> Iterator[Response]:
    """Yield the model's responses with their thoughts, as the store keeps them.

    `plain` is the task without passages, by which batches are cut.
    """
    if isinstance(model, RecordedModel):
        yield from read_responses(task, model).values()
        return
    task = _with_seed(task, model.seed)
    match model:
        case CheckpointModel():
            batches = fixed_batches(plain)
            yield from _generate_locally(task, batches, model, store, progress, stop)
        case ServedCheckpoint() if task.scored_options is not None:
            # Log-probabilities of stated texts are computed in this process.
            batches = fixed_batches(plain)
            yield from _generate_locally(task, batches, model.checkpoint, store, progress, stop)
        case ServedCheckpoint():
            yield from _generate_served(task, model, store, progress, stop)
        case EndpointModel():
            yield from _generate_by_endpoint(task, model, store, progress, stop)


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
    task: Task, model: CheckpointModel | ServedCheckpoint | EndpointModel, workspace: Path
) -> dict[str, Response]:
    """Return the stored responses by sample id, without the workspace's lock; nothing is asked."""
    passages: Mapping[str, tuple[GivenPassage, ...]] = {}
    if model.retriever is not None:
        asked = stored_passages(
            task,
            model.retriever,
            lambda keys: read_rows(workspace, "passages", keys, FoundPassages),
        )
        task, passages = asked.task, asked.passages
    task = _with_seed(task, model.seed)
    keys = _response_keys(task, model)
    stored = read_rows(workspace, "response", keys, Response)
    return {
        sample.id: as_measured(_with_run_names(stored[key], sample, model), task).model_copy(
            update={"passages": passages.get(sample.id)}
        )
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
    if isinstance(model, RecordedModel):
        return []  # recorded answers were there before anything was stated
    if model.retriever is not None:
        task = stored_passages(
            task, model.retriever, lambda keys: store.get("passages", keys, FoundPassages)
        ).task
    return store.numbers("response", set(_response_keys(task, model)))


def question_keys(task: Task) -> list[str]:
    """Return for each sample what any model's answer to it is keyed by, apart from the model."""
    return [_response_key(sample, task, "") for sample in task.samples]


def _response_keys(
    task: Task, model: CheckpointModel | ServedCheckpoint | EndpointModel
) -> list[str]:
    """Return the keys under which the model's responses to the samples are stored, in their order."""
    if isinstance(model, ServedCheckpoint) and task.scored_options is not None:
        model = model.checkpoint
    if not isinstance(model, EndpointModel):
        fingerprint = with_retrieval(model.fingerprint, model.retriever)
        return [_response_key(sample, task, fingerprint) for sample in task.samples]
    task = redact_task(task) if model.spec.redact else task
    endpoint = open_endpoint(with_generation(model.spec, task.generation), model.session)
    fingerprint = with_retrieval(endpoint.fingerprint, model.retriever)
    return [_response_key(sample, task, fingerprint) for sample in task.samples]


# --- local models ----------------------------------------------------------------------------


def _generate_locally(
    task: Task,
    batches: Iterable[list[int]],
    model: CheckpointModel,
    store: Store,
    progress: Progress,
    stop: StopSignal | None,
) -> Iterator[Response]:
    # 1. Yield the stored responses.
    keys = _response_keys(task, model)
    of_key: dict[str, list[Sample]] = {}  # equal questions are answered once
    for sample, key in zip(task.samples, keys, strict=True):
        of_key.setdefault(key, []).append(sample)
    stored = store.get("response", keys, Response)
    for sample, key in zip(task.samples, keys, strict=True):
        if key in stored:
            yield _with_run_names(stored[key], sample, model)
    # 2. Generate the missing ones, batch by batch, and store each batch.
    if len(stored) == len(of_key):
        return
    for batch in batches:
        if stop is not None and stop.closed:
            return
        missing = {keys[i]: task.samples[i] for i in batch if keys[i] not in stored}
        if missing:
            responses = _generate_batch([*missing.values()], task, model)
            answered = dict(zip(missing, responses, strict=True))
            # What failed for want of memory is tried again by the next run.
            store.put("response", {k: r for k, r in answered.items() if not r.request_failed})
            stored.update(answered)
            for key, response in answered.items():
                yield from (_with_run_names(response, sample, model) for sample in of_key[key])
        progress.advance(f"{model.name} answers {task.name}", len(stored), len(of_key))


def _with_run_names(response: Response, sample: Sample, model: Model) -> Response:
    """Return a stored response under this run's names; its key covers the content alone."""
    return response.model_copy(update={"sample_id": sample.id, "model": model.name})


def fixed_batches(task: Task) -> Iterator[list[int]]:
    """Yield batches of samples with texts of similar length, equal questions once, by their indices.

    They are cut from all samples, stored or not, and are those of any model: a resumed run then
    computes the same batches as an uninterrupted one, and so the same floating-point numbers, and
    so do several machines together that take whole batches each.
    """
    first = {key: i for i, key in reversed([*enumerate(question_keys(task))])}
    lengths = {i: len(task.samples[i].transcript) for i in first.values()}
    order = sorted(lengths, key=lambda i: (lengths[i], i))
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


# --- checkpoints at a server -----------------------------------------------------------------


def _generate_served(
    task: Task, model: ServedCheckpoint, store: Store, progress: Progress, stop: StopSignal | None
) -> Iterator[Response]:
    """Yield responses as they come, and store each."""
    # 1. Yield the stored responses.
    keys = _response_keys(task, model)
    stored = store.get("response", keys, Response)
    for sample, key in zip(task.samples, keys, strict=True):
        if key in stored:
            yield _with_run_names(stored[key], sample, model)
    # 2. Ask for the missing ones, equal questions once, and store each as it comes.
    of_key: dict[str, list[Sample]] = {}
    for sample, key in zip(task.samples, keys, strict=True):
        of_key.setdefault(key, []).append(sample)
    missing = [(key, samples[0]) for key, samples in of_key.items() if key not in stored]
    done = len(stored)
    if missing and model.session.by_batch and model.serve.version is None:
        progress.log(
            f"{model.name}: {describe_serving(model.serve)} answers here, and --batch writes none of its questions: "
            "for an engine elsewhere state its 'version' beside 'engine'."
        )
    answers = (
        answer_by_server(task, missing, model, _item_seed, lambda: stop is not None and stop.closed)
        if missing
        else ()
    )
    kept = []
    for key, response in answers:
        if not response.request_failed:
            store.put("response", {key: response})
            kept.append(key)
        done += 1
        progress.advance(f"{model.name} answers {task.name}", done, len(of_key))
        yield from (_with_run_names(response, sample, model) for sample in of_key[key])
    require_same_server(model, store, kept, progress)


# --- endpoints -------------------------------------------------------------------------------


def _generate_by_endpoint(
    task: Task, model: EndpointModel, store: Store, progress: Progress, stop: StopSignal | None
) -> Iterator[Response]:
    """Yield responses as they come; a failed one is not stored, so that the next run asks again."""
    # 1. Yield the stored responses.
    task = redact_task(task) if model.spec.redact else task
    endpoint = open_endpoint(with_generation(model.spec, task.generation), model.session)
    fingerprint = with_retrieval(endpoint.fingerprint, model.retriever)
    keys = [_response_key(sample, task, fingerprint) for sample in task.samples]
    stored = store.get("response", keys, Response)
    renewed = [key for key, response in stored.items() if _is_asked_again(key, response, model)]
    for key in renewed:
        del stored[key]
    if stored:
        check_server(task, model, endpoint, store, keys, stored, progress)
        log_stored(task, model, store, keys, stored, progress)
    missing = [i for i, key in enumerate(keys) if key not in stored]
    for sample, key in zip(task.samples, keys, strict=True):
        if key in stored:
            yield _with_run_names(stored[key], sample, model)
    # 2. Request the missing ones and store each as it comes.
    done, buffer = len(stored), WriteBuffer(store, "response")
    meter = Meter(model.spec.price_per_million)
    to_ask = takewhile(lambda _: stop is None or not stop.closed, missing)
    asks = (make_ask(task.samples[i], task) for i in to_ask)
    if missing and not stored:
        remember_server(model, endpoint, store, answered=False)  # the run may be stopped
    for number, reply in endpoint.ask_all(asks) if missing else ():
        i = missing[number]
        sent = make_ask(task.samples[i], task).messages
        response = read_reply(reply, task.samples[i], model, sent)
        if response.text is not None:
            if renewed:  # once the server answers: old and new answers must not be mixed
                store.remove("response", renewed)
                model.session.renewed.update(renewed)
                if model.session.again.what == "answers":
                    count_renewal(model, store)
                renewed = []
            buffer.add(keys[i], response)
        done += 1
        meter.add(response.exchange)
        progress.advance(f"{model.name} answers {task.name}", done, len(keys), str(meter))
        yield response
    if slow := meter.describe_slow():
        progress.log(f"{model.name}: {slow}")
    if done > len(stored):
        remember_server(model, endpoint, store, answered=True)


def _is_asked_again(key: str, response: Response, model: EndpointModel) -> bool:
    again = model.session.again
    if not again.concerns(model.name) or key in model.session.renewed:
        return False
    empty = not (measured_response(response, "drop").text or "").strip()
    return again.what == "answers" or (again.what == "failed" and empty)
