"""answers.parquet: every answer of a run with its question, for people to read and compare.

    task            sample_id   model  input            reference  text        reason
    medical_rubric  asthma-02   sft    Can I run with…  Yes, …     You may …
    medical_rubric  asthma-02   dpo    Can I run with…  Yes, …                 failed: timeout

A model that gave no answer has null as its text, and a reason. Where an item has several acceptable
answers, `references` is a JSON list of them. `row` is the item's row in its source, from 0, and
`thoughts` are those that were left out of the text. Where items are conversations, `history` is a JSON list of the turns
before the input. Where items have checklists, `criteria` is a JSON object of
their criteria by column, beside an item's first answer. Where an endpoint answered, `prompt` is the `hash_prompt` of what it was sent. `flags` is a JSON list of the answer's hygiene flags. Where some model retrieves, `passages` is a
JSON list of those that stood in its prompt, each with id, document, rank, score and text. The columns of the data that
the suite slices by or keeps follow, each as `item.NAME`.
"""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from harness.artifacts.parquet import iter_rows, read_parquet, string_array, write_parquet
from harness.core.errors import HarnessError
from harness.scoring.task_scores import Flags
from harness.types import GivenPassage, ItemCriterion, Message, Response, Sample, Task
from harness.types.samples import Responses, write_transcript

if TYPE_CHECKING:
    import pyarrow as pa

ANSWERS_FILE = "answers.parquet"
_KEYS = ("task", "sample_id", "model", "input", "reference", "text", "reason")
_LATER_KEYS = ("references", "row", "thoughts")  # which files of older versions lack
_FLAGS = "flags"  # likewise
_CRITERIA = "criteria"  # only where items have checklists; null but beside an item's first answer
_PROMPT = "prompt"  # only where some endpoint was asked; null of other models
_HISTORY = "history"  # only where some item is a conversation
_PASSAGES = "passages"  # only where some model retrieves; null of a model that does not
ITEM = "item."  # before the name of a column of the data


class AnsweredItem(NamedTuple):
    """One item with the answer of each model, None where there is none, and the thoughts before it.

    `reasons` say why there is none. `history` are the turns before the `input` of a conversation. `flags` are the
    hygiene flags by model, None where the table does not hold them. `values` are those of the columns that
    the suite slices by or keeps, empty where the item has none. `passages` are those that each model that
    retrieves was given, and `prompts` the hashes of what endpoints were sent.
    `criteria` are those of each checklist, by its column.
    """

    sample_id: str
    input: str
    reference: str | None
    answers: dict[str, str | None]
    thoughts: dict[str, str]
    reasons: dict[str, str]
    references: tuple[str, ...] = ()
    history: tuple[Message, ...] = ()
    flags: dict[str, tuple[str, ...]] | None = None
    values: Mapping[str, str] = MappingProxyType({})
    passages: dict[str, tuple[GivenPassage, ...]] = {}  # noqa: RUF012 - a field, filled by the reader
    prompts: dict[str, str] = {}  # noqa: RUF012 - likewise
    criteria: dict[str, tuple[ItemCriterion, ...]] = {}  # noqa: RUF012 - likewise

    @property
    def transcript(self) -> str:
        """Return all turns as one text: the input alone, unless the item is a conversation."""
        return write_transcript(self.history, self.input)


AnsweredItems = dict[str, AnsweredItem]  # by sample id, in the task's order


def write_answers(
    answered_tasks: Iterable[tuple[Task, Mapping[str, Responses]]],
    folder: Path,
    flags: Mapping[str, Flags] | None = None,
) -> Path:
    """Write the file, whole or not at all, readable by its owner alone; `flags` are by task.

    Raises:
        InfrastructureError: it cannot be written.
    """
    return write_parquet(_answers_table(answered_tasks, flags), folder / ANSWERS_FILE)


def read_answers(folder: Path, task: str, *, shown: Container[str] | None = None) -> AnsweredItems:
    """Read the items of a task with their answers, in the task's order; with `shown`, only these.

    Raises:
        HarnessError: there is no such file, or it is damaged.
    """
    items: AnsweredItems = {}
    table = _read_table(folder)
    own = [name for name in table.column_names if name.startswith(ITEM)]
    for row in iter_rows(table, shown):
        if row["task"] == task:
            references = tuple(json.loads(row.get("references") or "[]"))
            turns = tuple(map(Message.model_validate, json.loads(row.get(_HISTORY) or "[]")))
            unanswered = AnsweredItem(
                row["sample_id"], row["input"], row["reference"], {}, {}, {}, references, turns,
                {} if _FLAGS in row else None,
                {name.removeprefix(ITEM): row[name] or "" for name in own},
                {},
                {},
                {},
            )  # fmt: skip
            item = items.setdefault(row["sample_id"], unanswered)
            item.answers[row["model"]] = row["text"]
            if row["reason"]:
                item.reasons[row["model"]] = row["reason"]
            if row.get(_CRITERIA):
                item.criteria.update(_read_criteria(row[_CRITERIA]))
            if row.get(_PROMPT):
                item.prompts[row["model"]] = row[_PROMPT]
            if row.get("thoughts"):
                item.thoughts[row["model"]] = row["thoughts"]
            if item.flags is not None and row[_FLAGS]:
                item.flags[row["model"]] = tuple(json.loads(row[_FLAGS]))
            if row.get(_PASSAGES):
                given = map(GivenPassage.model_validate, json.loads(row[_PASSAGES]))
                item.passages[row["model"]] = tuple(given)
    return items


