"""The command line: options in, exit codes out. Each command is a few lines over one function.

Exit codes: 0 gate passed (or no gate), 1 gate failed, 2 wrong usage or input, 3 inconclusive or no
verdict yet, 4 infrastructure, 130 interrupted. Never 0 when something was left undone.
"""

import gc
import sys
from typing import NoReturn

import typer

from harness.cli import (
    calibrating,
    checkpoints,
    evaluation,
    exchange,
    judging,
    machine,
    people,
    regression,
    training,
)
from harness.cli.endings import explained_errors, leave
from harness.interrupts import end_on_signals

GARBAGE_AFTER = 50_000  # new objects; Python's 700 costs a run a second of looking for cycles

app = typer.Typer(
    name="harness",
    help="Is this checkpoint better, and is it safe to ship?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    evaluation,
    training,
    regression,
    exchange,
    checkpoints,
    judging,
    people,
    calibrating,
    machine,
):
    app.add_typer(group.commands)


def main() -> NoReturn:
    """Run the command line; every ending has its exit code."""
    end_on_signals()
    gc.set_threshold(GARBAGE_AFTER)
    try:
        with explained_errors():
            sys.exit(app(standalone_mode=False))
    except SystemExit as ending:
        leave(ending.code)
