"""One inference engine as a process of its own, on a loopback port, until it is stopped."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from harness.core.errors import InfrastructureError
from harness.core.sanitize import printable_line
from harness.models.serving import supervisor

HEALTH_S = 5.0  # for one answer
POLL_S = 0.25
STOP_S = supervisor.GRACE_S + 5.0
TAIL_BYTES, TAIL_LINES = 16_000, 15
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class EngineProcess:
    """A started engine. It ends when it is stopped, and at the latest when this process does.

    Its output goes to a file that only the user can read: engines may log prompts.
    """

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], port: int, log: Path
    ) -> None:
        """Start the engine; it is not healthy yet.

        Raises:
            InfrastructureError: the log cannot be written.
        """
        self.name = name
        self.port = port
        self.log = log
        read_end, self._write_end = os.pipe()
        watched = [sys.executable, "-I", supervisor.__file__, str(read_end), *command]
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.unlink(missing_ok=True)
            descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the user's own engine
                    watched,
                    stdin=subprocess.DEVNULL,
                    stdout=descriptor,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    pass_fds=[read_end],
                    start_new_session=True,  # Ctrl-C is the harness's, which then stops it
                )
            finally:
                os.close(descriptor)
        except OSError as error:
            os.close(self._write_end)
            raise InfrastructureError(f"{log}: cannot be written: {error.strerror}.") from None
        finally:
            os.close(read_end)

    @property
    def alive(self) -> bool:
        """Return whether the engine still runs."""
        return self._process.poll() is None

    def wait_healthy(self, timeout_s: float) -> None:
        """Wait until the engine says that it is healthy.

        Raises:
            InfrastructureError: it ended, or was not healthy in time; with its last words.
        """
        deadline = time.monotonic() + timeout_s
        while not self._is_healthy():
            self.require_alive("ended before it could answer")
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"{self.name}: was not ready to answer within {timeout_s:g} s ('start_timeout_s' in "
                    f"its 'serve'). {self.last_words()}"
                )
            time.sleep(POLL_S)

    def require_alive(self, what: str = "ended while it was asked") -> None:
        """Check that the engine still runs.

        Raises:
            InfrastructureError: it ended; with its last words.
        """
        status = self._process.poll()
        if status is not None:
            signalled = f"signal {status - 128}" if status > 128 else f"exit status {status}"
            raise InfrastructureError(
                f"{self.name}: {what} ({signalled}). Answers so far are kept; run again for the others. "
                f"{self.last_words()}"
            )

    def last_words(self) -> str:
        """Return the end of the engine's log, and where the rest is."""
        with suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            text = _COLOURS.sub("", file.read().decode("utf-8", "replace"))
            lines = [printable_line(line) for line in re.split(r"[\r\n]+", text) if line.strip()]
            if lines:
                return "\n  ".join([f"Its last words, of {self.log}:", *lines[-TAIL_LINES:]])
        return f"It said nothing ({self.log})."

    def stop(self) -> None:
        """End the engine and all of its processes, and wait until they have ended."""
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HEALTH_S)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
