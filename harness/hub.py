"""Whether a hub model can be had, told at once: the hub's own client tries for a minute."""

import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from harness.errors import InfrastructureError

TIMEOUT_S = 5.0


def require_model(source: str, revision: str | None) -> None:
    """Return if the model is a directory, lies in the hub's cache, or the hub can be reached.

    Behind a proxy nothing is tried: the hub's client knows the way, and will tell.

    Raises:
        InfrastructureError: neither; says what to do.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    if Path(source).is_dir():
        return
    if isinstance(try_to_load_from_cache(source, "config.json", revision=revision), str):
        return
    why = "the hub is switched off (HF_HUB_OFFLINE)"
    if not constants.HF_HUB_OFFLINE:
        problem = None if getproxies() else _connection_problem(constants.ENDPOINT)
        if problem is None:
            return
        why = f"{constants.ENDPOINT} cannot be reached ({problem})"
    raise InfrastructureError(
        f"{source}: is no directory here and not in the hub's cache, and {why}. Connect to the "
        "internet once, fetch it with `hf download` into the cache, or name a checkpoint directory."
    )


def _connection_problem(url: str) -> str | None:
    """Why no connection opens; None if one does."""
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=TIMEOUT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return None
