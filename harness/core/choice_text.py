"""The text of an option, as it is compared: case, spacing, emphasis and a full stop do not matter.

Signs do: `< 5` and `> 5` are two options, which the word rule would take for one.
"""

import re
import unicodedata

_EMPHASIS = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)|\\text(?=\{)")
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def plain_text(text: str) -> str:
    """Return a text in Unicode's form NFC, without Markdown's emphasis and wide forms of ASCII."""
    return _EMPHASIS.sub("", unicodedata.normalize("NFC", text).translate(_WIDE))


def option_key(text: str) -> str:
    """Return what two spellings of an option share."""
    return " ".join(plain_text(text).casefold().split()).rstrip(".").rstrip()
