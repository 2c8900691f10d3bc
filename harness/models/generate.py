"""Answers: from a local checkpoint, in batches that never change, or from a recorded file."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, Protocol

from harness.config import EndpointSpec, Generation
from harness.core.hashing import content_hash
from harness.core.progress import Progress
from harness.core.store import Store
from harness.data.recorded import RecordedModel, read_responses
from harness.data.redaction import redact_task
from harness.models.cost import Meter
from harness.models.endpoint import Ask, Reply
from harness.models.local import LocalModel, Prompt, make_prompt
from harness.models.session import EndpointSession, open_endpoint
from harness.models.write_buffer import WriteBuffer
from harness.types import Exchange, Response, Sample, Task

GENERATOR_VERSION = 1  # raise it when the same request would be answered differently
BATCH_SIZE = 32


class CheckpointModel:
    """A model on this machine, loaded when the first answer is missing."""

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
        """The loaded weights."""
        return LocalModel.load(self._source, revision=self._revision)


class EndpointModel(NamedTuple):
    """A model behind an endpoint, asked in a session."""

    name: str
    spec: EndpointSpec
    session: EndpointSession
    seed: int | None = None


Model = RecordedModel | CheckpointModel | EndpointModel


class Stop(Protocol):
    """Something that says whether to ask on; a closed board is one."""

    @property
    def closed(self) -> bool:
        """Whether nothing more should be asked."""


class _NoStop:
    """Asks to the end."""

    closed = False


_NO_STOP = _NoStop()


def generate_responses(
    task: Task, model: Model, store: Store, progress: Progress, stop: Stop = _NO_STOP
) -> Iterator[Response]:
    """The model's response to every sample, as it comes; asked only where the store has none.

    A model with a seed of its own is decoded with that, whatever the suite says.
    When `stop` closes, what was asked is still answered and kept, and the iterator ends early.

    Raises:
        HarnessError: recorded answers do not cover the items.
    """
    match model:
        case RecordedModel():
            yield from read_responses(task, model).values()
        case CheckpointModel():
            yield from _ask_model(_seeded(task, model.seed), model, store, progress, stop)
        case EndpointModel():
            yield from _ask_endpoint(_seeded(task, model.seed), model, store, progress, stop)


def _seeded(task: Task, seed: int | None) -> Task:
    if seed is None:
        return task
    generation = task.generation.model_copy(update={"seed": seed})
    return task.model_copy(update={"generation": generation})


def check_recorded_answers(tasks: Iterable[Task], models: Iterable[Model]) -> None:
    """Read all recorded answers, so that a missing one is found before others are paid for.

    Raises:
        HarnessError: as `generate_responses`.
    """
    recorded = [model for model in models if isinstance(model, RecordedModel)]
    for task in tasks:
        for model in recorded:
            read_responses(task, model)


# --- asking ----------------------------------------------------------------------------------


def _ask_model(
    task: Task, model: CheckpointModel, store: Store, progress: Progress, stop: Stop
) -> Iterator[Response]:
    keys = [_response_key(sample, task, model.fingerprint) for sample in task.samples]
    found = store.get("response", keys, Response)
    for sample, key in zip(task.samples, keys, strict=True):
        if key in found:
            yield _named(found[key], sample, model)
    if len(found) == len(set(keys)):
        return
    for batch in _fixed_batches(task, model):
        if stop.closed:
            return
        missing = [i for i in batch if keys[i] not in found]
        if missing:
            fresh = _ask_batch([task.samples[i] for i in missing], task, model)
            answered = {keys[i]: response for i, response in zip(missing, fresh, strict=True)}
            store.put("response", answered)
            found.update(answered)
            yield from (_named(found[keys[i]], task.samples[i], model) for i in missing)
        progress.advance(f"{model.name} answers {task.name}", len(found), len(set(keys)))


def _named(response: Response, sample: Sample, model: Model) -> Response:
    """The stored response under the names of this run; content alone is its key."""
    return response.model_copy(update={"sample_id": sample.id, "model": model.name})


def _fixed_batches(task: Task, model: CheckpointModel) -> Iterator[list[int]]:
    """Batches of samples of like length.

    They are cut from all samples, stored or not: a resumed run then computes the same batches
    as an undisturbed one, and so the same floating-point numbers.
    """
    lengths = model.local.prompt_lengths([_prompt(sample, task) for sample in task.samples])
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    for start in range(0, len(order), BATCH_SIZE):
        yield order[start : start + BATCH_SIZE]


def _ask_batch(samples: Sequence[Sample], task: Task, model: CheckpointModel) -> list[Response]:
    answers = model.local.answer(
        [_prompt(sample, task) for sample in samples],
        task.generation,
        seeds=[_item_seed(task.generation, sample) for sample in samples],
    )
    return [
        Response(
            sample_id=sample.id,
            model=model.name,
            text=answer.text,
            finish=answer.finish,
            n_tokens=answer.n_tokens,
            reason=answer.reason,
        )
        for sample, answer in zip(samples, answers, strict=True)
    ]


def _prompt(sample: Sample, task: Task) -> Prompt:
    return make_prompt(task.system, sample.input)


def _item_seed(generation: Generation, sample: Sample) -> int:
    return int(content_hash(generation.seed, sample.id)[:12], 16)


def _response_key(sample: Sample, task: Task, fingerprint: str) -> str:
    decoding = task.generation.model_dump(exclude={"system", "seed"})
    greedy = task.generation.temperature == 0
    seed = None if greedy else _item_seed(task.generation, sample)
    return content_hash(GENERATOR_VERSION, fingerprint, task.system, sample.input, decoding, seed)


# --- asking over the network -----------------------------------------------------------------


def _ask_endpoint(
    task: Task, model: EndpointModel, store: Store, progress: Progress, stop: Stop
) -> Iterator[Response]:
    """Answers as they come; one that failed is not stored, so that the next run asks again."""
    task = redact_task(task) if model.spec.redact else task
    endpoint = open_endpoint(_with_decoding(model.spec, task.generation), model.session)
    keys = [_response_key(sample, task, endpoint.fingerprint) for sample in task.samples]
    found = store.get("response", keys, Response)
    missing = [i for i, key in enumerate(keys) if key not in found]
    for sample, key in zip(task.samples, keys, strict=True):
        if key in found:
            yield _named(found[key], sample, model)
    done, fresh = len(found), WriteBuffer(store, "response")
    meter = Meter(model.spec.price_per_million)
    wanted = takewhile(lambda _: not stop.closed, missing)
    asks = (_ask(task.samples[i], task) for i in wanted)
    for number, reply in endpoint.ask_all(asks) if missing else ():
        i = missing[number]
        response = _endpoint_response(reply, task.samples[i], model)
        if response.text is not None:
            fresh.add(keys[i], response)
        done += 1
        meter.add(response.exchange)
        progress.advance(f"{model.name} answers {task.name}", done, len(keys), str(meter))
        yield response


def _ask(sample: Sample, task: Task) -> Ask:
    """The same question again needs another seed, or it may bring the same answer."""
    seed = task.generation.seed + sample.draw if sample.draw else None
    return Ask(_prompt(sample, task), seed=seed)


def _with_decoding(spec: EndpointSpec, generation: Generation) -> EndpointSpec:
    """The endpoint as this suite asks it; top_k is unknown to OpenAI's own and not sent there."""
    decoding = {
        "temperature": None if spec.temperature is None else generation.temperature,
        "top_p": generation.top_p,
        "top_k": generation.top_k if spec.base_url else None,
        "seed": generation.seed,
        "max_tokens": generation.max_new_tokens,
        "structured": "text",
    }
    return spec.model_copy(update=decoding)


def _endpoint_response(reply: Reply, sample: Sample, model: EndpointModel) -> Response:
    """A refusal is an answer too; what brought no text is a failure with its reason."""
    text = reply.refusal if reply.problem == "refusal" else reply.text
    answered = reply.problem in {None, "refusal", "length", "empty"}
    return Response(
        sample_id=sample.id,
        model=model.name,
        text=(text or "") if answered else None,
        finish=("length" if reply.problem == "length" else "stop") if answered else "failed",
        n_tokens=reply.output_tokens,
        reason=None if answered else f"{reply.problem}: {reply.detail or ''}",
        exchange=Exchange(
            replies=(text or "",),
            input_tokens=reply.input_tokens or 0,
            output_tokens=reply.output_tokens or 0,
            seconds=reply.seconds,
        ),
    )
