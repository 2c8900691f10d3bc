"""Replies in HTML, and the end of errors that have been answered."""

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send


def html_reply(page: str, status: int = 200) -> "Response":
    from starlette.responses import HTMLResponse

    return HTMLResponse(page, status_code=status)


def redirect(path: str) -> "Response":
    """Return a reply after which the browser asks for another page."""
    from starlette.responses import RedirectResponse

    return RedirectResponse(path, status_code=303)


def drop_answered_errors(app: "ASGIApp") -> "ASGIApp":
    """Drop exceptions that have been answered; Starlette raises them again for the server's log."""

    async def answered_once(scope: "Scope", receive: "Receive", send: "Send") -> None:
        with suppress(Exception):
            await app(scope, receive, send)

    return answered_once
