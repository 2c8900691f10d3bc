"""Standard output and error streams whose failures do not change the exit code of a command.

A reader that closes early (`| head -1`), a terminal without ✓ or a closed descriptor must not lead to
another exit code: 1 would mean that a gate failed.
"""

import io
import os
import sys
from pathlib import Path
from typing import TextIO


class SafeStream(io.TextIOWrapper):
    """A text stream that discards its output once the reader has closed the pipe."""

    def write(self, text: str, /) -> int:
        """Write the text; discard it if the reader has closed the pipe."""
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
