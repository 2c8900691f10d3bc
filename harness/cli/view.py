"""The command that shows the runs of an output folder in a browser."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from harness.cli.options import OUT, Expose, Host, OpenBrowser, Port
from harness.cli.output import say

commands = typer.Typer()


@commands.command()
def view(
    out: Annotated[
        Path, typer.Argument(envvar="HARNESS_OUT", help="Folder of the runs.", show_default=True)
    ] = OUT,
    port: Port = 0,
    host: Host = None,
    expose: Expose = False,
    browser: OpenBrowser = True,
) -> None:
    """Show all runs in a browser: verdicts, claims over time, runs side by side, and runs under way."""
    from harness.view.serve import open_view
    from harness.web.serve import bind_address, open_in_browser, serve_app

    address = bind_address(host, port, expose=expose)
    with address.socket, ExitStack() as stack:
        opened = open_view(out, address, log_error=say)
        say(f"{out}: {opened.n_runs:,} {'run' if opened.n_runs == 1 else 'runs'}", opened.link)
        if expose:
            say(
                "Other machines can open this link, and read every run here, its items included; replace the "
                "machine's name by its address if they do not know it. The connection is not encrypted."
            )
        say("Ctrl-C stops the server.")
        if browser and not expose:
            folder = stack.enter_context(TemporaryDirectory(prefix="harness-view-"))
            stack.enter_context(open_in_browser(opened.link, Path(folder)))
        serve_app(opened.app, address)
