"""What SFT learns from: a chat up to the assistant's turn, and the answer.

Example(id="asthma-01", prompt=(system, user), completion="That sounds worrying ...")
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.config import Source
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.data.conversions import resolve_conversion
from harness.data.samples import make_samples, read_prompt
from harness.data.tables import load_rows, text_of
from harness.models.local import make_prompt
from harness.types import Message, Record, Sample
from harness.types.training import Example
from trainers.recipe import TrainingSource

CHAT_FIELDS = ("system", "history")


def load_examples(sources: Sequence[TrainingSource], root: Path) -> list[Example]:
    """The sources' rows as examples, in their order.

    Raises:
        HarnessError: missing data or columns, or a row without an answer.
    """
    return [
        example for source in sources for example in _source_examples(source, root) * source.repeat
    ]


def load_samples(source: Source, root: Path) -> tuple[Sample, ...]:
    """The rows of one source; a conversion that it names is made first."""
    return make_samples(load_rows(resolve_conversion(source, root), root), source.fields, None)


def data_hash(rows: Sequence[Record]) -> str:
    """One hash over everything that is learned from, system prompts included."""
    return content_hash(*rows)


def _source_examples(source: TrainingSource, root: Path) -> list[Example]:
    file_system = read_prompt(source.system, root)
    table = load_rows(resolve_conversion(source, root), root)
    fields = {f: column for f, column in source.fields.items() if f not in CHAT_FIELDS}
    of_chat = {f: column for f, column in source.fields.items() if f in CHAT_FIELDS}
    for field, column in of_chat.items():
        table.column(column, f"field '{field}'")
    examples = []
    for sample in make_samples(table, fields, None):
        cells = {field: table.rows[sample.row].get(column) for field, column in of_chat.items()}
        system = text_of(cells.get("system")).strip() or file_system
        place = f"{table.origin}:{table.lines[sample.row]}"
        examples.append(_example(sample, system, _history(cells.get("history"), place)))
    return examples


def _history(cell: object, place: str) -> tuple[Message, ...]:
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
    *before, asked = make_prompt(system, sample.input)
    return Example(id=sample.id, prompt=(*before, *history, asked), completion=sample.reference)


_TURNS = TypeAdapter(tuple[Message, ...])
