"""The loss on all of a chat's assistant turns, which its template marks with `{% generation %}`."""

from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.types.training import Example
from trainers.chat_tokens import AnswerTokens


class MarkedTemplate(NamedTuple):
    """A template with marks: None is the tokenizer's own, otherwise one that TRL has for it."""

    template: str | None

    @property
    def fact(self) -> str:
        """Describe where the marks come from."""
        return "of the chat template" if self.template is None else "of TRL's copy of the template"


def find_marks(tokenizer: Any, source: str | Path) -> MarkedTemplate:
    """Find a template for the tokenizer that marks what the assistant writes, as TRL does.

    Raises:
        HarnessError: there is none, or its marks leave out the end of a turn.
    """
    from trl.chat_template_utils import (
        get_training_chat_template,
        has_generation_markers,
        is_chat_template_stop_token_trained,
    )

    template = None
    if not has_generation_markers(tokenizer.chat_template):
        try:
            template = get_training_chat_template(tokenizer)
        except ValueError:
            raise HarnessError(
                f"{source}: trainer.assistant_only_loss: the chat template has no generation marks, and TRL "
                "has none for it, so the assistant's earlier turns cannot be told apart. Name a "
                "'chat_template' with {% generation %} … {% endgeneration %} around what the assistant "
                "writes, such as 'plain', or leave the option out: each row's last answer is then learnt."
            ) from None
    if not is_chat_template_stop_token_trained(tokenizer, chat_template=template):
        raise HarnessError(
            f"{source}: trainer.assistant_only_loss: the generation marks of the chat template leave out the end of "
            "a turn, so the model would not learn to stop. Put it inside {% generation %} … {% endgeneration %}."
        )
    return MarkedTemplate(template)


def chat_of(row: Example) -> list[dict[str, str]]:
    """Return a row as one chat with its answer."""
    answer = {"role": "assistant", "content": row.completion}
    return [*(message.model_dump() for message in row.prompt), answer]


def tokenise_turns(tokenizer: Any, row: Example, marks: MarkedTemplate) -> AnswerTokens:
    """Tokenise a row as TRL does; what comes before the first learnt token counts as its prompt."""
    encoded = tokenizer.apply_chat_template(
        chat_of(row),
        chat_template=marks.template,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ids, mask = encoded["input_ids"], encoded["assistant_masks"]
    first = mask.index(1) if 1 in mask else len(ids)
    return AnswerTokens(list(ids), first, first)


def count_turns(row: Example) -> int:
    """Count the assistant's turns of a row, its answer among them."""
    return 1 + sum(message.role == "assistant" for message in row.prompt)
