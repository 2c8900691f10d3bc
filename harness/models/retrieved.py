"""The questions of a model that retrieves: with passages in the prompt, found once and kept in the store."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from harness.core.hashing import content_hash
from harness.core.progress import Progress
from harness.core.store import Store
from harness.retrieval.prompt import with_passages
from harness.retrieval.retriever import Retriever
from harness.types import FoundPassages, GivenPassage, Sample, Task

STORED_EVERY = 256  # questions; what was found is kept when a later search fails


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
    """Return the task as the model `name` is asked it; only what the store lacks is searched for."""
    keys = {sample.id: retriever.key(question_of(sample)) for sample in task.samples}
    found = store.get("passages", keys.values(), FoundPassages)
    missing = {
        keys[sample.id]: question_of(sample)
        for sample in task.samples
        if keys[sample.id] not in found
    }
    new, failed = dict[str, FoundPassages](), dict[str, str]()
    results = zip(missing, retriever.find([*missing.values()]), strict=True)
    for done, (key, result) in enumerate(results, start=1):
        if isinstance(result, str):
            failed[key] = result
        else:
            found[key] = new[key] = result
        if new and (len(new) == STORED_EVERY or done == len(missing)):
            store.put("passages", new)
            new = {}
        progress.advance(f"{name} finds passages for {task.name}", done, len(missing))
    return _ask(task, retriever, keys, found, failed)


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
