"""A language model on this machine that answers a judge's chats: patient text need not leave it.

Decoding is greedy. No schema binds it; the prompt states the shape of a verdict, which is read as
strictly as any other.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from harness.config import Generation
from harness.core.hashing import content_hash
from harness.models.endpoint import Ask, Problem, Reply
from harness.models.local import Answer, LocalModel, Prompt

BATCH_SIZE = 8


LOOK_AHEAD = 8 * BATCH_SIZE  # among so many, prompts of like length share a batch


MAX_NEW_TOKENS = 1024


class LocalAnswerer:
    """A checkpoint behind the `Answerer` protocol of `judges/language_model.py`.

    `load` is called when there is something to ask, and once: a plan needs no weights, nor does a
    run whose verdicts are all in the store.
    """

    def __init__(
        self,
        model_fingerprint: str,
        load: Callable[[], LocalModel],
        *,
        max_new_tokens: int = MAX_NEW_TOKENS,
    ) -> None:
        self._model_fingerprint = model_fingerprint
        self._load = load
        self._generation = Generation(max_new_tokens=max_new_tokens, temperature=0.0)

    @property
    def fingerprint(self) -> str:
        """The checkpoint's, and how it is decoded."""
        return content_hash(self._model_fingerprint, self._generation)

    @cached_property
    def _model(self) -> LocalModel:
        return self._load()

    def ask_all(self, asks: Iterable[Ask | None]) -> Iterator[tuple[int, Reply]]:
        """Each ask's reply with the ask's number, batch by batch."""
        taken: list[_Chat] = []
        number = 0
        for ask in asks:
            if ask is not None:
                taken.append(_Chat(number, ask.messages))
                number += 1
            if ask is None or len(taken) == LOOK_AHEAD:
                yield from self._answer(taken)
                taken = []
        yield from self._answer(taken)

    def _answer(self, chats: "list[_Chat]") -> Iterator[tuple[int, Reply]]:
        """Longest prompts first, so that a lack of memory shows early."""
        if not chats:
            return
        lengths = self._model.prompt_lengths([chat.prompt for chat in chats])
        order = sorted(zip(lengths, chats, strict=True), reverse=True)
        for start in range(0, len(order), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            began = time.monotonic()
            answers = self._model.answer(
                [chat.prompt for _, chat in batch], self._generation, seeds=[0] * len(batch)
            )
            seconds = (time.monotonic() - began) / len(batch)
            for (length, chat), answer in zip(batch, answers, strict=True):
                too_long = length >= self._model.context
                yield chat.number, _reply(answer, length, too_long=too_long, seconds=seconds)


class _Chat(NamedTuple):
    number: int
    prompt: Prompt


def _reply(answer: Answer, n_prompt_tokens: int, *, too_long: bool, seconds: float) -> Reply:
    failure: Problem = "context_length" if too_long else "server_error"
    return Reply(
        text=answer.text,
        finish=answer.finish,
        refusal=None,
        input_tokens=n_prompt_tokens,
        output_tokens=answer.n_tokens,
        seconds=seconds,
        attempts=1,
        problem=failure if answer.text is None else None,
        detail=answer.reason,
    )
