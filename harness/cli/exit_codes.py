"""Exit codes and messages for every way in which the command line can end."""

import atexit
import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer.exceptions

from harness.cli.output import INFRASTRUCTURE, INTERRUPTED
from harness.core.errors import HarnessError
from harness.core.signals import acknowledge_interrupt, is_interrupted

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_INTERRUPTED = "interrupted; finished work is kept, and the same command continues from there."


@contextmanager
def exit_on_error() -> Iterator[None]:
    """End the process with a message and an exit code if an exception is raised inside."""
    try:
        yield
    except HarnessError as error:
        _end(str(error), error.exit_code)
    except typer.exceptions.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # the vendored click's, which has no types
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        acknowledge_interrupt()
        _end(_INTERRUPTED, INTERRUPTED)
    except SystemExit as exit_request:  # typer exits without a message after Ctrl-C
        if exit_request.code == INTERRUPTED:
            acknowledge_interrupt()
            _end(_INTERRUPTED, INTERRUPTED)
        raise
    except OSError as error:
        if error.errno in NO_SPACE:
            _end(
                f"{error.filename or 'disk'}: {error.strerror}. Free some space and run again.",
                INFRASTRUCTURE,
            )
        if error.errno in NOT_ALLOWED and error.filename is not None:
            _end(
                f"{error.filename}: {error.strerror}. Check the permissions of this path.",
                INFRASTRUCTURE,
            )
        if error.errno == errno.ENAMETOOLONG and error.filename is not None:
            _end(
                f"{str(error.filename)[:100]}…: {error.strerror}. Name a shorter path.",
                HarnessError.exit_code,
            )
        _end_with_traceback()
    except Exception:  # noqa: BLE001 - an unforeseen error must not end like a failed gate (1)
        if is_interrupted():
            acknowledge_interrupt()
            _end(_INTERRUPTED, INTERRUPTED)
        _end_with_traceback()


def exit_now(code: str | int | None) -> NoReturn:
    """End the process at once, after flushing all output and running the exit handlers.

    Python's normal exit unwinds the judges' threads inside compiled code, which sometimes aborts the
    process, and takes a second to unload torch and scipy.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _end(message: str, code: int) -> NoReturn:
    from harness.core.sanitize import escape_invisible

    typer.echo(f"harness: {escape_invisible(message)}", err=True)
    sys.exit(code)


def _end_with_traceback() -> NoReturn:
    traceback.print_exc()
    _end("unexpected error; please report it with the lines above.", INFRASTRUCTURE)
