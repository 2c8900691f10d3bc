"""Environment variables that look like a setting's name and are none: said, since they change nothing."""

import os
from collections.abc import Iterator
from difflib import get_close_matches

import typer

PREFIX = "HARNESS_"


NO_OPTIONS = ("DATA_DIR", "CACHE_DIR", "SAVE_EVERY", "STORE_MAX_MB")


def warn_unknown_env(app: typer.Typer) -> None:
    """Name each variable that is nearly one of the command line's, on standard error.

    Others that begin with HARNESS_ may belong to another program.
    """
    given = {name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX)}
    if not given:
        return
    known = {*NO_OPTIONS, *_settings(typer.main.get_command(app))}
    for name in sorted(given - known):
        for close in get_close_matches(name, known, n=1, cutoff=0.8):
            message = f"{PREFIX}{name} changes nothing. Did you mean {PREFIX}{close}?"
            typer.echo(f"harness: {message}", err=True)


def _settings(command: object) -> Iterator[str]:
    for each in getattr(command, "commands", {}).values():
        yield from _settings(each)
    for option in getattr(command, "params", ()):
        if option.envvar:
            yield option.envvar.removeprefix(PREFIX)
