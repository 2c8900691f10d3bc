"""SFT's training examples: a chat up to the assistant's turn, and the answer.

Example(id="asthma-01", prompt=(system, user), completion="That sounds worrying ...")
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from harness.config import Metric, Source
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.core.text_files import read_prompt
from harness.data.conversions import resolve_conversion
from harness.data.criteria import put_criteria
from harness.data.samples import make_samples
from harness.data.tables import load_rows
from harness.types import Record, Sample
from harness.types.training import Example, LabelledAnswer
from trainers.recipe import AdapterRecipe, SftRecipe, TrainingSource

T = TypeVar("T")


def load_examples(sources: Sequence[TrainingSource], root: Path) -> list[Example]:
    """Load the sources' rows as examples, in their order, each source `repeat` times.

    Raises:
        HarnessError: missing data or columns, or a row without an answer.
    """
    return [
        example for source in sources for example in _source_examples(source, root) * source.repeat
    ]


def rows_to_learn(recipe: AdapterRecipe, examples: Sequence[T]) -> list[T]:
    """Return the examples that a recipe learns from: all, or as many as its `rows` says.

    They are drawn at random, in the order in which they stand; fewer are a part of more.

    Raises:
        HarnessError: there are fewer than that.
    """
    if recipe.rows is None:
        return list(examples)
    if recipe.rows > len(examples):
        raise HarnessError(
            f"{recipe.recipe}: 'rows: {recipe.rows:,}' are more than the {len(examples):,} {recipe.unit} of its data."
        )
    order = random.Random(1).sample(range(len(examples)), len(examples))
    return [examples[i] for i in sorted(order[: recipe.rows])]


def load_rows_to_learn(recipe: SftRecipe, root: Path) -> list[Example]:
    """Load the rows that a recipe learns from its `data`.

    Raises:
        HarnessError: as `load_examples` and `rows_to_learn`.
    """
    return rows_to_learn(recipe, load_examples(recipe.data, root))


def load_samples(source: Source, root: Path, graded_by: Metric | None = None) -> tuple[Sample, ...]:
    """Load the rows of one source, after the conversion that it names, with a checklist's criteria."""
    table = load_rows(resolve_conversion(source, root), root)
    samples = make_samples(table, source.fields, None)
    return samples if graded_by is None else put_criteria(samples, [graded_by], table)


def load_labelled(source: Source, root: Path) -> list[LabelledAnswer]:
    """Load the labelled answers of a source, after the conversion that it names."""
    table = load_rows(resolve_conversion(source, root), root)
    return [LabelledAnswer.model_validate(row) for row in table.rows]


def data_hash(rows: Sequence[Record]) -> str:
    """Return one hash over all rows that are trained on, including their system prompts."""
    return content_hash(*rows)


def _source_examples(source: TrainingSource, root: Path) -> list[Example]:
    default_system = read_prompt(source.system, root)
    source = resolve_conversion(source, root)
    table = load_rows(source, root)
    return [
        _example(
            sample, default_system, table.rows[sample.row].get(source.fields.get("history", ""))
        )
        for sample in make_samples(table, source.fields, None)
    ]


def _example(sample: Sample, default_system: str | None, history: object) -> Example:
    """Make an example of a sample; `history` is the cell of its earlier turns, with their weights."""
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
    weights = [turn.get("weight") for turn in history] if isinstance(history, list) else []
    earlier = zip(sample.history[-len(weights) :], weights, strict=True) if weights else ()
    return Example(
        id=sample.id,
        prompt=sample.chat(default_system),
        completion=sample.reference,
        unlearnt_turns=sum(turn.role == "assistant" and weight == 0 for turn, weight in earlier),
    )
