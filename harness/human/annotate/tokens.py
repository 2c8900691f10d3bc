"""Links, cookies and form tokens, all signed with the study's secret, so that none is stored.

Anybody with a link can vote: under the name that it was made for, or under a name of their choice.
The cookie holds the name, and a form carries a token that only our own pages have. They outlive a
restart of the server, so that an open page goes on.
"""

import base64
import binascii
import hmac

from harness.human.annotate.assignment import keyed_hash
from harness.types import Study

ANYONE = ""  # the name in a cookie before a name was entered


def make_link_token(study: Study, name: str = ANYONE) -> str:
    """Make the last part of an annotator's link: a signature of 256 bits, after the name if any."""
    return f"{_pack(name)}.{keyed_hash(study, 'link', name)}" if name else _open_link_token(study)


def read_link_token(study: Study, token: str) -> str | None:
    """Return the name of a link, or ANYONE; None if it is no link of this study."""
    if hmac.compare_digest(token.encode(), _open_link_token(study).encode()):
        return ANYONE
    return _read_signed(study, "link", token)


def cookie_name(study: Study) -> str:
    """Return a name for the study's cookie: cookies are shared by all ports of a host."""
    return f"annotate_{keyed_hash(study, 'cookie name')[:8]}"


def make_cookie(study: Study, name: str) -> str:
    """Make a cookie that holds the annotator's name, signed."""
    return f"{_pack(name)}.{keyed_hash(study, 'cookie', name)}"


def read_cookie(study: Study, cookie: str) -> str | None:
    """Return the name in a cookie; None if the signature is not ours."""
    return _read_signed(study, "cookie", cookie)


def make_form_token(study: Study, name: str) -> str:
    """Make the token in every form of this annotator's pages (CSRF protection)."""
    return keyed_hash(study, "form", name)


def is_form_token(study: Study, name: str, token: str) -> bool:
    """Return whether a form came from one of this annotator's pages."""
    return hmac.compare_digest(token.encode(), make_form_token(study, name).encode())


def _open_link_token(study: Study) -> str:
    return keyed_hash(study, "link", ANYONE)


def _read_signed(study: Study, purpose: str, signed: str) -> str | None:
    packed, _, signature = signed.partition(".")
    try:
        name = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
    except (ValueError, binascii.Error):
        return None
    valid = hmac.compare_digest(signature.encode(), keyed_hash(study, purpose, name).encode())
    return name if valid else None


def _pack(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
