"""The command line: options, output and exit codes. Each command calls one function.

Exit codes: 0 gate passed (or no gate), 1 gate failed, 2 wrong usage or input, 3 inconclusive or no
verdict yet, 4 infrastructure, 130 interrupted. The code is never 0 if something was left undone.
"""

import gc
import os
import sys
from importlib import metadata
from typing import Annotated, NoReturn

import typer

from harness.cli import annotate as people
from harness.cli import calibrate as calibrating
from harness.cli import checkpoints, regression
from harness.cli import evaluate as evaluation
from harness.cli import interop as exchange
from harness.cli import judge as judging
from harness.cli import ledger as counting
from harness.cli import publish as publishing
from harness.cli import release as releasing
from harness.cli import stores as storing
from harness.cli import study as studying
from harness.cli import system as machine
from harness.cli import train as training
from harness.cli import view as viewing
from harness.cli.env_check import warn_unknown_env
from harness.cli.exit_codes import exit_now, exit_on_error
from harness.cli.help_text import shorten_help
from harness.cli.streams import protect_output
from harness.core.signals import install_signal_handlers

# New objects, and then searches of the younger generation, before a generation is searched for cycles.
# Python's 700, 10, 10 take a second of a small run; 50,000, 10, 10 are 6 % of one of 200,000 items.
GC_THRESHOLDS = 50_000, 100, 100

app = typer.Typer(
    name="harness",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


for title, groups in {
    "Evaluate": (evaluation, releasing, counting, storing),
    "Train": (training, checkpoints, studying),
    "Compare and exchange runs": (regression, viewing, exchange, publishing),
    "Judges and people": (judging, people, calibrating),
    "Harness": (machine,),
}.items():
    for group in groups:
        for command in (*group.commands.registered_commands, *group.commands.registered_groups):
            command.rich_help_panel = title
        app.add_typer(group.commands)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"alignment-harness {metadata.version('alignment-harness')}")
        raise typer.Exit


@app.callback()
def harness(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Evaluate fine-tuned language models: is this checkpoint better, and is it safe to ship?"""


def main() -> NoReturn:
    """Run the command line, and end with its exit code."""
    os.umask(os.umask(0o077) | 0o077)  # stores and checkpoints may hold what patients wrote
    install_signal_handlers()
    gc.set_threshold(*GC_THRESHOLDS)
    protect_output()
    warn_unknown_env(app)
    command = typer.main.get_command(app)
    shorten_help(command)
    try:
        with exit_on_error():
            sys.exit(command(standalone_mode=False))
    except SystemExit as exit_request:
        exit_now(exit_request.code)
