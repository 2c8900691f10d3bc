"""The view as a server: its folder, its link, and its end by Ctrl-C."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.view.app import make_app
from harness.view.tokens import Tokens
from harness.view.workspace import Workspace, require_workspace
from harness.web.request_guard import ENTRY
from harness.web.serve import Address

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class OpenView(NamedTuple):
    """A view that can be served: its application, its link, and how many runs it has read."""

    app: "ASGIApp"
    link: str
    n_runs: int


def open_view(out: Path, address: Address, log_error: Callable[[str], None]) -> OpenView:
    """Read the runs of an output folder, and make the application that shows them on an address.

    Raises:
        HarnessError: the path is no folder of runs.
    """
    require_workspace(out)
    workspace, tokens = Workspace(out), Tokens()
    n_runs = len(workspace.runs())
    app = make_app(workspace, tokens, is_own_host=address.is_own_host, log_error=log_error)
    return OpenView(app, f"{address.url}{ENTRY}{tokens.link}", n_runs)
