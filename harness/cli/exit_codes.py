"""Every ending has its exit code and, unless it is a good one, its sentence."""

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
from harness.core.signals import acknowledge_interrupt

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


_STOPPED = "interrupted; what was done is kept, and the same command goes on from there."


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Whatever is raised inside ends the process with a line and a code."""
    try:
        yield
    except HarnessError as error:
        _end(str(error), error.exit_code)
    except typer.exceptions.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # the vendored click's, which has no types
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        acknowledge_interrupt()
        _end(_STOPPED, INTERRUPTED)
    except SystemExit as ending:  # typer's own way to end after Ctrl-C says nothing
        if ending.code == INTERRUPTED:
            acknowledge_interrupt()
            _end(_STOPPED, INTERRUPTED)
        raise
    except OSError as error:
        if error.errno in NO_SPACE:
            _end(f"{error.filename or 'disk'}: {error.strerror}. Free some space and run again.", 4)
        if error.errno in NOT_ALLOWED and error.filename is not None:
            _end(f"{error.filename}: {error.strerror}. Look at who may read and write it.", 4)
        _end_with_traceback()
    except Exception:  # noqa: BLE001 - an unforeseen error must not end like a failed gate (1)
        _end_with_traceback()


def exit_now(code: str | int | None) -> NoReturn:
    """End the process here and now, with everything said and cleaned up.

    Python's own way out would unwind judges' threads in the middle of compiled code, which aborts
    the process now and then, and takes a second to take torch and scipy apart.
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
    _end("this should not happen; please report it with the lines above.", INFRASTRUCTURE)
