"""The link, the cookie and the addresses of files, all derived from one secret of the server.

The secret is drawn when the server starts, so that a link ends with it. Cookies are shared by all ports
of a host: the cookie's name is the server's own, so that two servers do not take each other's.
"""

import hmac
import secrets
from hashlib import sha256


class Tokens:
    """What a browser must have to read pages (the link, then the cookie), or the files of one run."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(32)
        self.link = self._sign("link")
        self.cookie = self._sign("cookie")
        self.cookie_name = f"view_{self._sign('cookie name')[:8]}"

    def is_link(self, token: str) -> bool:
        return _equal(token, self.link)

    def is_cookie(self, value: str) -> bool:
        return _equal(value, self.cookie)

    def of_files(self, suite: str, name: str) -> str:
        """Return the token in the addresses of one run's files, which opens nothing else."""
        return self._sign("files", suite, name)

    def is_of_files(self, token: str, suite: str, name: str) -> bool:
        """Return whether a token opens the files of this run."""
        return _equal(token, self.of_files(suite, name))

    def _sign(self, *words: str) -> str:
        message = "\0".join(words).encode(errors="surrogateescape")
        return hmac.new(self._secret, message, sha256).hexdigest()


def _equal(token: str, expected: str) -> bool:
    return hmac.compare_digest(token.encode(errors="replace"), expected.encode())
