"""Drafts as recipes read them: rows for SFT, preference pairs for DPO."""

from collections.abc import Sequence

from harness.types import Message
from trainers.convert.drafts import Draft
from trainers.pairs import PreferencePair


def with_system_prompt(draft: Draft, system: str | None) -> Draft:
    """The draft under `system`, unless it brings a system prompt of its own."""
    if system is None or draft.system is not None:
        return draft
    given = Message(role="system", content=system)
    return draft._replace(prompt=(given, *draft.prompt))


def sft_columns(drafts: Sequence[Draft]) -> tuple[str, ...]:
    """What rows made of these hold; the same for all of them, so that a recipe can name it."""
    system = ("system",) if any(draft.system is not None for draft in drafts) else ()
    history = ("history",) if any(draft.history for draft in drafts) else ()
    return ("id", "input", "reference", *system, *history)


def sft_row(draft: Draft, columns: Sequence[str]) -> dict[str, object]:
    """{"id": …, "input": …, "reference": …}, with `system` and `history` where they are asked for."""
    row = {
        "id": draft.id,
        "input": draft.prompt[-1].content,
        "reference": draft.answer,
        "system": draft.system,
        "history": [message.model_dump() for message in draft.history],
    }
    return {column: row[column] for column in columns}


def preference_pairs(drafts: Sequence[Draft]) -> list[PreferencePair]:
    """Pairs; those with the same prompt carry the same id, so that training keeps them together."""
    ids: dict[tuple[Message, ...], str] = {}
    return [
        PreferencePair(
            sample_id=ids.setdefault(draft.prompt, draft.id),
            prompt=draft.prompt,
            chosen=draft.answer,
            rejected=draft.rejected or "",
            source="given",
        )
        for draft in drafts
    ]
