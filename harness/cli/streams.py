"""Standard output and error streams whose failures do not change the exit code of a command.

A reader that closes early (`| head -1`), a terminal without ✓ or a closed descriptor must not lead to
another exit code: 1 would mean that a gate failed.
"""

import io
import os
import re
import sys
from pathlib import Path
from typing import TextIO

MAX_LINE = 200  # what is remembered of a line; more white space than this begins no command


# https://docs.github.com/actions/reference/workflow-commands: a line of a log that begins with `::`, and
# the older `##[` anywhere, are commands to the runner.
_COMMAND = re.compile(r"((?:^|[\r\n])[^\S\r\n]*:)(?=:)|(##)(?=\[)")


def defuse_commands(before: str, text: str) -> str:
    """Return the text with a space inside what GitHub's runner would take for a command.

    `before` is what the line already holds, because a line may be written in pieces.
    """
    return _COMMAND.sub(lambda match: f"{match[0]} ", before + text)[len(before) :]


class SafeStream(io.TextIOWrapper):
    """A text stream that discards its output once the reader has closed the pipe.

    In a GitHub workflow no name or message in it is a command to the runner.
    """

    _in_workflow = "GITHUB_ACTIONS" in os.environ
    _line = ""

    def write(self, text: str, /) -> int:
        """Write the text; discard it if the reader has closed the pipe."""
        if self._in_workflow and text:
            text = defuse_commands(self._line, text)
            line = re.split(r"[\r\n]", self._line + text)[-1]
            self._line = line if len(line) < MAX_LINE else f"…{line[-2:]}"
        try:
            return super().write(text)
        except BrokenPipeError:
            self._discard()
            return len(text)

    def flush(self) -> None:
        """Flush the stream; discard the rest if the reader has closed the pipe."""
        try:
            super().flush()
        except BrokenPipeError:
            self._discard()

    def _discard(self) -> None:
        """Redirect the stream to the null device, so that buffered text can still be flushed."""
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, self.fileno())
        os.close(null_device)


def protect_output() -> None:
    """Replace standard output and error by safe streams."""
    sys.stdout, sys.stderr = _make_safe(sys.stdout), _make_safe(sys.stderr)


def _make_safe(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed before the process started
        return Path(os.devnull).open("w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    encoding, line_buffering = stream.encoding, stream.line_buffering
    return SafeStream(
        stream.detach(), encoding=encoding, errors="replace", line_buffering=line_buffering
    )
