"""Links, cookies and form tokens: all made of the study's secret, so that none has to be kept.

A link lets in whoever has it: under the one name it was made for, or under a name of their choice.
The cookie says which name, and a form carries a token that only a page of ours can know. They
outlive a restart of the server: a page that was open goes on.
"""

import base64
import binascii
import hmac

from harness.human.annotate.assignment import keyed_hash
from harness.types import Study

ANYONE = ""  # the name in a cookie before one was entered


def make_link_token(study: Study, name: str = ANYONE) -> str:
    """What the link for this annotator ends in: 256 bits."""
    return f"{_pack(name)}.{keyed_hash(study, 'link', name)}" if name else _anyones(study)


def read_link_token(study: Study, token: str) -> str | None:
    """The name that a link is for, ANYONE, or None where it is no link of this study."""
    if hmac.compare_digest(token.encode(), _anyones(study).encode()):
        return ANYONE
    return _read_signed(study, "link", token)


def cookie_name(study: Study) -> str:
    """The cookie's name: cookies do not tell ports apart, and two studies may be open."""
    return f"annotate_{keyed_hash(study, 'cookie name')[:8]}"


def make_cookie(study: Study, name: str) -> str:
    """A cookie that says who is voting."""
    return f"{_pack(name)}.{keyed_hash(study, 'cookie', name)}"


def read_cookie(study: Study, cookie: str) -> str | None:
    """The name in a cookie; None where it is not one of ours."""
    return _read_signed(study, "cookie", cookie)


def make_form_token(study: Study, name: str) -> str:
    """What every form of this annotator's pages carries."""
    return keyed_hash(study, "form", name)


def is_form_token(study: Study, name: str, token: str) -> bool:
    """Whether a form came from one of this annotator's pages."""
    return hmac.compare_digest(token.encode(), make_form_token(study, name).encode())


def _anyones(study: Study) -> str:
    return keyed_hash(study, "link", ANYONE)


def _read_signed(study: Study, purpose: str, signed: str) -> str | None:
    packed, _, signature = signed.partition(".")
    try:
        name = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
    except (ValueError, binascii.Error):
        return None
    good = hmac.compare_digest(signature.encode(), keyed_hash(study, purpose, name).encode())
    return name if good else None


def _pack(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
