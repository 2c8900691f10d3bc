"""What training sees of a chat, in tokens: its prompt and its answer."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.models.local import drops_system, encode_chat
from harness.types import Message


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


class ChatFacts:
    """Counts of chats that training sees otherwise than was meant: other prompts, or turns within a text."""

    def __init__(self, tokenizer: Any) -> None:
        special = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
        self._control = re.compile("|".join(map(re.escape, special)) or r"(?!)")
        self._found = ""
        self.n_rows = 0
        self.n_differing = 0
        self.n_control = 0

    def add(self, tokens: AnswerTokens, prompt: Sequence[Message], *answers: str) -> None:
        """Count one row: its prompt and answers, and the prompt's tokens."""
        self.n_rows += 1
        self.n_differing += tokens.n_prompt < tokens.n_asked
        texts = (*(message.content for message in prompt), *answers)
        found = next(filter(None, map(self._control.search, texts)), None)
        if found is not None:
            self.n_control += 1
            self._found = self._found or found.group()

    def describe(self) -> dict[str, str]:
        """Return a fact for each thing that some rows have."""
        facts = {}
        if self.n_differing:
            facts[PROMPT_DIFFERS] = (
                f"in {self.n_differing} of {self.n_rows} rows the chat template writes the prompt otherwise when an "
                "answer follows, so the model was trained on another context than it is asked in"
            )
        if self.n_control:
            facts[CONTROL_TOKENS] = (
                f"in {self.n_control} of {self.n_rows} rows a text holds control tokens such as '{self._found}', "
                "which are read as ends and beginnings of turns; remove them from the data"
            )
        return facts


# Facts of a checkpoint that reports quote.
PROMPT_DIFFERS = "prompt differs when asked"
CONTROL_TOKENS = "control tokens in texts"


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
