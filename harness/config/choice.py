"""Multiple choice: which of an item's options the model says, or which it gives the largest probability.

    accuracy: {kind: choice, choices: ["yes", "no", maybe], labels: none, shuffle: true}
    likelihood: {kind: choice, scoring: likelihood, answer: label}

The options are put into the prompt by `harness.data.choices`. judges/choice.py reads what is said,
judges/likelihood.py compares the log-probabilities.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from harness.config.data import Generation
from harness.config.metric_base import AnswerForm, ChoiceLayout, ComputedMetric, ScoreKind
from harness.core.choice_text import option_key


def _read_choices(choices: tuple[str, ...]) -> tuple[str, ...]:
    if len(choices) < 2:
        raise ValueError("name two options or more")
    if not all(text.strip() for text in choices):
        raise ValueError("an option is empty")
    if len(set(map(option_key, choices))) < len(choices):
        raise ValueError("two options are the same text")
    return choices


class OptionMetric(ComputedMetric):
    """The base of both ways to score multiple choice: the options, and the right one of each item.

    `choices` are the options of every item, or else those of the items' own column `choices`. The
    reference is an option's text, its `label`, its `index` from 0 or its `number` from 1, as `answer`
    says. Options have letters or stand by themselves, in the order of the data or shuffled for each
    item by `shuffle_seed`.
    """

    score_kind: ClassVar[ScoreKind] = "share"
    assumed_spread: ClassVar[float] = 0.1**0.5  # one item in ten changes

    kind: Literal["choice"]
    choices: Annotated[tuple[str, ...], AfterValidator(_read_choices)] | None = None
    answer: AnswerForm = "text"
    labels: Literal["letters", "none"] = "letters"
    shuffle: bool = False
    shuffle_seed: int = 1

    @property
    def needs_reference(self) -> bool:
        """Return that there is no right option otherwise."""
        return True

    @property
    def layout(self) -> ChoiceLayout:
        """Return how the options are shown: a part of the prompt."""
        seed = self.shuffle_seed if self.shuffle else None
        return ChoiceLayout(self.choices, self.answer, self.labels == "letters", seed)

    @property
    def verdict_values(self) -> tuple[float, ...]:
        """Return wrong and right."""
        return (0.0, 1.0)


class ChoiceMetric(OptionMetric):
    """The share of items whose right option the model says it chooses.

    `instruction` stands in place of the sentence that asks for the choice. An answer that states no
    option is wrong and counted apart, or unscored.
    """

    scoring: Literal["spoken"] = "spoken"
    instruction: str | None = Field(default=None, min_length=1)
    unreadable: Literal["wrong", "unscored"] = "wrong"

    @property
    def description(self) -> str:
        """Return what is counted, and what becomes of answers that state no option."""
        return (
            f"share of items whose right option is said; an answer without one is {self.unreadable}"
        )

    @property
    def layout(self) -> ChoiceLayout:
        """Return how the options are shown, and the sentence that asks for one."""
        return super().layout._replace(instruction=self.instruction)

    def verdict_keys(self, name: str) -> dict[str, str]:
        """Return the share of readable answers, where others are wrong, and the accuracy."""
        readable = {f"{name}.readable": "readable"} if self.unreadable == "wrong" else {}
        return {**readable, name: "right"}

    def summary_columns(self, name: str) -> tuple[str, ...]:
        """Return the accuracy, in which unreadable answers count already."""
        return (name,)


class LikelihoodMetric(OptionMetric):
    """The share of items whose right option is likeliest to continue the prompt; nothing is said.

    `prompt` is the text that a local checkpoint continues, without a chat template, by a space and an
    option's letter, or its text where it has none. In it stand `{question}` (or `{stripped_question}`),
    `{options}`, `{context}` and the columns that the suite slices by.
    """

    scoring: Literal["likelihood"]
    prompt: str | None = None

    @model_validator(mode="after")
    def _prompt_shows_what_is_asked(self) -> "LikelihoodMetric":
        if "question}" not in self.template:
            raise ValueError("the prompt must hold {question}")
        if self.labels == "letters" and "{options}" not in self.template:
            raise ValueError("the prompt must hold {options}: letters mean nothing without them")
        if self.generation not in (None, Generation()):
            raise ValueError("no answer is generated: leave 'generation' out")
        return self

    @property
    def template(self) -> str:
        """Return the stated prompt, or the usual one."""
        options = "{options}\n" if self.labels == "letters" else ""
        return self.prompt or f"Question: {{question}}\n{options}Answer:"

    @property
    def description(self) -> str:
        """Return what is compared, and after which prompt."""
        return (
            "share of items whose right option has the largest log-probability: as it is (acc), and by "
            f"character (acc_norm); nothing is said. Prompt: {self.template!r}"
        )

    @property
    def layout(self) -> ChoiceLayout:
        """Return how the options are shown, and the prompt that they continue."""
        return super().layout._replace(template=self.template)

    def verdict_keys(self, name: str) -> dict[str, str]:
        """Return the two accuracies, by their names in lm-eval."""
        return {f"{name}.acc": "acc", f"{name}.acc_norm": "acc_norm"}


def scoring(fields: object) -> str:
    """Return the way of scoring that tells the two kinds apart, from a suite's keys or a metric."""
    if isinstance(fields, dict):
        return str(fields.get("scoring", "spoken"))
    return str(getattr(fields, "scoring", "spoken"))


ChoiceKind = Annotated[
    Annotated[ChoiceMetric, Tag("spoken")] | Annotated[LikelihoodMetric, Tag("likelihood")],
    Discriminator(scoring),
]
