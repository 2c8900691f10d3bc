"""The command line: options in, exit codes out. Each command is a few lines over one function.

Exit codes: 0 gate passed (or no gate), 1 gate failed, 2 wrong usage or input, 3 inconclusive or no
verdict yet, 4 infrastructure, 130 interrupted. Never 0 when something was left undone.
"""

import gc
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
from harness.cli import system as machine
from harness.cli import train as training
from harness.cli.env_check import warn_unknown_env
from harness.cli.exit_codes import exit_now, exit_on_error
from harness.cli.streams import protect_output
from harness.core.signals import install_signal_handlers

GARBAGE_AFTER = 50_000  # new objects; Python's 700 costs a run a second of looking for cycles


app = typer.Typer(
    name="harness",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


for title, groups in {
    "Evaluate": (evaluation,),
    "Train": (training, checkpoints),
    "Compare runs, and exchange them": (regression, exchange),
    "Judges and people": (judging, people, calibrating),
    "The harness itself": (machine,),
}.items():
    for group in groups:
        for command in (*group.commands.registered_commands, *group.commands.registered_groups):
            command.rich_help_panel = title
        app.add_typer(group.commands)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alignment-harness {metadata.version('alignment-harness')}")
        raise typer.Exit


@app.callback()
def harness(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Say which version this is."
        ),
    ] = False,
) -> None:
    """Is this checkpoint better, and is it safe to ship?"""


def main() -> NoReturn:
    """Run the command line; every ending has its exit code."""
    install_signal_handlers()
    gc.set_threshold(GARBAGE_AFTER)
    protect_output()
    warn_unknown_env(app)
    try:
        with exit_on_error():
            sys.exit(app(standalone_mode=False))
    except SystemExit as ending:
        exit_now(ending.code)
