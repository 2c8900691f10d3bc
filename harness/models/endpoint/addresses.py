"""The addresses that requests and keys may be sent to.

A profile can come with a cloned repository, and a base URL in it decides who reads a key and the
patients' texts (CVE-2026-21852 is this hole elsewhere). So a key goes only to its own host, plain
HTTP only to this machine, and nothing to addresses that hand out a cloud's credentials.
"""

import os
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from harness.config import EndpointSpec
from harness.core.errors import HarnessError
from harness.models.endpoint.key_consent import require_allowed, show_variable

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"

# Alibaba, Oracle, Azure's host agent, AWS over IPv6: not link-local, but metadata services too.
_METADATA = {"100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254"}
# Microsoft's names of its model endpoints, in its public and its sovereign clouds.
_AZURE = tuple(
    f".{service}.azure.{cloud}"
    for service in ("openai", "cognitiveservices", "services.ai")
    for cloud in ("com", "us", "cn")
)
_METADATA_NAMES = {"metadata", "metadata.google.internal", "metadata.goog", "instance-data"}


class Address(NamedTuple):
    """A base URL that requests may go to; `host` includes the port where the URL has one."""

    base_url: str
    host: str
    loopback: bool
    openai: bool

    @property
    def azure(self) -> bool:
        """Return whether this is Azure, which shares OpenAI's dialect but not its host."""
        return (urlsplit(self.base_url).hostname or "").endswith(_AZURE)


def read_address(base_url: str | None, *, allow_plain_http: bool = False) -> Address:
    """Return the address of a base URL, by default OpenAI's.

    Plain http to another machine needs the user's consent, `allow_plain_http`.

    Raises:
        HarnessError: nothing may be sent there; names the reason and what would work.
    """
    url = base_url or OPENAI_URL
    parts = _split(url)
    name = (parts.hostname or "").rstrip(".")
    ip = _ip_of(name)
    if (ip is not None and _forbidden(ip)) or name in _METADATA_NAMES:
        raise HarnessError(f"base_url {url}: {name} is no model endpoint; it is never asked.")
    loopback = name == "localhost" if ip is None else ip.is_loopback
    if parts.scheme == "http" and not loopback and not allow_plain_http:
        raise HarnessError(
            f"base_url {url}: plain http would show the key and the texts to the network. "
            f"Use https, or a tunnel to this machine: ssh -L 8000:{name}:{parts.port or 80} … "
            "For a host of your own on a network that you trust, add 'allow_plain_http: true'."
        )
    openai = name == "api.openai.com" or name.endswith(".api.openai.com")
    return Address(url.rstrip("/"), parts.netloc.lower(), loopback, openai)


def find_key(spec: EndpointSpec, address: Address) -> SecretStr | None:
    """Return the key for this address from the environment, None where the profile names none.

    Raises:
        HarnessError: there is no key, the key belongs to another host, or the user has not
            confirmed that it may be sent there.
    """
    name = key_variable(spec, address)
    if name is None:
        return None
    if name == OPENAI_KEY and not address.openai:
        raise HarnessError(
            f"{address.host}: {OPENAI_KEY} is only ever sent to api.openai.com. "
            "Put this host's key into a variable of its own and name it in 'api_key_env'."
        )
    key = os.environ.get(name, "").strip()
    if not key:
        raise HarnessError(f"{address.host}: {show_variable(name)} holds no key.")
    if not (key.isascii() and key.isprintable() and " " not in key):
        # The HTTP library would quote the whole key in its error.
        raise HarnessError(
            f"{address.host}: {show_variable(name)} holds characters that no key contains."
        )
    if not address.loopback:
        require_allowed(name, address.host)
    return SecretStr(key)


def key_variable(spec: EndpointSpec, address: Address) -> str | None:
    """Return the environment variable whose key this address gets; None for no key."""
    return spec.api_key_env or (OPENAI_KEY if address.openai else None)


def suggest_base_url(address: Address) -> str:
    """Return what a base URL with a wrong path may have been meant to be, as a question; or nothing."""
    root = address.base_url.removesuffix("/completions").removesuffix("/chat").rstrip("/")
    if root == address.base_url and not root.endswith("/v1"):
        root = f"{root}/v1"
    return "" if root == address.base_url else f"; did you mean base_url: {root} ?"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for an invalid port
    except ValueError as error:
        raise HarnessError(f"base_url {url}: is no URL: {error}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HarnessError(f"base_url {url}: is no URL; for example http://localhost:8000/v1.")
    if "@" in parts.netloc:
        raise HarnessError("base_url: holds a user name or password; name the key in api_key_env.")
    if parts.query or parts.fragment:
        raise HarnessError(
            f"base_url {url}: ends in a query or fragment. On Azure use its "
            "https://NAME.openai.azure.com/openai/v1 form, which needs none."
        )
    return parts


def _ip_of(name: str) -> IPv4Address | IPv6Address | None:
    """Return the IP of a literal, also in the forms 2130706433, 0x7f.1 and ::ffff:7f00:1."""
    try:
        ip = ip_address(name.partition("%")[0])
    except ValueError:
        try:
            return IPv4Address(socket.inet_aton(name))
        except OSError:
            return None
    return (isinstance(ip, IPv6Address) and ip.ipv4_mapped) or ip


def _forbidden(ip: IPv4Address | IPv6Address) -> bool:
    # 0.0.0.0 reaches this machine without looking like it.
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or str(ip) in _METADATA
