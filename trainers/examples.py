"""What SFT learns from: a chat up to the assistant's turn, and the answer.

Example(id="asthma-01", prompt=(system, user), completion="That sounds worrying ...")
"""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.models import make_prompt
from harness.provenance import content_hash
from harness.samples import load_rows, make_samples, read_prompt
from harness.suite import Source
from harness.types import Message, Record, Sample
from trainers.recipe import TrainingSource


class Example(Record):
    """One chat to learn the last turn of."""

    id: str
    prompt: tuple[Message, ...]
    completion: str


def load_examples(sources: Sequence[TrainingSource], root: Path) -> list[Example]:
    """The sources' rows as examples, in their order.

    Raises:
        HarnessError: missing data or columns, or a row without an answer.
    """
    return [
        _example(sample, read_prompt(source.system, root))
        for source in sources
        for sample in load_samples(source, root) * source.repeat
    ]


def load_samples(source: Source, root: Path) -> tuple[Sample, ...]:
    """The rows of one source."""
    return make_samples(load_rows(source, root), source.fields, None)


def data_hash(rows: Sequence[Record]) -> str:
    """One hash over everything that is learned from, system prompts included."""
    return content_hash(*rows)


def _example(sample: Sample, system: str | None) -> Example:
    if not sample.reference or not sample.reference.strip():
        raise HarnessError(
            f"Row '{sample.id}' has no answer to learn. 'fields' must map 'reference' to its column, "
            "and no row may be empty there."
        )
    return Example(
        id=sample.id, prompt=make_prompt(system, sample.input), completion=sample.reference
    )
