"""A warning on misspelt environment variables, which would have no effect."""

import os
from collections.abc import Iterator
from difflib import get_close_matches

import typer

PREFIX = "HARNESS_"
OTHER_SETTINGS = (
    *("ALLOW_KEY", "DATA_DIR", "FILES_FROM", "CACHE_DIR", "SAVE_EVERY", "STORE_MAX_MB"),
    *("VLLM", "SGLANG", "TRANSFORMERS"),
)


def warn_unknown_env(app: typer.Typer) -> None:
    """Warn on standard error of each variable whose name is close to a setting's.

    Other variables that begin with HARNESS_ may belong to another program.
    """
    names = {name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX)}
    if not names:
        return
    settings = {*OTHER_SETTINGS, *_option_settings(typer.main.get_command(app))}
    for name in sorted(names - settings):
        for match in get_close_matches(name, settings, n=1, cutoff=0.8):
            message = f"{PREFIX}{name} has no effect. Did you mean {PREFIX}{match}?"
            typer.echo(f"harness: {message}", err=True)


def _option_settings(command: object) -> Iterator[str]:
    for subcommand in getattr(command, "commands", {}).values():
        yield from _option_settings(subcommand)
    for option in getattr(command, "params", ()):
        if option.envvar:
            yield option.envvar.removeprefix(PREFIX)
