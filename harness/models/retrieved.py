"""The questions of a model that retrieves: with passages in the prompt, found once and kept in the store."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.core.hashing import content_hash
from harness.core.progress import Progress
from harness.core.store import Store
from harness.retrieval.dense import Embedder
from harness.retrieval.prompt import with_passages
from harness.retrieval.rerank import Reranker
from harness.retrieval.retriever import Retriever, require_same_model, try_each
from harness.retrieval.server import PROBED, SearchError
from harness.types import FoundPassages, GivenPassage, PairScore, Sample, ServerProbe, Task

STORED_EVERY = 256  # questions; what was found is kept when a later search fails

Report = Callable[[str, int, int], None]  # told of work, how much is done, and of how much


class AskedTask(NamedTuple):
    """A task as a model that retrieves is asked it.

    `task` has the samples whose passages are known, with the passages in their input, and `plain` the
    same samples as they are. `passages` are those given, by sample id, and `failed` has the reason for
    each sample for which the search itself failed.
    """

    task: Task
    plain: Task
    passages: Mapping[str, tuple[GivenPassage, ...]]
    failed: Mapping[str, str]


def with_retrieval(fingerprint: str, retriever: Retriever | None) -> str:
    """Return a model's fingerprint that also covers how its passages are found."""
    if retriever is None:
        return fingerprint
    return content_hash(fingerprint, "retrieval", retriever.card.fingerprint)


def question_of(sample: Sample) -> str:
    """Return what is searched for: the last turn, without the options of a choice."""
    return sample.question or sample.input


def find_passages(
    task: Task, retriever: Retriever, store: Store, progress: Progress, name: str
) -> AskedTask:
    """Return the task as the model `name` is asked it; only what the store lacks is searched for.

    Raises:
        HarnessError: a server holds another model than for earlier runs.
    """
    for server in retriever.servers:
        _check_server(server, store, progress, name)
    keys = {sample.id: retriever.key(question_of(sample)) for sample in task.samples}
    questions = {keys[sample.id]: question_of(sample) for sample in task.samples}

    def report(work: str, done: int, n: int) -> None:
        progress.advance(f"{name} {work} passages for {task.name}", done, n)

    found, failed = _find(questions, retriever, store, report)
    return _ask(task, retriever, keys, found, failed)


def _find(
    questions: Mapping[str, str], retriever: Retriever, store: Store, report: Report
) -> tuple[dict[str, FoundPassages], dict[str, str]]:
    """Return what is found for the questions, and why some failed, by their keys."""
    found = store.get("passages", questions, FoundPassages)
    missing = {key: question for key, question in questions.items() if key not in found}
    new, failed = dict[str, FoundPassages](), dict[str, str]()
    if retriever.reranker is None:
        work, results = "finds", retriever.find([*missing.values()])
    else:
        work, results = "reranks", _rerank([*missing.values()], retriever, store, report)
    for done, (key, result) in enumerate(zip(missing, results, strict=True), start=1):
        if isinstance(result, str):
            failed[key] = result
        else:
            found[key] = new[key] = result
        if new and (len(new) == STORED_EVERY or done == len(missing)):
            store.put("passages", new)
            new = {}
        report(work, done, len(missing))
    return found, failed


def _rerank(
    questions: Sequence[str], retriever: Retriever, store: Store, report: Report
) -> Iterator[FoundPassages | str]:
    """Yield the best passages for each question by the reranker's scores; a text says why that failed."""
    first = retriever.candidates
    found, failed = _find({first.key(q): q for q in questions}, first, store, report)

    def choose(question: str) -> FoundPassages:
        candidates = found[first.key(question)].passages
        scores = _scores(question, [p.text for p in candidates], retriever, store)
        order = sorted(range(len(candidates)), key=lambda i: -scores[candidates[i].text])
        chosen = (candidates[i] for i in order[: retriever.card.k])
        return FoundPassages(
            passages=tuple(
                p.model_copy(update={"rank": rank, "score": scores[p.text], "found_rank": p.rank})
                for rank, p in enumerate(chosen, start=1)
            )
        )

    ranked = try_each((q for q in questions if first.key(q) not in failed), choose)
    for question in questions:
        yield failed.get(first.key(question)) or next(ranked)


def _scores(
    question: str, texts: Sequence[str], retriever: Retriever, store: Store
) -> dict[str, float]:
    """Return the reranker's score of each text; what it says is stored at once."""
    reranker = retriever.reranker
    assert reranker is not None
    keys = {reranker.key(question, text): text for text in texts}
    stored = store.get("rerank", keys, PairScore)
    missing = [key for key in keys if key not in stored]
    if missing:
        scores = reranker.score(question, [keys[key] for key in missing])
        new = {k: PairScore(score=score) for k, score in zip(missing, scores, strict=True)}
        store.put("rerank", new)
        stored |= new
    return {text: stored[key].score for key, text in keys.items()}


def _check_server(server: Embedder | Reranker, store: Store, progress: Progress, name: str) -> None:
    """Check that a server still says of fixed texts what it said for earlier runs; keep what it says first.

    Raises:
        HarnessError: it says something else.
    """
    key = f"{PROBED}{server.identity}"
    try:
        now = server.probe()
    except SearchError as error:
        progress.log(f"{name}: whether the same model is served was not checked: {error}")
        return
    before = store.get("server", [key], ServerProbe).get(key)
    if before is None:
        store.put("server", {key: ServerProbe(values=now)})
    else:
        require_same_model(server.identity, before.values, now)


def stored_passages(
    task: Task,
    retriever: Retriever,
    read: Callable[[Iterable[str]], Mapping[str, FoundPassages]],
) -> AskedTask:
    """Return the task with the samples whose passages are in the store; nothing is searched for."""
    keys = {sample.id: retriever.key(question_of(sample)) for sample in task.samples}
    return _ask(task, retriever, keys, read(keys.values()), {})


def _ask(
    task: Task,
    retriever: Retriever,
    keys: Mapping[str, str],
    found: Mapping[str, FoundPassages],
    failed: Mapping[str, str],
) -> AskedTask:
    passages = {i: found[key].passages for i, key in keys.items() if key in found}
    plain = _limit_to(task, passages)
    template = retriever.card.prompt
    samples = tuple(with_passages(s, passages[s.id], template) for s in plain.samples)
    reasons = {i: failed[key] for i, key in keys.items() if key in failed}
    return AskedTask(plain.model_copy(update={"samples": samples}), plain, passages, reasons)


def _limit_to(task: Task, ids: Collection[str]) -> Task:
    samples = tuple(sample for sample in task.samples if sample.id in ids)
    return task.model_copy(update={"samples": samples, "n_items": len(samples)})
