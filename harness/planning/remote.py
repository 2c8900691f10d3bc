"""The requests to each endpoint that a run would send: how many, how large, at what cost at most.

What the store has is not asked again. It is looked up without the workspace's lock; the verdicts on
answers that are still to come, or of a model that is trained by a recipe, count as not stored.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import EndpointSpec, ModelSpec
from harness.config.request import Request, judge_names
from harness.core.store import read_rows
from harness.data.recorded import RecordedModel, read_responses
from harness.models.endpoint.addresses import key_variable, read_address
from harness.models.endpoint.key_consent import show_variable
from harness.models.generate import as_measured, stored_responses
from harness.models.gguf import locate_model
from harness.models.local import Prompt
from harness.models.model_folder import verified_fingerprint
from harness.models.model_kinds import CheckpointModel, EndpointModel, serve_checkpoint
from harness.models.retrieved import question_of
from harness.models.seeds import asked_samples, split_by_seed
from harness.models.session import EndpointSession
from harness.retrieval.retriever import find_retriever
from harness.types import (
    FoundPassages,
    GivenPassage,
    JudgeRequest,
    Message,
    Outcome,
    Plan,
    Record,
    Response,
    RetrievalCard,
    Task,
)
from judges.backlog import outcome_key, row_key
from judges.judging import assumed_statements, make_requests, repeat_requests
from judges.panel import Panel
from judges.prompts import build_prompt
from judges.protocol import Judge
from judges.response_stream import ResponseStream
from judges.support import decided_unasked

if TYPE_CHECKING:
    from rich.table import Table

Answers = dict[str, dict[str, Response]]  # by model and sample id


class RemoteForecast(Record):
    """The data that would be sent to one endpoint, and the most that it would cost.

    `here` says that it is on this machine. `key` describes the environment variable whose content is
    sent along; None for no key. Input tokens are bytes over four, from the real prompts with answers
    of the full length; output tokens are the limit of each call. `stored` of the calls have their
    reply in the store, and `cost_left` is the most that the others cost.
    """

    who: str
    host: str
    here: bool = False
    key: str | None = None
    work: str
    calls: int
    bytes_sent: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    currency: str | None
    stored: int = 0
    cost_left: float | None = None


def remote_table(remote: Sequence[RemoteForecast], title: str) -> "Table":
    """Return a table of the requests; what is stored and left to pay only where anything is stored."""
    from rich.table import Table

    any_stored = any(line.stored for line in remote)
    more = ("stored", "left to pay") if any_stored else ()
    table = Table("asked", "for", "calls", "kB sent", "tokens", "cost", *more, title=title)
    for line in remote:
        tokens = f"{line.input_tokens:,} + {line.output_tokens:,}"
        key = f", with {line.key}" if line.key else ""
        cells = [
            f"{line.who} at {line.host}{key}",
            line.work,
            f"{line.calls:,}",
            f"{line.bytes_sent / 1000:,.0f}",
            tokens,
            _in_words(line.cost, line.currency),
        ]
        if any_stored:
            cells += [f"{line.stored:,}", _in_words(line.cost_left, line.currency)]
        table.add_row(*cells)
    return table


def describe_left(remote: Iterable[RemoteForecast]) -> Iterator[str]:
    """Yield what is still to be paid at most, in each currency, where the store has anything."""
    remote = list(remote)
    if not any(line.stored for line in remote):
        return
    left: dict[str, float] = {}
    for line in remote:
        if line.cost_left is not None and line.currency is not None:
            left[line.currency] = left.get(line.currency, 0.0) + line.cost_left
    if left:
        costs = " and ".join(f"{cost:.2f} {currency}" for currency, cost in left.items())
        yield f"Left to pay, less what the store has: at most {costs}."


def _in_words(cost: float | None, currency: str | None) -> str:
    return "no price given" if cost is None else f"{cost:.2f} {currency}"


# --- the requests of a run -------------------------------------------------------------------


def forecast_remote(
    plan: Plan, request: Request, panels: Mapping[str, Panel], session: EndpointSession
) -> Iterator[RemoteForecast]:
    """Forecast the requests to each endpoint of the run.

    Raises:
        HarnessError: recorded answers that a judge behind an endpoint is to be sent cannot be read.
    """
    models, judges = request.profile.models, request.profile.judges
    for task in plan.tasks:
        known: Answers = {}
        for name in request.models:
            spec = models[name].asked
            if spec is not None:
                known[name] = _known_answers(name, task, request, session)
                asked_for = asked_samples(task, name)
                prompts = [sample.chat(task.system) for sample in asked_for]
                missing = [
                    prompt
                    for prompt, sample in zip(prompts, asked_for, strict=True)
                    if sample.id not in known[name]
                ]
                limit = task.generation.max_tokens
                work = f"answers {task.name}"
                n_stored = len(prompts) - len(missing)
                yield forecast_requests(name, spec, work, prompts, limit, missing, n_stored)
            yield from _forecast_reranking(name, task, request, session)
        for metric in task.metrics:
            panel = panels.get(metric)
            members = () if panel is None else (*panel.judges, *filter(None, [panel.second]))
            for position, judge in enumerate(judge_names(metric, request)):
                spec = judges[judge].asked
                if spec is None:
                    continue
                for name in request.models:
                    if name not in known:
                        known[name] = _known_answers(name, task, request, session)
                stands_in = panel is not None and position >= len(panel.judges)
                work = f"judges {metric}{', where the first cannot be read' if stands_in else ''}"
                prompts = _prompts(_requests(task, metric, plan, {}))
                left, n_stored = prompts, 0
                if len(members) > position:
                    asked = members[position]
                    requests, n_stored = _unanswered(task, metric, plan, known, asked, session)
                    left = _prompts(requests)
                yield forecast_requests(judge, spec, work, prompts, spec.max_tokens, left, n_stored)


def _forecast_reranking(
    name: str, task: Task, request: Request, session: EndpointSession
) -> Iterator[RemoteForecast]:
    """Forecast the requests to a server that reranks a model's passages, one a question; they have no price."""
    model = request.profile.models[name]
    retriever = find_retriever(model, request.profile, request.profile_root)
    rerank = None if model.retrieval is None else model.retrieval.rerank
    if retriever is None or rerank is None or rerank.base_url is None or rerank.model is None:
        return
    assert session.store is not None
    spec = EndpointSpec(model=rerank.model, base_url=rerank.base_url)
    questions = {question_of(sample) for sample in asked_samples(task, name)}
    keys = {retriever.key(question): question for question in questions}
    stored = read_rows(session.store.workspace, "passages", keys, FoundPassages)
    longest = _longest_passages(retriever.card.candidates)
    texts = "".join(passage.text for passage in longest)
    prompts = {
        key: (Message(role="user", content=question + texts),) for key, question in keys.items()
    }
    missing = [prompt for key, prompt in prompts.items() if key not in stored]
    work = f"reranks {task.name}"
    yield forecast_requests(
        name, spec, work, [*prompts.values()], 0, missing, len(keys) - len(missing)
    )


