"""Escaping of untrusted text inside a prompt, so that it is visible, harmless material.

Nothing is removed but the middle of an overlong text. Every insertion is in ⟦ ⟧, which the text
itself cannot contain. The words that a person reads stay as they are.
"""

import re

MAX_CHARS = 65_536  # a longer text is represented by its head and its tail
CUT = "\n⟦the middle of a longer text is left out here⟧\n"
BREAK = "⟦·⟧"
NOTHING = "⟦there is no text⟧"
_HALF = MAX_CHARS // 2

# Controls, zero-width and bidirectional characters, fillers, variation selectors, tag characters,
# lone surrogates, and the two brackets that are reserved for this file.
_HIDDEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f\u27e6\u27e7\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)

_INVISIBLE = re.compile(rf"([{_HIDDEN}])\1*")

# Persian, Indic scripts and emoji need joiners between two characters, or a selector after one.
_JOINERS = "\u200c\u200d\u200e\u200f"
_SELECTORS = "\ufe0e\ufe0f"

# A marker is broken up after the matched part, that is inside it, so that no tokenizer and no
# reader takes it for one. Repetitions are bounded, so that no text makes the search slow.
_SPECIAL = r"(?:s|eos|bos|pad|unk|mask|unused\d{1,4}|(?:start|end)_of_\w{1,16})"
_TAG = r"(?:answer|question|reference|system|user|assistant|instructions?|think|verdict)"

_BRACKETS = "<[\uff1c\ufe64"  # also in full width
_BRACKETED = re.compile(
    rf"[{re.escape(_BRACKETS)}](?="
    r"[|\uff5c][^|\uff5c<>\n]{1,64}[|\uff5c][>\uff1e]"  # <|im_start|>
    rf"|/?{_SPECIAL}>"  # </s>
    r"|</?SYS>>"
    r"|/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS)\]"
    rf"|\s{{0,8}}[/\uff0f]?\s{{0,8}}(?:(?:first|second)[-_\s])?{_TAG}\b"  # </answer-…>
    r")",
    re.IGNORECASE,
)

_ROLE = re.compile(
    r"^(?:[ \t>*#]{0,8}(?:system|developer|user|human|assistant|judge)(?=[ \t*]{0,8}[:\uff1a])"
    r"|\#{1,6}(?=[ \t]{0,8}(?:system|instructions?|response|user|assistant)\b))",
    re.IGNORECASE | re.MULTILINE,
)


def escape_untrusted(text: str) -> str:
    """Name invisible characters and break up text that looks like a tag, role or special token."""
    parts = [text] if len(text) <= MAX_CHARS else [text[:_HALF], text[-_HALF:]]
    escaped = CUT.join(_break_markers(name_invisible(part)) for part in parts)
    if not escaped.strip():
        return NOTHING
    if len(escaped) > MAX_CHARS:  # the names of invisible characters are longer than these
        escaped = escaped[:_HALF] + CUT + escaped[-_HALF:]
    return escaped


def name_invisible(text: str) -> str:
    """Write each invisible character as ⟦U+200B⟧, with the length of a run.

    Differs from `harness.core.sanitize.escape_invisible`, which is for people: joiners that a script
    or an emoji needs stay, and the characters are listed here, so that a later Unicode version in
    Python changes no prompt.
    """
    return _INVISIBLE.sub(_name_run, text.replace("\r\n", "\n"))


def has_marker(text: str) -> bool:
    """Return whether `escape_untrusted` would break something up in the text."""
    # A role stands at the start of a line; searching tries every character.
    bracketed = any(map(text.__contains__, _BRACKETS)) and _BRACKETED.search(text)
    return bool(bracketed) or any(map(_ROLE.match, text.split("\n")))


def _break_markers(text: str) -> str:
    return _ROLE.sub(_insert_break, _BRACKETED.sub(_insert_break, text))


def _insert_break(match: re.Match[str]) -> str:
    return match[0] + BREAK


def _name_run(match: re.Match[str]) -> str:
    if _is_needed_joiner(match):
        return match[0]
    times = f", {len(match[0])} times" if len(match[0]) > 1 else ""
    return f"⟦U+{ord(match[1]):04X}{times}⟧"


def _is_needed_joiner(match: re.Match[str]) -> bool:
    at, end, text = match.start(), match.end(), match.string
    before, after = text[max(0, at - 1) : at], text[end : end + 1]
    if match[0] in _JOINERS:
        return _is_non_ascii(before) and _is_non_ascii(after)
    return match[0] in _SELECTORS and _is_non_ascii(before)


def _is_non_ascii(character: str) -> bool:
    return character > "\x7f" and not _INVISIBLE.match(character)
