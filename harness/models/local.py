"""A causal language model on this machine that answers batches of chats.

An answer depends on its prompt, the decoding options and its seed, and not on the other rows
of its batch (`harness/models/logits.py`). A prompt that cannot be answered gets None with a reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from harness.config import Generation
from harness.core.deadline import run_within
from harness.core.errors import HarnessError
from harness.data.thoughts import (
    CHANNEL,
    CHANNEL_TOKENS,
    MARK_TOKENS,
    opening_mark,
    thought_ends,
)
from harness.models.decoding import decode
from harness.models.logits import Sampler
from harness.models.model_folder import verified_fingerprint
from harness.models.virtual_tokens import count_virtual_tokens
from harness.models.weights import chat_template_error, load_weights, stop_ids
from harness.types import Message

Prompt = tuple[Message, ...]
RowT = TypeVar("RowT")
Result = TypeVar("Result")
N_MARK_TOKENS = 16  # at the end of a prompt hold an opening mark and what is around it
TEMPLATE_S = 30.0  # to write one prompt, which takes milliseconds
UNBOUNDED = 2**31  # tokens; the context of a model whose positions have no bound


class Answer(NamedTuple):
    """One answer; `text` is None when there is none, for the `reason` given.

    `n_tokens` counts the tokens of the answer without the stop token. `opening` is the opening mark of
    thoughts in which the prompt ended, so that the text goes on behind it.
    """

    text: str | None
    finish: Literal["stop", "length", "failed"]
    n_tokens: int | None = None
    reason: str | None = None
    opening: str = ""

    @property
    def whole_text(self) -> str | None:
        """Return the text behind the opening mark.

        A model that ended its turn without closing those thoughts has answered without any: many are
        fine-tuned on answers alone.
        """
        if self.text is None or not self.opening:
            return self.text
        thought = self.finish == "length" or any(thought_ends(self.text))
        return self.opening + self.text if thought else self.text


def make_prompt(system: str | None, user: str) -> Prompt:
    """Return the chat messages of a prompt."""
    turn = Message(role="user", content=user)
    return (Message(role="system", content=system), turn) if system else (turn,)


class LocalModel:
    """A loaded checkpoint that answers chats."""

    def __init__(self, model: Any, tokenizer: Any, fingerprint: str) -> None:
        """Take a loaded model and its tokenizer; most callers want `LocalModel.load`."""
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        self.context = context_length(model.config) - count_virtual_tokens(model)
        self._stops = stop_ids(model, tokenizer)
        self._pad: int = (
            tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self._stops[0]
        )

    @classmethod
    def load(
        cls, source: str | Path, *, revision: str | None = None, chats: bool = True
    ) -> "LocalModel":
        """Load the checkpoint in a directory, or the hub model of that name at `revision`.

        One that need not answer chats (`chats`) may lack a chat template; the first chat is then the error.

        Raises:
            HarnessError: no safetensors, no chat template, or a sealed checkpoint that was changed.
            InfrastructureError: the hub model could not be reached.
        """
        fingerprint = verified_fingerprint(source, revision=revision)
        model, tokenizer = load_weights(source, revision=revision)
        if chats and not tokenizer.chat_template:
            raise chat_template_error(source)
        return cls(model, tokenizer, fingerprint)

    def prompt_lengths(self, prompts: Sequence[Prompt], generation: Generation) -> list[int]:
        """Return the tokens per prompt, so that the caller can batch prompts of similar length."""
        return [len(ids) for ids in self._encode(prompts, generation)]

    def answer(
        self, prompts: Sequence[Prompt], generation: Generation, *, seeds: Sequence[int]
    ) -> list[Answer]:
        """Answer each prompt, in one batch where memory allows.

        `generation.system` is not read: the prompts hold the system message already.
        """
        encoded = self._encode(prompts, generation)
        rows = [_Row(ids, seed) for ids, seed in zip(encoded, seeds, strict=True)]
        answers: dict[int, Answer] = {}
        for batch in self._batches(rows, generation.max_tokens):
            batch_answers = in_halves(
                [rows[i] for i in batch],
                lambda part: self._generate_batch(part, generation),
                OUT_OF_MEMORY,
            )
            answers.update(zip(batch, batch_answers, strict=True))
        return [answers[i] if i in answers else self._too_long(rows[i]) for i in range(len(rows))]

    def stream(
        self, prompt: Prompt, generation: Generation, *, seed: int, on_text: Callable[[str], None]
    ) -> Answer:
        """Return what `answer` gives for this prompt alone, and pass on its text as it comes."""
        row = _Row(self._encode([prompt], generation)[0], seed)
        if len(row.ids) >= self.context:
            return self._too_long(row)
        try:
            return self._generate_batch([row], generation, _streamer(self.tokenizer, on_text))[0]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return Answer(None, "failed", reason="out of memory")

    def _encode(self, prompts: Sequence[Prompt], generation: Generation) -> list[list[int]]:
        options = generation.template_options
        return [encode_chat(self.tokenizer, prompt, options=options) for prompt in prompts]

    def _batches(self, rows: "Sequence[_Row]", needed: int) -> Iterator[list[int]]:
        """Group the rows that the whole answer fits; each other one alone, cut by the context."""
        free_tokens = [self.context - len(row.ids) for row in rows]
        if fitting := [i for i, free in enumerate(free_tokens) if free >= needed]:
            yield fitting
        yield from ([i] for i, free in enumerate(free_tokens) if 0 < free < needed)

    def _too_long(self, row: "_Row") -> Answer:
        return too_long(len(row.ids), self.context)

    def _generate_batch(
        self, rows: "Sequence[_Row]", generation: Generation, streamer: Any = None
    ) -> list[Answer]:
        width = max(len(row.ids) for row in rows)
        found = decode(
            self.model,
            [row.ids for row in rows],
            Sampler(generation, [row.seed for row in rows], self._stops[0], self.model.device),
            self._generation_config(min(generation.max_tokens, self.context - width)),
            streamer,
        )
        return [
            BROKEN if tokens is None else self._make_answer(tokens, row.ids)
            for row, tokens in zip(rows, found, strict=True)
        ]

    def _generation_config(self, max_new_tokens: int) -> Any:
        """Return a configuration that takes none of the checkpoint's own decoding defaults."""
        from transformers import GenerationConfig

        return GenerationConfig(
            do_sample=False,  # sampling is the arg max of noisy logits, see harness/models/logits.py
            max_new_tokens=max_new_tokens,
            eos_token_id=self._stops,
            pad_token_id=self._pad,
        )

    def _make_answer(self, tokens: list[int], prompt: Sequence[int] = ()) -> Answer:
        return read_answer(self.tokenizer, self._stops, prompt, tokens)


