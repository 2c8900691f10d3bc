"""A language model on this machine as a chat backend: patient texts need not leave the machine.

Decoding is greedy. No schema constrains it; the prompt describes the JSON of a verdict, which is
parsed as strictly as any other.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

from harness.config import Generation
from harness.core.hashing import content_hash
from harness.models.endpoint import Ask, ChatFlow, Ended, Problem, Reply, advance
from harness.models.local import Answer, LocalModel

BATCH_SIZE = 8
LOOK_AHEAD = 8 * BATCH_SIZE  # requests that are sorted by length before they share batches
MAX_NEW_TOKENS = 1024

T = TypeVar("T")


class LocalBackend:
    """A checkpoint behind the `ChatBackend` protocol of `judges/llm.py`.

    `load` is called once, at the first request: neither a plan nor a run whose verdicts are all in
    the store needs the weights.
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
        """Return a hash of the checkpoint and the decoding."""
        return content_hash(self._model_fingerprint, self._generation)

    @cached_property
    def _model(self) -> LocalModel:
        return self._load()

    def run_flows(self, flows: Iterable[ChatFlow[T]]) -> Iterator[tuple[int, T]]:
        """Run the flows, a few batches at a time; yield each one's result with its number."""
        turns: list[_Turn[T]] = []
        for number, flow in enumerate(flows):
            step = advance(flow, None)
            if isinstance(step, Ended):
                yield number, step.result
                continue
            turns.append(_Turn(number, flow, step))
            while len(turns) >= LOOK_AHEAD:
                turns = yield from self._answer(turns)
        while turns:
            turns = yield from self._answer(turns)

    def _answer(self, turns: "list[_Turn[T]]") -> Generator[tuple[int, T], None, "list[_Turn[T]]"]:
        """Answer each flow's request; yield the results, return the flows with another request.

        Long prompts come first, so that a lack of memory shows early.
        """
        prompts = [turn.ask.messages for turn in turns]
        lengths = self._model.prompt_lengths(prompts, self._generation)
        order = sorted(range(len(turns)), key=lambda i: (lengths[i], i), reverse=True)
        open_turns = []
        for start in range(0, len(order), BATCH_SIZE):
            # Answer one batch.
            batch = order[start : start + BATCH_SIZE]
            began = time.monotonic()
            prompts = [turns[i].ask.messages for i in batch]
            answers = self._model.answer(prompts, self._generation, seeds=[0] * len(batch))
            seconds = (time.monotonic() - began) / len(batch)
            # Advance its flows.
            for i, answer in zip(batch, answers, strict=True):
                too_long = lengths[i] >= self._model.context
                reply = _make_reply(answer, lengths[i], too_long=too_long, seconds=seconds)
                step = advance(turns[i].flow, reply)
                if isinstance(step, Ended):
                    yield turns[i].number, step.result
                else:
                    open_turns.append(turns[i]._replace(ask=step))
        return open_turns


class _Turn(NamedTuple, Generic[T]):
    """A flow, its number and its next request."""

    number: int
    flow: ChatFlow[T]
    ask: Ask


def _make_reply(answer: Answer, n_prompt_tokens: int, *, too_long: bool, seconds: float) -> Reply:
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
