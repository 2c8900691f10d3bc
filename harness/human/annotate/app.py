"""The routes: every page is rendered here, every click is a form, and nothing needs a script."""

import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeGuard
from urllib.parse import parse_qsl

from harness.core.errors import InfrastructureError
from harness.core.sanitize import escape_invisible
from harness.human.annotate.pages import (
    Instructions,
    Voter,
    asset,
    break_page,
    done_page,
    message_page,
    pair_page,
    welcome_page,
)
from harness.human.annotate.request_guard import ENTRY, Guard
from harness.human.annotate.session import VotingSession
from harness.human.annotate.tokens import (
    ANYONE,
    cookie_name,
    is_form_token,
    make_cookie,
    make_form_token,
    read_cookie,
    read_link_token,
)
from harness.human.annotate.vote_form import UnreadableError, read_name, read_vote_form

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_FIELDS = 200


_ASSETS = {
    "annotate.css": "text/css",
    "keys.js": "text/javascript",
    "annotate.js": "text/javascript",
}


_NO_LINK = (
    "This page needs its link",
    "Open the link that you were given. If it was long ago, ask for it again.",
)


class _RefusedError(Exception):
    """A page that says why not, with its status."""

    def __init__(self, status: int, heading: str, text: str) -> None:
        super().__init__(heading)
        self.status, self.heading, self.text = status, heading, text


