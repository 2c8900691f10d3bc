"""The parts that recipes are made of: sources of rows, parents, rewards, and what every recipe states."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from harness.config import ChecklistMetric, Conversion, RubricMetric, Source, Spec
from harness.models.gguf import locate_model

# Columns of chats, and the format in which `harness convert` reads each.
MESSAGE_FORMATS = {"messages": "chatml", "conversations": "sharegpt"}


class TrainingSource(Source):
    """Rows to train on: `fields` maps `input` and `reference` (and `id`, `context`) to columns.

    A row becomes a chat of the `system` prompt (a file), its input, and its reference as the answer.
    `fields` may also map `system`, a row's own system prompt, which replaces the file's, and
    `history`, the turns before its input: a list of {role, content}. Each epoch reads the rows
    `repeat` times, which upweights a small source in a mix with a large one. A file of chats is read
    with `fields: {messages: messages}` (or `conversations`) alone, as `harness convert` reads it.
    """

    system: str | None = None
    repeat: int = Field(default=1, ge=1)

    # After the fields: what a validator before them returns is no longer read as JSON, whose lists are tuples.
    @model_validator(mode="after")
    def _convert_messages(self) -> "TrainingSource":
        """Make a conversion of a source whose rows are chats, so that dropped rows are counted."""
        if "messages" not in self.fields:
            return self
        column = self.fields["messages"]
        if column not in MESSAGE_FORMATS or len(self.fields) > 1 or self.path is None:
            raise ValueError(
                "'fields: {messages: …}' stands alone, beside a 'path', and names a column called "
                f"{' or '.join(MESSAGE_FORMATS)}; `harness convert --from` reads other files"
            )
        if self.where or self.where_any or self.sha256:
            raise ValueError("'where' and 'sha256' do not go with 'fields: {messages: …}'")
        convert = Conversion(source=self.path, to="sft", source_format=MESSAGE_FORMATS[column])
        columns = ("id", "input", "reference", "system", "history")
        changes = {"path": None, "convert": convert, "fields": {name: name for name in columns}}
        return self.model_copy(update=changes)


class Parent(Spec):
    """The model that training starts from: another recipe's checkpoint, or one that exists.

    A `checkpoint` is a directory or a GGUF file, relative to the recipe's own folder, a GGUF file in a
    package (`package:NAME==VERSION/PATH.gguf`), or a hub name with its `revision`. With `unpickle` its
    weights are a pickle, from which only tensors are read.
    """

    recipe: str | None = None
    checkpoint: str | None = None
    revision: str | None = None
    unpickle: bool = False

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "Parent":
        if (self.recipe is None) == (self.checkpoint is None):
            raise ValueError("name exactly one of 'recipe' or 'checkpoint'")
        if self.unpickle and self.checkpoint is None:
            raise ValueError("'unpickle' needs a 'checkpoint'; a recipe's has no pickle")
        return self


def parent_directory(parent: Parent, root: Path) -> str:
    """Return what to load a `checkpoint` parent from, as `locate_model` does."""
    assert parent.checkpoint is not None
    return locate_model(parent.checkpoint, root)


class TextSource(Source):
    """Rows to pre-train on, and how they are read.

    chat       a chat of the input as the user's turn and the reference as the assistant's
    prose      the input alone
    sentences  the sentences of input and reference, shuffled with all others of their `cluster`
    """

    read: Literal["chat", "prose", "sentences"]


class TinyModel(Spec):
    """The shape of a small Llama that is trained from scratch."""

    vocab_size: int = Field(ge=300)
    hidden_size: int = Field(ge=8)
    intermediate_size: int = Field(ge=8)
    n_layers: int = Field(ge=1)
    n_heads: int = Field(ge=1)
    context: int = Field(ge=32)


class TrainingEvalSpec(Spec):
    """Evaluation during training: `n` items of a suite every `every` steps.

    The suite's judges must run on this machine. The scores are curves in the report; no checkpoint is
    selected by them.
    """

    suite: str
    every: int = Field(ge=1)
    n: int = Field(default=16, ge=1)


class RewardSource(Spec):
    """The reward of a sampled answer: a reward model's recipe, or a judge's grade on a rubric or checklist.

    On a rubric a grade is the mean over the criteria, 0 at the low end of the scale and 1 at the high end; on
    a checklist it is the score by the row's own criteria, at most 1 and not clipped below.
    """

    recipe: str | None = None
    rubric: RubricMetric | None = None
    checklist: ChecklistMetric | None = Field(default=None, exclude_if=lambda named: named is None)

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "RewardSource":
        if sum(named is not None for named in (self.recipe, self.rubric, self.checklist)) != 1:
            raise ValueError("name exactly one of 'recipe', 'rubric' or 'checklist'")
        return self

    @property
    def graded_by(self) -> RubricMetric | ChecklistMetric | None:
        """Return the metric on which a judge grades answers; None for a reward model."""
        return self.rubric or self.checklist


Product = Literal["a model", "a reward model", "preference pairs", "rows to learn from"]


class RecipeSpec(Spec):
    """The base of every recipe, with the facts of a method that other packages ask for.

    Facts are class variables and properties, never fields, so that no key or file depends on them.

    Attributes:
        makes: The product, as messages name it.
    """

    makes: ClassVar[Product]
