"""Files of UTF-8 text, and the prompts that suites and recipes name."""

import re
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import HarnessError, nearest_file
from harness.core.paths import suite_file_paths

_LINE_BREAK = re.compile(r"\r\n?")  # an editor's choice, which makes no other prompt


class PromptFile(NamedTuple):
    """A prompt as it was written, with line feeds only, and its file."""

    path: Path
    text: str


def read_bytes(path: Path) -> bytes:
    """Read a file's bytes.

    Raises:
        HarnessError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None


def decode_text(content: bytes, origin: str) -> str:
    """Decode UTF-8 text, without its byte order mark.

    Raises:
        HarnessError: it is not UTF-8; names the line.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise HarnessError(
            f"{origin}:{line}: not UTF-8 text (byte {error.start}). Save it as UTF-8."
        ) from None


def read_prompt(path: str | None, root: Path | None) -> str | None:
    """Read a system prompt's text as `read_prompt_file`; None gives None."""
    return None if path is None else read_prompt_file(path, root, "system prompt").text.strip()


def read_prompt_file(path: str, root: Path | None, kind: str) -> PromptFile:
    """Read a prompt from a file below `root` or among the suites.

    Without a root the user named the file on the command line, and it may be anywhere.

    Raises:
        HarnessError: the file is missing, elsewhere, empty or not text.
    """
    for file in suite_file_paths(path, root):
        if file.is_file():
            text = _LINE_BREAK.sub("\n", decode_text(read_bytes(file), str(file)))
            if not text.strip():
                raise HarnessError(f"{file}: is empty; leave the {kind} out to do without one.")
            return PromptFile(file, text)
    wanted = (root or Path()) / path
    raise HarnessError(f"{wanted}: no such {kind}.{nearest_file(wanted)}")