def make_app(
    session: VotingSession,
    *,
    is_ours: Callable[[str], bool],
    log_error: Callable[[str], None],
    admitted: Collection[str] = (),
) -> "ASGIApp":
    """The whole application; what goes wrong inside it is told to `log_error` alone.

    `admitted` are the only names that may vote; anyone with a link may where it is empty.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    handlers = _Handlers(session, admitted)

    async def refused(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, _RefusedError)
        return _html(message_page(error.heading, error.text), error.status)

    async def unsaved(request: "Request", error: Exception) -> "Response":
        log_error(str(error))
        text = "Your last choice could not be saved. Those before it are. Tell whoever sent you the link."
        return _html(message_page("Not saved", text), 507)

    async def unknown(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase
        return _html(message_page(phrase, "There is nothing here."), error.status_code)

    async def broken(request: "Request", error: Exception) -> "Response":
        log_error("".join(traceback.format_exception(error)))
        text = "That is our fault. Every choice that was saved is kept: go back and try again."
        return _html(message_page("Something went wrong", text), 500)

    app = Starlette(
        routes=[
            Route("/", handlers.home),
            Route(ENTRY + "{token}", handlers.enter),
            Route("/begin", handlers.begin, methods=["POST"]),
            Route("/leave", handlers.leave, methods=["POST"]),
            Route("/pair", handlers.pair),
            Route("/break", handlers.pause),
            Route("/vote", handlers.vote, methods=["POST"]),
            Route("/undo", handlers.undo, methods=["POST"]),
            Route("/{name}", handlers.file),
        ],
        exception_handlers={
            _RefusedError: refused, InfrastructureError: unsaved, HTTPException: unknown,
            Exception: broken,
        },
    )  # fmt: skip
    app.router.redirect_slashes = False
    return Guard(_once_answered(app), is_ours=is_ours)


class _Handlers:
    """The handlers. They never wait, so that one request is done before the next begins."""

    def __init__(self, session: VotingSession, admitted: Collection[str]) -> None:
        self._session = session
        self._admitted = admitted
        self._cookie = cookie_name(session.study)
        self._asked = Instructions(escape_invisible(session.study.asks), session.study.criteria)

    async def home(self, request: "Request") -> "Response":
        name = self._name(request)
        return _go("/pair") if name else self._welcome(name)

    async def enter(self, request: "Request") -> "Response":
        name = read_link_token(self._session.study, request.path_params["token"])
        if not self._is_admitted(name):
            raise _RefusedError(403, *_NO_LINK)
        # Not a redirect: a strict cookie does not follow one that began on another site.
        return self._with_cookie(self._welcome(name), name)

    async def begin(self, request: "Request") -> "Response":
        fields = await self._fields(request)
        name = self._name(request)
        if name == ANYONE:
            try:
                name = self._session.canonical_name(read_name(fields.get("name", "")))
            except UnreadableError as error:
                return self._welcome(ANYONE, wrong=str(error))
            return self._with_cookie(_go("/pair"), name)
        return _go("/pair")

    async def leave(self, request: "Request") -> "Response":
        await self._fields(request)
        return self._with_cookie(_go("/"), ANYONE)

    async def pair(self, request: "Request") -> "Response":
        voter = self._voter(request)
        said = request.query_params.get("said", "")
        turn = self._session.next_pair(voter.name)
        if turn is None:
            return _html(done_page(voter, said))
        return _html(pair_page(voter, self._asked, turn, said))

    async def pause(self, request: "Request") -> "Response":
        return _html(break_page(self._voter(request), request.query_params.get("said", "")))

    async def vote(self, request: "Request") -> "Response":
        fields = await self._fields(request)
        voter = self._voter(request)
        try:
            form = read_vote_form(fields, self._session.study.criteria)
            self._session.vote(voter.name, fields.get("ticket", ""), form)
        except UnreadableError as error:
            raise _RefusedError(409, "Not saved", f"{error} Go back and try again.") from None
        done = self._session.n_done(voter.name)
        every = self._session.study.break_every
        pause = every > 0 and done % every == 0 and done < self._session.total
        return _go(f"{'/break' if pause else '/pair'}?said={form.choice}")

    async def undo(self, request: "Request") -> "Response":
        await self._fields(request)
        undone = self._session.undo(self._voter(request).name)
        return _go("/pair?said=undone" if undone else "/pair")

    async def file(self, request: "Request") -> "Response":
        from starlette.exceptions import HTTPException
        from starlette.responses import Response

        name = request.path_params["name"]
        if name not in _ASSETS:
            raise HTTPException(404)
        return Response(asset(name), media_type=_ASSETS[name])

    # --- who, and from where -----------------------------------------------------------------

    def _name(self, request: "Request") -> str:
        """Who is asking, by the cookie; ANYONE has come by the link but given no name yet."""
        name = read_cookie(self._session.study, request.cookies.get(self._cookie, ""))
        if not self._is_admitted(name):
            raise _RefusedError(403, *_NO_LINK)
        return name

    def _is_admitted(self, name: str | None) -> TypeGuard[str]:
        return name is not None and (not self._admitted or name in self._admitted)

    def _voter(self, request: "Request") -> Voter:
        name = self._name(request)
        if name == ANYONE:
            raise _RefusedError(403, *_NO_LINK)
        return self._voter_named(name)

    def _voter_named(self, name: str) -> Voter:
        return Voter(
            name=name,
            n_done=self._session.n_done(name) if name else 0,
            total=self._session.total,
            form_token=make_form_token(self._session.study, name),
            may_leave=not self._admitted,
        )

    async def _fields(self, request: "Request") -> dict[str, str]:
        """The fields of a form that came from one of our own pages."""
        body = await request.body()
        try:
            pairs = parse_qsl(
                body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS,
                errors="replace",
            )  # fmt: skip
        except ValueError:
            raise _RefusedError(400, "Not saved", "The form cannot be read.") from None
        fields = dict(pairs)
        if not is_form_token(self._session.study, self._name(request), fields.get("token", "")):
            raise _RefusedError(
                403, "Not saved", "This page is out of date. Open your link again, and go on there."
            )
        return fields

    def _welcome(self, name: str, wrong: str | None = None) -> "Response":
        page = welcome_page(self._voter_named(name), self._asked, wrong)
        return _html(page, 200 if wrong is None else 422)

    def _with_cookie(self, response: "Response", name: str) -> "Response":
        value = make_cookie(self._session.study, name)
        response.set_cookie(self._cookie, value, httponly=True, samesite="strict", path="/")
        return response


def _once_answered(app: "ASGIApp") -> "ASGIApp":
    """Starlette raises what it has answered with a page again, for a server that would print it."""

    async def quiet(scope: "Scope", receive: "Receive", send: "Send") -> None:
        with suppress(Exception):
            await app(scope, receive, send)

    return quiet


def _html(page: str, status: int = 200) -> "Response":
    from starlette.responses import HTMLResponse

    return HTMLResponse(page, status_code=status)


def _go(path: str) -> "Response":
    from starlette.responses import RedirectResponse

    return RedirectResponse(path, status_code=303)
