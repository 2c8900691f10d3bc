"""Multiple choice: the model is shown an item's options and says which one is right.

    accuracy: {kind: choice, choices: ["yes", "no", maybe], labels: none, shuffle: true}

The options are part of the prompt (`harness.data.choices`); judges/choice.py reads the answer.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

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


class ChoiceMetric(ComputedMetric):
    """The share of items whose right option the model says it chooses.

    `choices` are the options of every item, or else those of the items' own column `choices`. The
    reference is an option's text, its `label`, its `index` from 0 or its `number` from 1, as `answer`
    says. Options are shown under letters, or by themselves, and in the order of the data or shuffled for
    each item by `shuffle_seed`; `instruction` stands in place of the sentence that asks for the choice.
    An answer that states no option is wrong and counted apart, or unscored.
    """

    score_kind: ClassVar[ScoreKind] = "share"
    assumed_spread: ClassVar[float] = 0.1**0.5  # one item in ten changes

    kind: Literal["choice"]
    scoring: Literal["spoken"] = "spoken"
    choices: Annotated[tuple[str, ...], AfterValidator(_read_choices)] | None = None
    answer: AnswerForm = "text"
    labels: Literal["letters", "none"] = "letters"
    shuffle: bool = False
    shuffle_seed: int = 1
    instruction: str | None = Field(default=None, min_length=1)
    unreadable: Literal["wrong", "unscored"] = "wrong"

    @property
    def description(self) -> str:
        """Return what is counted, and what becomes of answers that state no option."""
        return (
            f"share of items whose right option is said; an answer without one is {self.unreadable}"
        )

    @property
    def needs_reference(self) -> bool:
        """Return that there is no right option otherwise."""
        return True

    @property
    def layout(self) -> ChoiceLayout:
        """Return how the options are shown: a part of the prompt."""
        seed = self.shuffle_seed if self.shuffle else None
        lettered = self.labels == "letters"
        return ChoiceLayout(self.choices, self.answer, lettered, seed, self.instruction)

    def verdict_keys(self, name: str) -> dict[str, str]:
        """Return the share of readable answers, where others are wrong, and the accuracy."""
        readable = {f"{name}.readable": "readable"} if self.unreadable == "wrong" else {}
        return {**readable, name: "right"}

    @property
    def verdict_values(self) -> tuple[float, ...]:
        """Return wrong and right."""
        return (0.0, 1.0)

    def summary_columns(self, name: str) -> tuple[str, ...]:
        """Return the accuracy, in which unreadable answers count already."""
        return (name,)