def context_length(config: Any) -> int:
    """Return the tokens that a model's positions allow; without any bound, more than any text has.

    A model of text and pictures states it for its text; BLOOM and Mamba state none.
    """
    text = config.get_text_config()
    names = ("max_position_embeddings", "max_seq_len", "seq_length", "n_positions")
    values = (getattr(text, name, None) for name in names)
    return next((value for value in values if isinstance(value, int) and value > 0), UNBOUNDED)


def too_long(n_tokens: int, context: int) -> Answer:
    """Return the answer to a prompt that leaves no room for one."""
    reason = f"the prompt has {n_tokens} tokens and the model's context {context}"
    return Answer(None, "failed", reason=reason)


# --- generation helpers ----------------------------------------------------------------------


def read_answer(
    tokenizer: Any, stops: Sequence[int], prompt: Sequence[int], tokens: Sequence[int]
) -> Answer:
    """Read the tokens that a model generated behind a prompt, up to the first stop token."""
    end = next((i for i, token in enumerate(tokens) if token in stops), None)
    text = decode_answer(tokenizer, tokens[:end])
    n_tokens = len(tokens) if end is None else end
    opening = opening_mark(tokenizer.decode(list(prompt[-N_MARK_TOKENS:])))
    return Answer(text, "length" if end is None else "stop", n_tokens, opening=opening)


