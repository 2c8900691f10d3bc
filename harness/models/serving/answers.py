"""What a server is asked about a sample of a checkpoint that it holds, and its reply as a response."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from harness.config import Generation, ServeSpec
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.progress import Progress
from harness.core.store import Store
from harness.data.thoughts import opening_mark
from harness.models.endpoint import Ask, Endpoint, EndpointRefusedError, Reply
from harness.models.endpoint_answers import read_reply, with_generation
from harness.models.local import N_MARK_TOKENS, Answer, Prompt, too_long
from harness.models.model_kinds import EndpointModel, ServedCheckpoint
from harness.models.serving.by_batch import endpoint_by_batch
from harness.models.serving.chat_format import read_chat_format
from harness.models.serving.check import prompt_problem
from harness.models.serving.servers import Server
from harness.models.session import BatchEndpoint, EndpointSession
from harness.types import Response, Sample, Task


class _Question(NamedTuple):
    """A sample, the key of its response, and its prompt with the tokens that this process writes it in."""

    key: str
    sample: Sample
    prompt: Prompt
    ids: list[int]


def answer_by_server(
    task: Task,
    keyed: Iterable[tuple[str, Sample]],
    model: ServedCheckpoint,
    item_seed: Callable[[Generation, Sample], int],
    stopped: Callable[[], bool],
) -> Iterator[tuple[str, Response]]:
    """Yield the server's response to each sample with its key, as they come.

    Prompts that do not fit the context are not asked, and no answer is asked to be longer than it allows,
    as in this process. Every reply must count as many tokens in its prompt as this process does.

    Raises:
        HarnessError: the server writes a prompt otherwise.
        InfrastructureError: its engine ended; with its last words.
    """
    server, generation = _open(model), task.generation
    context = min(server.format.context, model.serve.max_context or server.format.context)
    questions = [_write(key, sample, task, server) for key, sample in keyed]
    fitting = [question for question in questions if len(question.ids) < context]
    for question in questions:
        if len(question.ids) >= context:
            yield question.key, _too_long(question, context, model.name)

    def asks() -> Iterator[Ask]:
        for question in fitting:
            if stopped() or not server.alive:
                return
            limit = min(generation.max_tokens, context - len(question.ids))
            seed = item_seed(generation, question.sample) if generation.temperature else None
            yield Ask(question.prompt, max_tokens=limit, seed=seed)

    at = EndpointModel(model.name, with_generation(server.endpoint, generation), model.session)
    try:
        for number, reply in _endpoint(server, at).ask_all(asks()):
            question = fitting[number]
            _require_same_prompt(reply, question, model)
            yield question.key, _read(reply, question, at, server)
    except EndpointRefusedError:
        server.require_alive()
        raise
    server.require_alive()


def require_same_server(
    model: ServedCheckpoint, store: Store, given: Sequence[str], progress: Progress
) -> None:
    """Check a server of others again behind its answers: it may have been started on another model meanwhile.

    Where it was, those `given` by it, named by their keys, are removed from the store.

    Raises:
        HarnessError: it holds other weights or another chat template by now.
    """
    if model.serve.is_started or not given:
        return
    try:
        model.session.servers.check_again(model.checkpoint.weights, model.serve)
    except InfrastructureError as error:
        progress.log(
            f"{model.name}: its server could not be checked again behind its answers: {error}"
        )
    except HarnessError as error:
        store.remove("response", given)
        raise HarnessError(
            f"{error} It held {model.name} before, so the {len(given):,} answers that it gave since are not kept."
        ) from None


def _open(model: ServedCheckpoint) -> Server:
    """Return what answers: a checked server or, by batch files, an engine elsewhere."""
    if not _by_batch(model.serve, model.session):
        return model.open()
    weights = model.checkpoint.weights
    return Server(
        endpoint_by_batch(weights, model.serve, model.fingerprint),
        model.serve,
        read_chat_format(weights),
    )


def _by_batch(serve: ServeSpec, session: EndpointSession) -> bool:
    """Return whether questions are written into files: an engine without a stated version is one here."""
    return session.by_batch and serve.version is not None


def _endpoint(server: Server, at: EndpointModel) -> Endpoint | BatchEndpoint:
    if not _by_batch(server.serve, at.session):
        return server.open(at.spec)
    return BatchEndpoint(server.with_engine_fields(at.spec), at.session)


def _write(key: str, sample: Sample, task: Task, server: Server) -> _Question:
    prompt = sample.chat(task.system)
    ids = server.format.encode(prompt, task.generation.template_options)
    return _Question(key, sample, prompt, ids)


def _require_same_prompt(reply: Reply, question: _Question, model: ServedCheckpoint) -> None:
    """Raise if a reply is to a prompt that this process writes with another number of tokens."""
    if reply.problem in (None, "length", "empty", "refusal"):
        problem = prompt_problem(reply.input_tokens, len(question.ids))
        if problem:
            raise HarnessError(f"{model.served_by}, item '{question.sample.id}': {problem}.")


def _read(reply: Reply, question: _Question, at: EndpointModel, server: Server) -> Response:
    """Convert a reply as if this process had answered: by its text with its thoughts, at no cost."""
    response = read_reply(reply, question.sample, at)
    if response.text is None or response.finish not in ("stop", "length"):
        return response.model_copy(update={"exchange": None})
    tokens = response.n_tokens
    if tokens is not None and response.finish == "stop":
        tokens = max(0, tokens - 1)  # servers count the stop token
    opening = opening_mark(server.format.tokenizer.decode(question.ids[-N_MARK_TOKENS:]))
    answer = Answer(response.text, response.finish, tokens, opening=opening)
    return response.model_copy(
        update={"text": answer.whole_text, "n_tokens": tokens, "exchange": None}
    )


def _too_long(question: _Question, context: int, model: str) -> Response:
    answer = too_long(len(question.ids), context)
    return Response(
        sample_id=question.sample.id,
        model=model,
        text=None,
        finish=answer.finish,
        reason=answer.reason,
    )
