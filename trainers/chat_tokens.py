"""The tokens of a chat: its end of turn, and what training sees of a prompt and its answer.

A chat template writes the end of an assistant's turn; that token, which need not be the tokenizer's own
end of text (Gemma's is not), is what a model learns to stop at.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.core.deadline import run_within
from harness.core.errors import HarnessError
from harness.models.local import TEMPLATE_S, drops_system, encode_chat
from harness.models.weights import stop_ids
from harness.types import Message

_ANSWER = "Drink water, rest, and see a doctor."


def end_of_turn(tokenizer: Any) -> int | None:
    """Return the first special token that the chat template writes after an answer.

    Without one, it is the tokenizer's end of text if it has any.
    """
    eos: int | None = tokenizer.eos_token_id
    chat = [{"role": "user", "content": "Is it bad?"}, {"role": "assistant", "content": _ANSWER}]
    if not tokenizer.chat_template:
        return eos
    try:
        text = run_within(TEMPLATE_S, lambda: tokenizer.apply_chat_template(chat, tokenize=False))
    except TimeoutError:
        raise HarnessError(
            f"The chat template has not written a short chat within {TEMPLATE_S:g} s: it loops. Mend it, or name "
            "another in the recipe's 'chat_template'."
        ) from None
    _, found, after = text.rpartition(_ANSWER)
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    special |= set(tokenizer.all_special_ids)
    ids = tokenizer(after, add_special_tokens=False)["input_ids"] if found else []
    return next((token for token in ids if token in special), eos)


def end_of_turn_text(tokenizer: Any) -> str:
    """Return the token of `end_of_turn` as the template writes it.

    Raises:
        HarnessError: neither the template nor the tokenizer ends a turn.
    """
    token = end_of_turn(tokenizer)
    if token is None:
        raise HarnessError(
            "Neither the chat template nor the tokenizer names an end of turn, so no answer would end."
        )
    text: str = tokenizer.convert_ids_to_tokens(token)
    return text


def set_stops(model: Any, tokenizer: Any) -> None:
    """Make the model stop at the chat template's end of turn first, and where it stopped before.

    Both the model's configuration and its decoding defaults are set, as other programs read one of the
    two; a model that generates no text has no defaults, and is left alone.
    """
    defaults = getattr(model, "generation_config", None)
    if defaults is None:
        return
    first = end_of_turn(tokenizer)
    stops = [*([] if first is None else [first]), *stop_ids(model, tokenizer)]
    stops = list(dict.fromkeys(stops))
    defaults.eos_token_id = stops
    defaults.pad_token_id = tokenizer.pad_token_id
    written = stops if len(stops) > 1 else stops[0]
    for config in {id(c): c for c in (model.config, model.config.get_text_config())}.values():
        config.eos_token_id = written


class AnswerTokens(NamedTuple):
    """A chat with its answer as training sees it.

    Attributes:
        ids: The tokens of the whole chat.
        n_prompt: How many of them come before what is learnt.
        n_asked: The tokens of the prompt as generation sees it, of which `n_prompt` begin the chat.
    """

    ids: list[int]
    n_prompt: int
    n_asked: int


def tokenise_answer(tokenizer: Any, prompt: Sequence[Message], answer: str) -> AnswerTokens:
    """Tokenise a chat and its answer as TRL does, which learns from where the two prompts part.

    Raises:
        HarnessError: the chat template refuses the chat.
    """
    asked = encode_chat(tokenizer, tuple(prompt))
    turn = Message(role="assistant", content=answer)
    ids = encode_chat(tokenizer, (*prompt, turn), generation_prompt=False)
    parts = (i for i, (a, b) in enumerate(zip(asked, ids, strict=False)) if a != b)
    return AnswerTokens(ids, next(parts, min(len(asked), len(ids))), len(asked))


def question_of(prompt: Sequence[Message]) -> str:
    """Return everything that a chat's user wrote, by which rows are held out."""
    return "\n".join(message.content for message in prompt if message.role == "user")


def fits(tokens: AnswerTokens, config: Any) -> bool:
    """Return whether something of the answer is left after TRL's cut at `max_length`."""
    if config.max_length is None or keeps_end(config):
        return True
    return tokens.n_prompt < int(config.max_length)


def keeps_end(config: Any) -> bool:
    """Return whether TRL cuts the beginning of a long chat, and not its end."""
    return getattr(config, "truncation_mode", "keep_start") == "keep_end"


class PromptFacts:
    """Counts of prompts that training sees in another form than generation does."""

    def __init__(self) -> None:
        self.n_prompts = 0
        self.n_differing = 0

    def add(self, tokens: AnswerTokens) -> None:
        """Count one prompt."""
        self.n_prompts += 1
        self.n_differing += tokens.n_prompt < tokens.n_asked

    def describe(self) -> dict[str, str]:
        """Return a fact if some prompts differ."""
        if not self.n_differing:
            return {}
        return {
            PROMPT_DIFFERS: f"in {self.n_differing} of {self.n_prompts} rows the chat template writes "
            "the prompt otherwise when an answer follows, so the model was trained on another context "
            "than it is asked in"
        }


PROMPT_DIFFERS = "prompt differs when asked"  # a fact of the checkpoint, quoted by reports


def refuse_dropped_system(tokenizer: Any, prompts: Sequence[Sequence[Message]]) -> None:
    """Refuse prompts whose system turn the chat template does not write.

    Raises:
        HarnessError: the model would be trained without it, as if it had been there.
    """
    dropped = sum(drops_system(tokenizer, tuple(prompt)) for prompt in prompts)
    if dropped:
        raise HarnessError(
            f"The chat template does not write the system prompt of {dropped} of {len(prompts)} rows, so "
            "the model would never see it. Leave the system prompt out of the recipe and its data, or "
            "name a 'chat_template' that writes it."
        )
