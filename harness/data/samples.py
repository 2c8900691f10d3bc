"""Samples made of the rows of a table, and system prompts read from files."""

import random
from collections.abc import Sequence

from harness.config import Take
from harness.core.errors import HarnessError, did_you_mean
from harness.core.sanitize import to_valid_utf8
from harness.data.choices import FIELD as CHOICES_FIELD
from harness.data.choices import is_choice_field
from harness.data.conversations import CHAT_FIELDS, read_conversation
from harness.data.tables import Row, Table, join_key, no_text_reason, text_of
from harness.types import Message, Sample
from harness.types.samples import seed_suffix

SOURCES = "sources"
SAMPLE_FIELDS = (
    *("id", "input", "reference", "cluster", "context", SOURCES),
    *CHAT_FIELDS,
    CHOICES_FIELD,
)


def make_samples(
    table: Table,
    fields: dict[str, str],
    take: Take | None,
    slices: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> tuple[Sample, ...]:
    """Make samples of all rows, or of the seeded subset `take`, in file order.

    `fields` maps id, input, reference, cluster and context to columns. Without `id` the row
    number is the id. A `context` (such as a PubMedQA abstract) is put before the question. Options
    (`choices`) are put into prompts only where a metric asks for a choice (`harness.data.choices`).
    The turns of a conversation are in the column of `messages`, in place of `input`.
    `sources` are the ids of the documents that hold the answer: one text, or a list of them.
    `slices` and `keep` are columns whose values are kept unchanged.

    Raises:
        HarnessError: a column is missing, an input is empty or no conversation to answer, an id occurs
            twice, or there are fewer rows than `take.n`.
    """
    _check_fields(table, fields)
    for column in slices:
        table.column(column, "slices")
    for column in keep:
        table.column(column, "columns to keep")
    samples = [_sample(row, i, table, fields, slices, keep) for i, row in enumerate(table.rows)]
    _require_unique_ids(samples, table)
    if take is None:
        return tuple(samples)
    if take.n > len(samples):
        raise HarnessError(
            f"{table.origin}: has {len(samples)} items, fewer than the {take.n} to take."
        )
    taken = set(random.Random(take.seed).sample(range(len(samples)), take.n))
    return tuple(sample for i, sample in enumerate(samples) if i in taken)


def repeat_samples(samples: Sequence[Sample], answers: int) -> tuple[Sample, ...]:
    """Repeat each sample `answers` times, as one cluster unless all samples have clusters already.

    Tests flip, and standard errors sum, whole clusters, which amounts to averaging an item's
    answers before any test. The copies are named `q1#2`, `q1#3`.

    Raises:
        HarnessError: a sample has the name of another sample's copy.
    """
    if answers == 1:
        return tuple(samples)
    ids = {sample.id for sample in samples}
    copies = []
    for sample, cluster in zip(samples, _clusters_of(samples), strict=True):
        for draw in range(answers):
            name = f"{sample.id}#{draw + 1}" if draw else sample.id
            if draw and name in ids:
                raise HarnessError(
                    f"the items have ids '{sample.id}' and '{name}', and with 'answers: {answers}' "
                    "the second would be another answer to the first. Rename one."
                )
            update = {"id": name, "cluster": cluster, "draw": draw}
            copies.append(sample.model_copy(update=update))
    return tuple(copies)


def repeat_by_seed(samples: Sequence[Sample], seeds: Sequence[int]) -> tuple[Sample, ...]:
    """Repeat each sample for every training seed, in clusters as `repeat_samples` makes them.

    The copies are named `q1@seed1`, `q1@seed2`. Without seeds the samples stay as they are.
    """
    if not seeds:
        return tuple(samples)
    return tuple(
        sample.model_copy(
            update={"id": sample.id + seed_suffix(seed), "cluster": cluster, "seed": seed}
        )
        for sample, cluster in zip(samples, _clusters_of(samples), strict=True)
        for seed in seeds
    )


def _clusters_of(samples: Sequence[Sample]) -> list[str | None]:
    """Return each sample's cluster: the stated one where all have one, else the sample itself."""
    stated = [sample.cluster for sample in samples]
    return [sample.id for sample in samples] if None in stated else stated


def _check_fields(table: Table, fields: dict[str, str]) -> None:
    for name, column in fields.items():
        if name not in SAMPLE_FIELDS and not is_choice_field(name):
            raise HarnessError(
                f"{table.origin}: field '{name}' is unknown. {did_you_mean(name, SAMPLE_FIELDS)}"
            )
        table.column(column, f"field '{name}'")
    if ("input" in fields) == ("messages" in fields):
        raise HarnessError(
            f"{table.origin}: 'fields' must name the column of the 'input', or of the 'messages' of "
            "conversations, and not both."
        )
    if "messages" in fields and "history" in fields:
        raise HarnessError(
            f"{table.origin}: 'messages' are whole conversations. Leave 'history' out, or name the "
            "last question as 'input'."
        )


def _sample(
    row: Row,
    number: int,
    table: Table,
    fields: dict[str, str],
    slices: Sequence[str],
    keep: Sequence[str],
) -> Sample:
    # Empty cells of these columns are mistakes in the data.
    place = f"{table.origin}:{table.lines[number]}"
    cells = {field: _cell(row, field, fields[field], place) for field in _TEXTS if field in fields}
    for field in ("input", "id"):
        if not cells.get(field, "filled").strip():
            raise HarnessError(f"{place}: '{fields[field]}' is empty.")
    if not cells.get("cluster", "filled").strip():
        raise HarnessError(
            f"{place}: '{fields['cluster']}' is empty, and all items "
            "without one would be one cluster. Give a single item a cluster of its own."
        )

    # The question with the turns before it, and the reference.
    reference, references = _references(row, cells.get("reference"), fields.get("reference"))
    question, history = cells.get("input", ""), tuple[Message, ...]()
    if not fields.keys().isdisjoint(CHAT_FIELDS):
        history, question, answer = read_conversation(row, fields, question, place)
        if answer is not None and "reference" in fields:
            raise HarnessError(
                f"{place}: '{fields['messages']}' ends with the assistant, and 'reference' names "
                f"'{fields['reference']}'. Take that turn out, or leave 'reference' out: the turn is then "
                "the reference."
            )
        reference = reference if answer is None else answer
    context = cells.get("context")
    return Sample(
        id=cells.get("id", f"row-{number + 1:05d}"),
        input=f"{context}\n\n{question}" if context else question,
        reference=reference,
        references=references,
        cluster=cells.get("cluster"),
        row=number,
        slices={column: to_valid_utf8(text_of(row.get(column))).strip() for column in slices},
        kept={column: to_valid_utf8(text_of(row.get(column))) for column in keep},
        history=history,
        sources=_sources(row, fields, place),
    )


_TEXTS = ("input", "context", "id", "cluster", "reference")  # fields whose cells are texts


def _cell(row: Row, field: str, column: str, place: str) -> str:
    if column not in row:
        raise HarnessError(f"{place}: has no '{column}'.")
    value = row[column]
    problem = no_text_reason(value)
    if problem:
        turns = " Turns of a conversation are read as 'messages'." if field == "input" else ""
        raise HarnessError(
            f"{place}: '{column}' {problem}. Name the column that holds the text.{turns}"
        )
    return join_key(value)


def _sources(row: Row, fields: dict[str, str], place: str) -> tuple[str, ...]:
    """Return the ids of the documents that hold an item's answer; an item must have one if any has."""
    if SOURCES not in fields:
        return ()
    cell = row.get(fields[SOURCES])
    ids = dict.fromkeys(
        join_key(part).strip() for part in (cell if isinstance(cell, list) else [cell])
    )
    found = tuple(filter(None, ids))
    if not found:
        raise HarnessError(f"{place}: '{fields[SOURCES]}' names no document that holds the answer.")
    return found


def _references(
    row: Row, text: str | None, column: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """Return an item's reference as one text and, where a list holds several, each of them."""
    value = row[column] if column is not None else None
    if not isinstance(value, list):
        return text, ()
    parts = dict.fromkeys(part for cell in value if (part := join_key(cell)).strip())
    return list_references(tuple(parts)) or "", tuple(parts) if len(parts) > 1 else ()


def list_references(references: Sequence[str]) -> str | None:
    """Write references as one text: several are numbered, any of which an answer may match."""
    if len(references) < 2:
        return next(iter(references), None)
    lines = (f"{number}. {text}" for number, text in enumerate(references, start=1))
    return "\n".join(["Any one of these:", *lines])


def _require_unique_ids(samples: list[Sample], table: Table) -> None:
    first_rows: dict[str, int] = {}
    for i, sample in enumerate(samples):
        if sample.id in first_rows:
            raise HarnessError(
                f"{table.origin}:{table.lines[i]}: the id '{sample.id}' occurs twice "
                f"(first on line {table.lines[first_rows[sample.id]]})."
            )
        first_rows[sample.id] = i
