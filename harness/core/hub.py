"""The Hugging Face hub: a quick check of its availability, and the upload of a folder.

The hub's own client retries for a minute before it reports that the hub cannot be reached.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener, getproxies

from harness.core.errors import HarnessError, InfrastructureError, first_line

TIMEOUT_S = 5.0


def check_model_available(source: str, revision: str | None) -> None:
    """Check that the model is a directory or in the hub's cache, or that the hub can be reached.

    Raises:
        InfrastructureError: none of these; the message says what to do.
    """
    from huggingface_hub import try_to_load_from_cache

    if Path(source).is_dir():
        return
    if isinstance(try_to_load_from_cache(source, "config.json", revision=revision), str):
        return
    problem = hub_unreachable_reason()
    if problem is None:
        return
    raise InfrastructureError(
        f"{source}: is no directory here and not in the hub's cache, and {problem}. Connect to the "
        "internet once, fetch it with `hf download` into the cache, or name a checkpoint directory."
    )


def require_repository(repo: str) -> None:
    """Check that the repository's name is valid, that there is a token, and that the hub answers.

    Raises:
        HarnessError: not a repository name, or no token in the environment.
        InfrastructureError: the hub cannot be reached.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise HarnessError(f"--push {repo}: {error}") from None
    hub_token("--push")
    problem = hub_unreachable_reason()
    if problem is not None:
        raise InfrastructureError(
            f"--push {repo}: {problem}. Nothing was exported; leave --push out to export without it."
        )


def push_folder(folder: Path, repo: str) -> str:
    """Upload the folder to a model repository, a new one as private, and return its page.

    Raises:
        HarnessError: no token in the environment.
        InfrastructureError: the hub cannot be reached, or refuses.
    """
    import httpx
    from huggingface_hub import HfApi

    api = HfApi(token=hub_token("--push"))
    try:
        url = api.create_repo(repo, private=True, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Export a checkpoint")
    except (httpx.HTTPError, OSError) as error:
        raise InfrastructureError(
            f"{folder}: was exported, but not pushed to {repo}: {first_line(error)}"
        ) from None
    return str(url)


def hub_unreachable_reason() -> str | None:
    """Return why the hub cannot be reached; None if nothing speaks against it."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "the hub is switched off (HF_HUB_OFFLINE)"
    problem = unreachable_reason(constants.ENDPOINT)
    return None if problem is None else f"{constants.ENDPOINT} cannot be reached ({problem})"


def unreachable_reason(url: str) -> str | None:
    """Return why no server answers at an address; None if one does."""
    return _proxied_problem(url) if getproxies() else _connection_problem(url)


@contextmanager
def hub_offline() -> Iterator[None]:
    """Restrict the hub's clients to their caches, so that a missing file is an error at once."""
    from datasets import config
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE = before


def hub_token(option: str) -> str:
    """Return the token in HF_TOKEN, which the command's `option` needs.

    Raises:
        HarnessError: there is none.
    """
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise HarnessError(
            f"{option} needs a token that may write, in the environment variable HF_TOKEN. "
            "No other place is searched."
        )
    return token


def _proxied_problem(url: str) -> str | None:
    """Return why no answer comes through the proxy; None if any server answers."""
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
    """Return why no connection opens; None if one does."""
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=TIMEOUT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return None
