"""The hub: whether it can be had, told at once, and pushing to it.

Its own client tries for a minute before it says that it cannot be had.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener, getproxies

from harness.core.errors import HarnessError, InfrastructureError

TIMEOUT_S = 5.0


def check_model_available(source: str, revision: str | None) -> None:
    """Return if the model is a directory, lies in the hub's cache, or the hub can be reached.

    Raises:
        InfrastructureError: neither; says what to do.
    """
    from huggingface_hub import try_to_load_from_cache

    if Path(source).is_dir():
        return
    if isinstance(try_to_load_from_cache(source, "config.json", revision=revision), str):
        return
    why = hub_unreachable_reason()
    if why is None:
        return
    raise InfrastructureError(
        f"{source}: is no directory here and not in the hub's cache, and {why}. Connect to the "
        "internet once, fetch it with `hf download` into the cache, or name a checkpoint directory."
    )


def require_repository(repo: str) -> None:
    """Return if there is a name, a token and a hub to push to.

    Raises:
        HarnessError: no name of a repository, or no token in the environment.
        InfrastructureError: the hub cannot be reached.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise HarnessError(f"--push {repo}: {error}") from None
    _token()
    why = hub_unreachable_reason()
    if why is not None:
        raise InfrastructureError(
            f"--push {repo}: {why}. Nothing was exported; leave --push out to export without it."
        )


def push_folder(folder: Path, repo: str) -> str:
    """The page of the model repository that the folder was uploaded to; a new one is private.

    Raises:
        HarnessError: no token in the environment.
        InfrastructureError: the hub cannot be reached, or refuses.
    """
    import httpx
    from huggingface_hub import HfApi

    api = HfApi(token=_token())
    try:
        url = api.create_repo(repo, private=True, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Export a checkpoint")
    except (httpx.HTTPError, OSError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise InfrastructureError(
            f"{folder}: was exported, but not pushed to {repo}: {first_line}"
        ) from None
    return str(url)


def hub_unreachable_reason() -> str | None:
    """Why the hub cannot be asked; None if it seems that it can."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "the hub is switched off (HF_HUB_OFFLINE)"
    find_problem = _proxied_problem if getproxies() else _connection_problem
    problem = find_problem(constants.ENDPOINT)
    return None if problem is None else f"{constants.ENDPOINT} cannot be reached ({problem})"


@contextmanager
def is_hub_offline() -> Iterator[None]:
    """Its clients look into their caches only, and say at once what is not there."""
    from datasets import config
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE = before


def _token() -> str:
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise HarnessError(
            "--push needs a token that may write, in the environment variable HF_TOKEN. "
            "No other place is looked at."
        )
    return token


def _proxied_problem(url: str) -> str | None:
    """Why nothing comes through the proxy; None if anybody there answers."""
    try:
        head = Request(url, method="HEAD")  # noqa: S310 - the hub that the user has named
        build_opener().open(head, timeout=TIMEOUT_S).close()
    except HTTPError:
        return None
    except OSError as error:
        reason = getattr(error, "reason", error)
        return f"through a proxy: {getattr(reason, 'strerror', None) or reason}"
    return None


def _connection_problem(url: str) -> str | None:
    """Why no connection opens; None if one does."""
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=TIMEOUT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return None