def forecast_requests(
    who: str,
    spec: EndpointSpec,
    work: str,
    prompts: Sequence[Prompt],
    limit: int,
    missing: Sequence[Prompt] | None = None,
    n_stored: int = 0,
) -> RemoteForecast:
    """Forecast calls with these prompts, of which `missing` are to be paid (all, without it)."""
    missing = prompts if missing is None else missing
    sent = _bytes_of(prompts)
    tokens_in, tokens_out = sent // 4, limit * len(prompts)
    prices = spec.price_per_million
    left = prices.cost(_bytes_of(missing) // 4, limit * len(missing)) if prices else None
    return RemoteForecast(
        who=who,
        host=spec.host,
        here=not spec.elsewhere,
        key=_key_sent(spec),
        work=work,
        calls=len(prompts),
        bytes_sent=sent,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost=prices.cost(tokens_in, tokens_out) if prices else None,
        currency=prices.currency if prices else None,
        stored=n_stored,
        cost_left=left,
    )


def _bytes_of(prompts: Sequence[Prompt]) -> int:
    return sum(len(turn.content.encode()) for prompt in prompts for turn in prompt)


def _prompts(requests: Iterable[JudgeRequest]) -> list[Prompt]:
    return [build_prompt(request).messages for request in requests]


def _key_sent(spec: EndpointSpec) -> str | None:
    address = read_address(spec.base_url, allow_plain_http=spec.allow_plain_http)
    variable = key_variable(spec, address)
    return None if variable is None else show_variable(variable)


# --- what is known already -------------------------------------------------------------------


def _known_answers(
    name: str, task: Task, request: Request, session: EndpointSession
) -> dict[str, Response]:
    """Return the answers of a model that a run would not generate anew, by sample id."""
    known: dict[str, Response] = {}
    for part in split_by_seed(task, name):
        spec, seed = request.profile.models[name], part.seeds[0]
        if spec.seeds and seed is not None:
            spec = spec.of_seed(seed)
        answers = _answers_of(name, spec, part.task, request, session)
        copies = (copy for one in answers.values() for copy in part.copies_of(one, name))
        known |= {copy.sample_id: copy for copy in copies}
    return known


def _answers_of(
    name: str, spec: ModelSpec, task: Task, request: Request, session: EndpointSession
) -> dict[str, Response]:
    root = request.profile_root
    if spec.recorded is not None:
        recorded = read_responses(task, RecordedModel(name, spec.recorded, root))
        return {i: as_measured(response, task) for i, response in recorded.items()}
    assert session.store is not None
    workspace = session.store.workspace
    retriever = find_retriever(spec, request.profile, root)
    if spec.served is not None:
        return stored_responses(
            task, EndpointModel(name, spec.served, session, spec.seed, retriever), workspace
        )
    if spec.checkpoint is None:
        return {}
    directory = locate_model(spec.checkpoint, root)
    if not Path(directory).is_dir():
        return {}
    fingerprint = verified_fingerprint(directory, revision=spec.revision)
    weights = CheckpointModel(name, directory, fingerprint, spec.revision, spec.seed, retriever)
    return stored_responses(task, serve_checkpoint(weights, spec.serve, session), workspace)


def _unanswered(
    task: Task,
    metric: str,
    plan: Plan,
    known: Answers,
    judge: Judge,
    session: EndpointSession,
) -> tuple[list[JudgeRequest], int]:
    """Return the requests to a judge whose verdicts are not stored, each once, and how many are."""
    assert session.store is not None
    keyed = [
        (row_key(outcome_key(r, judge.card), judge), r)
        for r in _requests(task, metric, plan, known)
    ]
    stored = read_rows(session.store.workspace, "outcome", (key for key, _ in keyed), Outcome)
    missing = {key: asked for key, asked in keyed if key not in stored}
    return list(missing.values()), sum(key in stored for key, _ in keyed)


def _requests(task: Task, metric: str, plan: Plan, known: Answers) -> Iterator[JudgeRequest]:
    """Return the requests to a judge; answers that are not known have their full length."""
    stream = ResponseStream([model.name for model in plan.models], len(task.samples))
    by_statement = task.metrics[metric].by_criteria and task.metrics[metric].about_passages
    for number, model in enumerate(plan.models):
        answer = (
            f"{number:04d}" * task.generation.max_new_tokens
        )  # no two models' answers are equal
        if by_statement:
            answer = _longest_statements(number, task.generation.max_new_tokens)
        passages = None if model.retrieval is None else _longest_passages(model.retrieval)
        for sample in task.samples:
            longest = Response(
                sample_id=sample.id,
                model=model.name,
                text=answer,
                finish="length",
                passages=passages,
            )
            stream.put(known.get(model.name, {}).get(sample.id, longest))
    rounds = range(task.metrics[metric].repeats)
    requests = repeat_requests(make_requests(task, metric, stream), rounds)
    return (request for request in requests if decided_unasked(request) is None)


def _longest_statements(number: int, n_tokens: int) -> str:
    """Return as many statements as an answer may have, each with a citation, in texts of one length."""
    n = assumed_statements(n_tokens)
    words = "0" * (4 * n_tokens // n)
    return " ".join(f"Of {number:04d} {place:04d} {words} [1]." for place in range(n))


def _longest_passages(card: RetrievalCard) -> tuple[GivenPassage, ...]:
    """Return passages of the length that they may have, at six bytes a word."""
    return tuple(
        GivenPassage(id="", document="", rank=rank, score=0.0, text="words " * card.words)
        for rank in range(1, card.k + 1)
    )