def decode_answer(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Decode an answer without special tokens, but for those that mark thoughts.

    Without them, the text of a model such as gpt-oss or Magistral would be thoughts and answer in one.
    """
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    pieces, start = [], 0
    for place, mark in _special_marks(tokenizer, tokens):
        pieces += [tokenizer.decode(tokens[start:place], **options), mark]
        start = place + 1
    return "".join([*pieces, tokenizer.decode(tokens[start:], **options)])


def _special_marks(tokenizer: Any, tokens: Sequence[int]) -> list[tuple[int, str]]:
    """Return the places of special tokens that mark thoughts; other marks are decoded as text."""
    names = tokenizer.convert_ids_to_tokens(tokens)
    marks = MARK_TOKENS | (CHANNEL_TOKENS if CHANNEL in names else frozenset())
    places = [place for place, name in enumerate(names) if name in marks]
    if not places:
        return []
    added = tokenizer.added_tokens_decoder
    special = {number for number, token in added.items() if token.special}
    return [(place, names[place]) for place in places if tokens[place] in special]


def encode_chat(
    tokenizer: Any,
    prompt: Prompt,
    *,
    generation_prompt: bool = True,
    options: Mapping[str, bool] | None = None,
) -> list[int]:
    """Encode a chat, by default up to the assistant's turn; the template adds the only BOS token.

    `options` are variables of the template.

    Raises:
        HarnessError: there is no chat template, it refuses the prompt, or does not come to its end.
    """
    if not tokenizer.chat_template:
        raise chat_template_error(tokenizer.name_or_path)
    encoded = write_chat(
        tokenizer,
        [message.model_dump() for message in prompt],
        add_generation_prompt=generation_prompt,
        tokenize=True,
        return_dict=True,
        **(options or {}),
    )
    ids: list[int] = encoded["input_ids"]
    return ids


def write_chat(tokenizer: Any, messages: Sequence[Mapping[str, str]], **options: Any) -> Any:
    """Return what a model's own chat template, which is a stranger's code, makes of messages.

    Raises:
        HarnessError: it refuses them or fails, or does not come to its end.
    """
    from jinja2 import TemplateError

    try:
        return run_within(TEMPLATE_S, lambda: tokenizer.apply_chat_template(messages, **options))
    except TimeoutError:
        raise HarnessError(
            f"The model's chat template has not written the prompt within {TEMPLATE_S:g} s: it loops. Use "
            "another checkpoint, or mend its chat_template.jinja."
        ) from None
    except Exception as error:  # noqa: BLE001 - a template may divide by zero
        why = str(error) if isinstance(error, TemplateError) else repr(error)
        raise HarnessError(f"The model's chat template refuses the prompt: {why}.") from None


def drops_system(tokenizer: Any, prompt: Prompt) -> bool:
    """Return whether the chat template leaves a system turn of the prompt unwritten.

    It is compared with another one, as some templates write one of their own where there is none.
    """
    if not any(message.role == "system" for message in prompt):
        return False
    other = tuple(
        message.model_copy(update={"content": f"{message.content} Be brief."})
        if message.role == "system"
        else message
        for message in prompt
    )
    try:
        return encode_chat(tokenizer, prompt) == encode_chat(tokenizer, other)
    except HarnessError:  # a template that refuses a prompt does not drop it in silence
        return False


def has_thinking_switch(tokenizer: Any) -> bool:
    """Return whether the chat template writes a prompt otherwise when thinking is switched off.

    Raises:
        HarnessError: the chat template refuses the prompt.
    """
    prompt = make_prompt(None, "Is it bad?")
    on, off = (
        encode_chat(tokenizer, prompt, options=Generation(thinking=switch).template_options)
        for switch in (True, False)
    )
    return on != off


class _Row(NamedTuple):
    ids: list[int]
    seed: int


BROKEN = Answer(None, "failed", reason="the model gave NaN or infinite logits")
OUT_OF_MEMORY = Answer(None, "failed", reason="out of memory, even alone in its batch")


def in_halves(
    rows: Sequence[RowT], compute: Callable[[Sequence[RowT]], list[Result]], failed: Result
) -> list[Result]:
    """Compute rows as one batch; halve it while memory does not suffice, down to a row that `failed`."""
    try:
        return compute(rows) if rows else []
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Outside the handler, so that the failed batch's tensors are free again.
    if len(rows) == 1:
        return [failed]
    half = len(rows) // 2
    return in_halves(rows[:half], compute, failed) + in_halves(rows[half:], compute, failed)


def _streamer(tokenizer: Any, on_text: Callable[[str], None]) -> Any:
    """Return a streamer that passes on new text in whole words."""
    from transformers import TextStreamer

    class Decoder:
        def decode(self, tokens: Sequence[int]) -> str:
            return decode_answer(tokenizer, tokens)

    class Streamer(TextStreamer):  # type: ignore[misc]  # transformers has no types
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            on_text(text)

    return Streamer(Decoder(), skip_prompt=True)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is not enough memory, on a GPU or here."""
    import torch

    return isinstance(
        error, torch.OutOfMemoryError | MemoryError
    ) or "can't allocate memory" in str(error)
