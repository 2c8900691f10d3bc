r"""Redaction of the key in an endpoint's answer, before anything reads, cuts, logs or stores it.

A careless endpoint quotes the key it was sent: as it is, or escaped for JSON, for a URL or for HTML.
Any mixture of these is found. A key that is base64-encoded, reversed or split is not; a server that
does this already has it.
"""

import re
from collections.abc import Callable

from pydantic import SecretStr

MIN_CHARS = 8  # a shorter key is a word such as EMPTY, as servers without keys ask for


def make_key_redactor(key: SecretStr | None) -> Callable[[str], str]:
    """Return a function that replaces the key in a text by `[key]`."""
    if key is None or len(key.get_secret_value()) < MIN_CHARS:
        return lambda text: text
    pattern = re.compile("".join(map(_any_form, key.get_secret_value())))
    return lambda text: pattern.sub("[key]", text)


def _any_form(character: str) -> str:
    r"""Return a pattern for a character, %2B, \u002b, \/, &#43; or &#x2b;, also escaped twice."""
    code = ord(character)
    plain = r"\\{0,3}/" if character == "/" else re.escape(character)
    escaped = (
        rf"%(?:25)?{code:02x}",
        rf"\\{{1,4}}u00{code:02x}",
        rf"&(?:amp;)?#(?:{code}|x{code:x});",
    )
    return rf"(?:{plain}|(?i:{'|'.join(escaped)}))"
