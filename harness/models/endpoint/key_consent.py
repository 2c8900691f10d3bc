"""Which key may be sent to which host: what is known, or what the user has confirmed.

A profile can come with a cloned repository, and may name any variable and any host. A pair that was
never used before is therefore confirmed once, by `harness allow-key VARIABLE HOST`, or named in
HARNESS_ALLOW_KEY (`VARIABLE@HOST`, several with commas) where nobody can be asked, as in CI.
The confirmed pairs are the user's, in a file outside every repository.
"""

import os
import re
from pathlib import Path

from harness.core.errors import HarnessError

ALLOW_VARIABLE = "HARNESS_ALLOW_KEY"

# The providers' own names for their keys: what their documentation tells users to set.
_OWN_KEYS = {
    "ANTHROPIC_API_KEY": ("api.anthropic.com",),
    "AZURE_OPENAI_API_KEY": (".openai.azure.com", ".cognitiveservices.azure.com"),
    "CEREBRAS_API_KEY": ("api.cerebras.ai",),
    "DASHSCOPE_API_KEY": ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"),
    "DEEPSEEK_API_KEY": ("api.deepseek.com",),
    "FIREWORKS_API_KEY": ("api.fireworks.ai",),
    "GEMINI_API_KEY": ("generativelanguage.googleapis.com",),
    "GROQ_API_KEY": ("api.groq.com",),
    "HF_TOKEN": ("router.huggingface.co", "api-inference.huggingface.co"),
    "MISTRAL_API_KEY": ("api.mistral.ai",),
    "NVIDIA_API_KEY": ("integrate.api.nvidia.com",),
    "OPENAI_API_KEY": ("api.openai.com", ".api.openai.com"),
    "OPENROUTER_API_KEY": ("openrouter.ai",),
    "TOGETHER_API_KEY": ("api.together.xyz", "api.together.ai"),
    "XAI_API_KEY": ("api.x.ai",),
}
# Names in capitals with an underscore. Whatever else stands there may be a key itself.
_PLAIN_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?")


def show_variable(name: str) -> str:
    """Describe a variable of a profile in a message, without what may be a key pasted in its place."""
    if _PLAIN_NAME.fullmatch(name):
        return f"the environment variable {name}"
    return (
        "the environment variable that 'api_key_env' names (not shown here: it may be a key itself)"
    )


def require_allowed(variable: str, host: str) -> None:
    """Refuse to send the key to a host with which the user has never used it.

    Raises:
        HarnessError: the pair is neither known nor confirmed; tells how to confirm it.
    """
    if _is_own(variable, host) or (variable, host) in {*_named(), *_confirmed()}:
        return
    name = variable if _PLAIN_NAME.fullmatch(variable) else "VARIABLE"
    raise HarnessError(
        f"{host}: {show_variable(variable)} was never used with this host, which the profile wants to "
        f"send its content to. If that is right: harness allow-key {name} {host} "
        f"(once; in CI: {ALLOW_VARIABLE}={name}@{host})."
    )


def allow_key(variable: str, host: str) -> Path:
    """Confirm for this user that the variable's content may be sent to the host; return the file.

    Raises:
        HarnessError: no such names, or the file cannot be written.
    """
    host = host.lower()
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable) or not _HOST.fullmatch(host):
        raise HarnessError("write a variable's name and a host: harness allow-key MY_KEY my.host")
    path = _file()
    if (variable, host) in _confirmed():
        return path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(f"{variable}@{host}\n")
    except OSError as error:
        raise HarnessError(f"{path}: cannot be written: {error.strerror}.") from None
    return path


def _is_own(variable: str, host: str) -> bool:
    name, _, port = host.partition(":")
    hosts = _OWN_KEYS.get(variable, ())
    return port in ("", "443") and any(
        name.endswith(own) if own.startswith(".") else name == own for own in hosts
    )


def _named() -> set[tuple[str, str]]:
    return _read_pairs(os.environ.get(ALLOW_VARIABLE, "").split(","))


def _confirmed() -> set[tuple[str, str]]:
    try:
        return _read_pairs(_file().read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return set()


def _read_pairs(texts: list[str]) -> set[tuple[str, str]]:
    split = (text.strip().partition("@") for text in texts)
    return {(variable, host.lower()) for variable, at, host in split if at}


def _file() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "alignment-harness" / "allowed_keys"
