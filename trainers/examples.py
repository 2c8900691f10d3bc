"""SFT's training examples: a chat up to the assistant's turn, and the answer.

Example(id="asthma-01", prompt=(system, user), completion="That sounds worrying ...")
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.config import Source
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.core.text_files import read_prompt
from harness.data.conversions import resolve_conversion
from harness.data.samples import make_samples
from harness.data.tables import load_rows, text_of
from harness.models.local import make_prompt
from harness.types import Message, Record, Sample
from harness.types.training import Example, LabelledAnswer
from trainers.recipe import TrainingSource

CHAT_FIELDS = ("system", "history")


def load_examples(sources: Sequence[TrainingSource], root: Path) -> list[Example]:
    """Load the sources' rows as examples, in their order, each source `repeat` times.

    Raises:
        HarnessError: missing data or columns, or a row without an answer.
    """
    return [
        example for source in sources for example in _source_examples(source, root) * source.repeat
    ]


def load_samples(source: Source, root: Path) -> tuple[Sample, ...]:
    """Load the rows of one source, after the conversion that it names."""
    return make_samples(load_rows(resolve_conversion(source, root), root), source.fields, None)


def load_labelled(source: Source, root: Path) -> list[LabelledAnswer]:
    """Load the labelled answers of a source, after the conversion that it names."""
    table = load_rows(resolve_conversion(source, root), root)
    return [LabelledAnswer.model_validate(row) for row in table.rows]


def data_hash(rows: Sequence[Record]) -> str:
    """Return one hash over all rows that are trained on, including their system prompts."""
    return content_hash(*rows)


def _source_examples(source: TrainingSource, root: Path) -> list[Example]:
    default_system = read_prompt(source.system, root)
    table = load_rows(resolve_conversion(source, root), root)
    sample_fields = {f: column for f, column in source.fields.items() if f not in CHAT_FIELDS}
    chat_fields = {f: column for f, column in source.fields.items() if f in CHAT_FIELDS}
    for field, column in chat_fields.items():
        if source.convert is None:  # a conversion writes these columns only where some row has them
            table.column(column, f"field '{field}'")
    examples = []
    for sample in make_samples(table, sample_fields, None):
        cells = {field: table.rows[sample.row].get(column) for field, column in chat_fields.items()}
        system = text_of(cells.get("system")).strip() or default_system
        place = f"{table.origin}:{table.lines[sample.row]}"
        turns = _history(cells.get("history"), place)
        example = _example(
            sample, system, tuple(Message(role=t.role, content=t.content) for t in turns)
        )
        unlearnt = sum(turn.role == "assistant" and turn.weight == 0 for turn in turns)
        examples.append(
            example.model_copy(update={"unlearnt_turns": unlearnt}) if unlearnt else example
        )
    return examples


class _Turn(Message):
    """A turn of a history, with its weight where the data have some."""

    weight: float | None = None


def _history(cell: object, place: str) -> tuple[_Turn, ...]:
    try:
        return _TURNS.validate_python(cell or ())
    except ValidationError:
        raise HarnessError(
            f"{place}: 'history' must be a list of turns, each with its role and content."
        ) from None


def _example(sample: Sample, system: str | None, history: tuple[Message, ...]) -> Example:
    if not sample.reference or not sample.reference.strip():
        raise HarnessError(
            f"Row '{sample.id}' has no answer to learn. 'fields' must map 'reference' to its column, "
            "and no row may be empty there."
        )
    if sample.references:
        raise HarnessError(
            f"Row '{sample.id}' has {len(sample.references)} references, and an answer to learn is "
            "one text. Name a column with one answer, or make a row of each."
        )
    *system_turns, question = make_prompt(system, sample.input)
    prompt = (*system_turns, *history, question)
    return Example(id=sample.id, prompt=prompt, completion=sample.reference)


_TURNS = TypeAdapter(tuple[_Turn, ...])
