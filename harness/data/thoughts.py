"""Thoughts of a reasoning model, separated from its answer.

    <think>
    The knee hurts after running, so …
    </think>

    Should I stop running?             the answer

Thoughts stand at the start of a response. Their opening mark may be missing, because many chat
templates end in it; a closing mark without one then ends them. A mark that is quoted, in code or
in the middle of an answer's sentence belongs to the answer, as does a pair of marks within it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from harness.config.data import Thoughts
from harness.types import Response

# The reason of a response without an answer: it ended, or was cut off, while the model was thinking.
UNFINISHED_THOUGHTS = "its thoughts never ended"

# Fields beside `content` in which servers and data sets hold the thoughts of a turn.
THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking")

_TAGS = ("think", "thinking", "thought", "thoughts", "reasoning", "seed:think", "longcat_think")
_PAIRS = {f"<{tag}>": f"</{tag}>" for tag in _TAGS} | {
    "[THINK]": "[/THINK]",  # Magistral
    "<|channel>thought": "<channel|>",  # Gemma 4
    "◁think▷": "◁/think▷",  # Kimi
    "<|begin_of_thought|>": "<|end_of_thought|>",  # OpenThinker, Sky-T1
    "<|START_THINKING|>": "<|END_THINKING|>",  # Command A Reasoning
    "<|inner_prefix|>": "<|inner_suffix|>",  # Apertus
}

# Special tokens without which a decoded text does not tell thoughts from the answer. Those of gpt-oss,
# the last four, also end turns of other models, so that only the first of them makes them marks.
CHANNEL = "<|channel|>"
MARK_TOKENS = frozenset({*_PAIRS, *_PAIRS.values(), "<|channel>", CHANNEL})
CHANNEL_TOKENS = frozenset({"<|start|>", "<|message|>", "<|end|>"})

_OPENING = "|".join(re.escape(mark) for mark in _PAIRS)
_CLOSING = "|".join(re.escape(mark) for mark in _PAIRS.values())
_STARTS = re.compile(rf"\s*(?:{_OPENING})", re.IGNORECASE)
_ENDS_OPEN = re.compile(rf"(?:{_OPENING})\s*\Z", re.IGNORECASE)
_MARK = re.compile(rf"(?P<closing>{_CLOSING})|{_OPENING}", re.IGNORECASE)

# gpt-oss (https://cookbook.openai.com/articles/openai-harmony): messages on channels, or only the words
# between the marks where a decoder has removed the special tokens.
_CHANNELS = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>")
_MESSAGE = re.compile(
    r"<\|channel\|>(?P<channel>\w*)(?:(?!<\|(?:message|channel)\|>).)*<\|message\|>(?P<text>.*?)"
    r"(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
_BARE_CHANNELS = re.compile(r"\s*analysis(.*?)assistantfinal(.*)", re.DOTALL)

# Granite 3.2, whose marks are sentences.
_SENTENCES = re.compile(
    r"\s*Here(?:'s| is) my thought process:(.*?)Here(?:'s| is) my response:(.*)", re.DOTALL
)

# Without one of the first and one of the second, which takes longer to find out, there is no mark of any kind.
_BEGINNINGS = ("<", "[", "◁", "assistantfinal", "my thought process:")
_HINTS = ("think", "thought", "reasoning", "channel", "inner_", "analysis")

_THOUGHT_END = re.compile(rf"{_CLOSING}|<\|channel\|>final<\|message\|>", re.IGNORECASE)
_QUOTES = frozenset("`'\"\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb")
_FENCE = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
_SENTENCE_ENDS = frozenset(".!?:;)]}…。！？*")  # noqa: RUF001


class Separated(NamedTuple):
    """A response in its parts; where the thoughts never ended, `ended` is False and `answer` empty."""

    thoughts: str
    answer: str
    ended: bool = True


def separate_thoughts(text: str) -> Separated:
    """Tell the thoughts of a response from its answer; a text without thoughts is all answer."""
    if not any(map(text.__contains__, _BEGINNINGS)) or not any(
        map(text.lower().__contains__, _HINTS)
    ):
        return Separated("", text)
    if _CHANNELS.match(text):
        return _separate_channels(text)
    if words := _BARE_CHANNELS.fullmatch(text) or _SENTENCES.fullmatch(text):
        return Separated(words[1].strip(), words[2].strip())
    # Blocks at the start, one behind the other.
    blocks: list[str] = []
    rest = text
    while opening := _STARTS.match(rest):
        inside = rest[opening.end() :]
        end = _end_of_block(inside)
        if end is None:
            return Separated(_join([*blocks, inside]), "", ended=False)
        blocks.append(inside[: end.start()])
        rest = inside[end.end() :]
    # What ends in a closing mark of its own.
    while end := _unpaired_end(rest, after_block=bool(blocks)):
        blocks.append(rest[: end.start()])
        rest = rest[end.end() :]
    return Separated(_join(blocks), rest.strip()) if blocks else Separated("", text)


def drop_thoughts(text: str) -> str:
    """Return the answer without the thoughts; empty if they never ended."""
    return separate_thoughts(text).answer


def mark_thoughts(thoughts: str, text: str) -> str:
    """Return the text behind its thoughts, marked as most chat templates mark them."""
    return f"<think>\n{thoughts.strip()}\n</think>\n\n{text}"


def measured_response(response: Response, rule: Thoughts) -> Response:
    """Return a response as it is measured: without its thoughts, or with those given apart from it.

    Where the thoughts never ended, that is its reason, and under `drop` its text is empty.
    """
    if response.text is None:
        return response
    apart, parts = response.thoughts or "", separate_thoughts(response.text)
    # A server that found no closing mark gives the whole response as thoughts.
    unanswered = response.reason is None and not parts.answer.strip()
    ended = parts.ended and not (apart and unanswered)
    if rule == "keep":
        text, thoughts = mark_thoughts(apart, response.text) if apart else response.text, None
    else:
        text, thoughts = parts.answer, _join([apart, parts.thoughts]) or None
    reason = response.reason if ended else UNFINISHED_THOUGHTS
    if (text, thoughts, reason) == (response.text, response.thoughts, response.reason):
        return response
    return response.model_copy(update={"text": text, "thoughts": thoughts, "reason": reason})


def thoughts_of(response: Response) -> str:
    """Return the thoughts that came with a response and were left out or kept; "" without any."""
    return response.thoughts or separate_thoughts(response.text or "").thoughts


def cut_off_in_thoughts(responses: Mapping[str, Response]) -> set[str]:
    """Return what was cut off with no mark of thoughts, where most of a model's whole responses have one.

    Then a server's template opens the thoughts, and no text shows that they never ended.
    """
    whole = [response for response in responses.values() if response.finish != "length"]
    if len(whole) == len(responses):
        return set()
    if 2 * sum(bool(thoughts_of(response)) for response in whole) <= len(whole):
        return set()
    return {
        i
        for i, response in responses.items()
        if response.finish == "length" and response.text and not thoughts_of(response)
    }


def opening_mark(prompt: str) -> str:
    """Return the opening mark in which a rendered prompt ends, with the space behind it, or ""."""
    match = _ENDS_OPEN.search(prompt)
    return match[0] if match else ""


def thought_ends(text: str) -> Iterator[int]:
    """Yield the place behind each mark that may end thoughts, quoted or not."""
    return (mark.end() for mark in _THOUGHT_END.finditer(text))


def _join(blocks: list[str]) -> str:
    return "\n\n".join(block.strip() for block in blocks if block.strip())


def _separate_channels(text: str) -> Separated:
    """Read the messages of gpt-oss: `final` is the answer, every other channel is thought."""
    messages = list(_MESSAGE.finditer(text))
    final = [message["text"] for message in messages if message["channel"] == "final"]
    others = [message["text"] for message in messages if message["channel"] != "final"]
    return Separated(_join(others), _join(final), ended=bool(final))


def _end_of_block(inside: str) -> re.Match[str] | None:
    """Return the mark that closes a block: of its own depth, or else the first one."""
    depth, first, quoted = 1, None, None
    for mark in _MARK.finditer(inside):
        if _is_quoted(inside, mark):
            quoted = quoted or (mark if mark["closing"] else None)
            continue
        depth += -1 if mark["closing"] else 1
        if depth == 0:
            return mark
        first = first or (mark if mark["closing"] else None)
    return first or quoted


def _unpaired_end(text: str, *, after_block: bool) -> re.Match[str] | None:
    """Return the first closing mark without an opening one, which was then in the prompt.

    Behind a whole block, only a mark at the edge of a line can be another one.
    """
    for mark in _MARK.finditer(text):
        before, after = _around_on_line(text, mark)
        if _is_quoted(text, mark) or (before.count("`") % 2 == 1 and "`" in after):
            continue
        at_edge = not before.strip() or not after.strip()
        is_mark = at_edge or not (after_block or _within_sentence(before, after))
        if (mark["closing"] and not is_mark) or _in_fence(text, mark):
            continue
        return mark if mark["closing"] else None  # an opening mark begins a pair within an answer
    return None


def _around_on_line(text: str, mark: re.Match[str]) -> tuple[str, str]:
    """Return what stands before and behind a mark on its line."""
    end = text.find("\n", mark.end())
    before = text[text.rfind("\n", 0, mark.start()) + 1 : mark.start()]
    return before, text[mark.end() : end if end >= 0 else None]


def _is_quoted(text: str, mark: re.Match[str]) -> bool:
    before, after = text[max(0, mark.start() - 1) : mark.start()], text[mark.end() : mark.end() + 1]
    return before in _QUOTES and after in _QUOTES


def _within_sentence(before: str, after: str) -> bool:
    """Return whether a sentence goes on over a mark between these parts of a line."""
    last, following = before.rstrip()[-1], after.lstrip()[0]
    return last not in _SENTENCE_ENDS and (following.islower() or following in ",.;:!?)")


def _in_fence(text: str, mark: re.Match[str]) -> bool:
    """Return whether a mark is in a fenced block of code."""
    n_before = len(_FENCE.findall(text, 0, mark.start()))
    return n_before % 2 == 1 and _FENCE.search(text, mark.end()) is not None
