"""Standard output and error that cannot change how a command ends.

A reader that leaves early (`| head -1`), a terminal without ✓ and a closed descriptor are no
reasons for another exit code: 1 would say that a gate failed.
"""

import io
import os
import sys
from pathlib import Path
from typing import TextIO


class SafeStream(io.TextIOWrapper):
    """Text for a reader who may have left: what comes then goes nowhere."""

    def write(self, text: str, /) -> int:
        """Write it, or let go of a reader that is gone."""
        try:
            return super().write(text)
        except BrokenPipeError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        """Flush it, or let go of a reader that is gone."""
        try:
            super().flush()
        except BrokenPipeError:
            self._let_go()

    def _let_go(self) -> None:
        """What is still in the buffers may be written, and nobody reads it."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def protect_output() -> None:
    """From now on standard output and error are steady."""
    sys.stdout, sys.stderr = _steady(sys.stdout), _steady(sys.stderr)


def _steady(stream: TextIO | None) -> TextIO:
    if stream is None:  # it was closed before we began
        return Path(os.devnull).open("w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    encoding, by_line = stream.encoding, stream.line_buffering
    return SafeStream(stream.detach(), encoding=encoding, errors="replace", line_buffering=by_line)
