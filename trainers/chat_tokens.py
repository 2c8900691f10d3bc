"""What training sees of a chat, in tokens: its prompt and its answer."""

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


class PromptFacts:
    """Counts of prompts that training sees in another form than generation does."""

    def __init__(self) -> None:
        self.n_prompts = 0
        self.n_differing = 0

    def add(self, tokens: AnswerTokens) -> None:
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
