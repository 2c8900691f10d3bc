"""The help of commands, made short enough for a screen of 80 columns."""

from typing import Any

from typer.core import TyperOption

from harness.cli.env_check import PREFIX


def shorten_help(command: Any) -> None:
    """Shorten the help of a command and of its subcommands, so that no option's name is cut off.

    Environment variables stand together below the options; one that is not named after its option stays
    beside it. Switches have no type, and numbers are N; the message on a wrong one has its range.
    """
    for subcommand in getattr(command, "commands", {}).values():
        shorten_help(subcommand)
    named = []
    for option in command.params:
        if not isinstance(option, TyperOption):
            continue
        if option.is_flag:
            option.metavar = ""
        elif option.bare_type().startswith(("int", "float")):
            option.metavar = option.metavar or "N"
            option.min = option.max = None  # shown only: values are checked by the type
        if option.envvar == PREFIX + max(option.opts, key=len)[2:].replace("-", "_").upper():
            option.show_envvar = False
            named.append(option.envvar)
    if named:
        command.epilog = f"Environment, for the options of these names: {', '.join(named)}."
