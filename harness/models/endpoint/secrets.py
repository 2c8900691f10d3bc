r"""The key, blotted out of what an endpoint says before anything reads, cuts, logs or keeps it.

A careless endpoint quotes the key it was sent: as it is, or escaped for JSON, for a URL or for HTML.
Those are found, in any mixture. Hidden otherwise (in base64, reversed, in pieces) it is not: who does
that has the key anyway.
"""

import re
from collections.abc import Callable

from pydantic import SecretStr

MIN_CHARS = 8  # a shorter key is a word such as EMPTY, which servers that check none ask for


def make_key_redactor(key: SecretStr | None) -> Callable[[str], str]:
    """What replaces the key by `[key]` in a text."""
    if key is None or len(key.get_secret_value()) < MIN_CHARS:
        return lambda text: text
    pattern = re.compile("".join(map(_any_form, key.get_secret_value())))
    return lambda text: pattern.sub("[key]", text)


def _any_form(character: str) -> str:
    r"""A pattern for a character as it is, %2B, \u002b, \/, &#43; or &#x2b;, escaped twice too."""
    code = ord(character)
    plain = r"\\{0,3}/" if character == "/" else re.escape(character)
    escaped = (
        rf"%(?:25)?{code:02x}",
        rf"\\{{1,4}}u00{code:02x}",
        rf"&(?:amp;)?#(?:{code}|x{code:x});",
    )
    return rf"(?:{plain}|(?i:{'|'.join(escaped)}))"
