"""What ends an answer: the end of turn of a chat template, and the stop tokens of a model.

A chat template writes the end of an assistant's turn; that token, which need not be the tokenizer's own
end of text (Gemma's is not), is what a model learns to stop at.
"""

from typing import Any

from harness.core.errors import HarnessError
from harness.models.local import write_chat
from harness.models.weights import stop_ids

_ANSWER = "Drink water, rest, and see a doctor."


def end_of_turn(tokenizer: Any) -> int | None:
    """Return the first special token that the chat template writes after an answer.

    Without one, it is the tokenizer's end of text if it has any.

    Raises:
        HarnessError: as `write_chat`.
    """
    eos: int | None = tokenizer.eos_token_id
    chat = [{"role": "user", "content": "Is it bad?"}, {"role": "assistant", "content": _ANSWER}]
    if not tokenizer.chat_template:
        return eos
    text = write_chat(tokenizer, chat, tokenize=False)
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
