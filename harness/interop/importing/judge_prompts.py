"""Questions and answers quoted in the judge prompts of MT-Bench and Arena-Hard.

    [Question]                         <|User Prompt|>
    …                                  …
    [The Start of Assistant's Answer]  <|The Start of Assistant A's Answer|>
    …                                  …
    [The End of Assistant's Answer]    <|The End of Assistant A's Answer|>

A prompt on a second turn holds the whole conversation of each assistant.
"""

import re
from typing import NamedTuple

_OPEN, _CLOSE = r"(?:\[|<\|)", r"(?:\]|\|>)"
_QUESTION = re.compile(
    rf"{_OPEN}(?:User )?(?:Question|Prompt){_CLOSE}\n(.*?)\n\n{_OPEN}The Start of ", re.DOTALL
)
_ANSWER = re.compile(
    rf"{_OPEN}The Start of Assistant(?: ([AB]))?'s Answer{_CLOSE}\n(.*?)\n"
    rf"{_OPEN}The End of Assistant(?: \1)?'s Answer{_CLOSE}",
    re.DOTALL,
)
_CONVERSATION = re.compile(
    r"<\|The Start of Assistant ([AB])'s Conversation with User\|>\n(.*?)\n\n"
    r"<\|The End of Assistant \1's Conversation with User\|>",
    re.DOTALL,
)
_SPEAKER = re.compile(r"\n+### (?:User|Assistant [AB]):\n")


class QuotedTexts(NamedTuple):
    """What a judge was shown: the user's turns, and the answer of each assistant to the last one."""

    turns: tuple[str, ...]
    answers: dict[str, str]  # by "A" and "B"; a single assistant is "A"


def quoted_texts(prompt: str) -> QuotedTexts | None:
    """Return the texts that a judge's prompt quotes; None if it has another form."""
    conversations = {name: _SPEAKER.split(text) for name, text in _CONVERSATION.findall(prompt)}
    if conversations:
        # Two questions with their answers; a text that itself has such headings is not told apart.
        if any(len(parts) != 5 for parts in conversations.values()):
            return None
        _, first, _, second, _ = next(iter(conversations.values()))
        return QuotedTexts(
            (first, second), {name: parts[-1] for name, parts in conversations.items()}
        )
    question, answers = _QUESTION.search(prompt), _ANSWER.findall(prompt)
    if question is None or not answers:
        return None
    return QuotedTexts((question[1],), {name or "A": answer for name, answer in answers})