def read_answered_ids(folder: Path) -> list[tuple[str, str]]:
    """Read the task and id of every item of a run, in order.

    Raises:
        HarnessError: as `read_answers`.
    """
    table = _read_table(folder)
    keys = zip(table["task"].to_pylist(), table["sample_id"].to_pylist(), strict=True)
    return list(dict.fromkeys(keys))


def read_item_rows(folder: Path) -> list[tuple[int, str]]:
    """Read the row and id of every item of a run; of an item asked repeatedly that of its first time.

    Raises:
        HarnessError: as `read_answers`, or the run is of a version that did not keep them.
    """
    table = _read_table(folder)
    if "row" not in table.column_names:
        raise HarnessError(
            f"{folder / ANSWERS_FILE}: does not say in which row each item stands. Join by item, or run "
            "the suite again; what is stored is not asked again."
        )
    keys = zip(*(table[name].to_pylist() for name in ("task", "row", "sample_id")), strict=True)
    first: dict[tuple[str, str], str] = {}
    for task, row, sample_id in keys:
        first.setdefault((task, row), sample_id)
    return [(int(row), sample_id) for (_, row), sample_id in first.items()]


def _read_table(folder: Path) -> "pa.Table":
    path = folder / ANSWERS_FILE
    table = read_parquet(path)
    if not set(_KEYS) <= set(table.column_names):
        raise HarnessError(f"{path}: not the answers of a run.")
    return table


def _answers_table(
    answered_tasks: Iterable[tuple[Task, Mapping[str, Responses]]],
    flags: Mapping[str, Flags] | None,
) -> "pa.Table":
    import pyarrow as pa

    answered_tasks = list(answered_tasks)
    samples = [sample for task, _ in answered_tasks for sample in task.samples]
    own = list(dict.fromkeys(name for s in samples for name in (*s.slices, *s.kept)))
    talks = (_HISTORY,) if any(sample.history for sample in samples) else ()
    flagged = () if flags is None else (_FLAGS,)
    given = (_PASSAGES,) if any(map(_has_passages, answered_tasks)) else ()
    lists = (_CRITERIA,) if any(sample.criteria for sample in samples) else ()
    sent = (_PROMPT,) if any(map(_has_prompts, answered_tasks)) else ()
    rows = [
        (
            task.name,
            sample.id,
            model,
            sample.input,
            sample.reference,
            answer.text,
            answer.reason,
            json.dumps(sample.references, ensure_ascii=False) if sample.references else None,
            str(sample.row),
            answer.thoughts,
            *(_as_json(sample.history) for _ in talks),
            *(_flags_as_json(flags, task.name, model, sample.id) for _ in flagged),
            *(_passages_json(answer) for _ in given),
            *(_criteria_json(sample) if n == 0 else None for _ in lists),
            *((answer.exchange and answer.exchange.prompt) or None for _ in sent),
            *(sample.slices.get(name, sample.kept.get(name)) for name in own),
        )
        for task, responses in answered_tasks
        for sample in task.samples
        for n, (model, answers) in enumerate(responses.items())
        for answer in [answers[sample.id]]
    ]
    names = [
        *(*_KEYS, *_LATER_KEYS, *talks, *flagged, *given, *lists, *sent),
        *(f"{ITEM}{name}" for name in own),
    ]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.table([string_array(column) for column in columns], names=names)


def _has_passages(answered: tuple[Task, Mapping[str, Responses]]) -> bool:
    return any(r.passages is not None for answers in answered[1].values() for r in answers.values())


def _criteria_json(sample: Sample) -> str | None:
    lists = {
        column: [criterion.model_dump() for criterion in own]
        for column, own in sample.criteria.items()
    }
    return json.dumps(lists, ensure_ascii=False) if lists else None


def _read_criteria(text: str) -> dict[str, tuple[ItemCriterion, ...]]:
    return {
        column: tuple(map(ItemCriterion.model_validate, own))
        for column, own in json.loads(text).items()
    }


def _has_prompts(answered: tuple[Task, Mapping[str, Responses]]) -> bool:
    every = (answer for answers in answered[1].values() for answer in answers.values())
    return any(answer.exchange and answer.exchange.prompt for answer in every)


def _passages_json(answer: Response) -> str | None:
    if answer.passages is None:
        return None
    return json.dumps([p.model_dump() for p in answer.passages], ensure_ascii=False)


def _as_json(history: Sequence[Message]) -> str | None:
    turns = [turn.model_dump() for turn in history]
    return json.dumps(turns, ensure_ascii=False) if turns else None


def _flags_as_json(
    flags: Mapping[str, Flags] | None, task: str, model: str, sample_id: str
) -> str | None:
    found = flags[task][model][sample_id] if flags else ()
    return json.dumps(found) if found else None
