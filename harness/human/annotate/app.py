"""Routes of the voting page. Pages are rendered here, each click sends a form; no script is needed."""

import traceback
from collections.abc import Callable, Collection
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
from harness.web.replies import drop_answered_errors, html_reply, redirect
from harness.web.request_guard import ENTRY, Guard

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

MAX_FIELDS = 200

_ASSETS = {
    "annotate.css": "text/css",
    "keys.js": "text/javascript",
    "annotate.js": "text/javascript",
}

_NO_LINK = (  # heading and text of the page for a request without a valid cookie or link
    "This page needs its link",
    "Open the link that you were given. If it was long ago, ask for it again.",
)


class _RefusedError(Exception):
    """A refused request: the status, heading and text of the page in reply."""

    def __init__(self, status: int, heading: str, text: str) -> None:
        super().__init__(heading)
        self.status, self.heading, self.text = status, heading, text


def make_app(
    session: VotingSession,
    *,
    is_own_host: Callable[[str], bool],
    log_error: Callable[[str], None],
    allowed_names: Collection[str] = (),
) -> "ASGIApp":
    """Make the application; details of internal errors go to `log_error` and not to the browser.

    `allowed_names` are the only annotators who may vote; empty allows anybody with a link.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    handlers = _Handlers(session, allowed_names)

    # Pages in place of errors.
    async def on_refused(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, _RefusedError)
        return html_reply(message_page(error.heading, error.text), error.status)

    async def on_save_error(request: "Request", error: Exception) -> "Response":
        log_error(str(error))
        text = (
            "Your last choice could not be saved. Earlier ones are saved. Inform the person who "
            "sent you the link."
        )
        return html_reply(message_page("Not saved", text), 507)

    async def on_http_error(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase
        return html_reply(message_page(phrase, "There is nothing here."), error.status_code)

    async def on_error(request: "Request", error: Exception) -> "Response":
        log_error("".join(traceback.format_exception(error)))
        text = "This is an error of the server. Saved choices are kept: go back and try again."
        return html_reply(message_page("Something went wrong", text), 500)

    # The routes, behind the checks of every request.
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
            _RefusedError: on_refused, InfrastructureError: on_save_error,
            HTTPException: on_http_error, Exception: on_error,
        },
    )  # fmt: skip
    app.router.redirect_slashes = False
    return Guard(drop_answered_errors(app), is_own_host=is_own_host)


class _Handlers:
    """Request handlers. After reading the form they await nothing: votes are saved one at a time."""

    def __init__(self, session: VotingSession, allowed_names: Collection[str]) -> None:
        self._session = session
        self._allowed_names = allowed_names
        self._cookie = cookie_name(session.study)
        self._instructions = Instructions(
            escape_invisible(session.study.asks), session.study.criteria
        )

    async def home(self, request: "Request") -> "Response":
        name = self._name(request)
        return redirect("/pair") if name else self._welcome(name)

    async def enter(self, request: "Request") -> "Response":
        name = read_link_token(self._session.study, request.path_params["token"])
        if not self._is_allowed(name):
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
            return self._with_cookie(redirect("/pair"), name)
        return redirect("/pair")

    async def leave(self, request: "Request") -> "Response":
        await self._fields(request)
        return self._with_cookie(redirect("/"), ANYONE)

    async def pair(self, request: "Request") -> "Response":
        voter = self._voter(request)
        last_action = request.query_params.get("last_action", "")
        next_pair = self._session.next_pair(voter.name)
        if next_pair is None:
            return html_reply(done_page(voter, last_action))
        return html_reply(pair_page(voter, self._instructions, next_pair, last_action))

    async def pause(self, request: "Request") -> "Response":
        last_action = request.query_params.get("last_action", "")
        return html_reply(break_page(self._voter(request), last_action))

    async def vote(self, request: "Request") -> "Response":
        fields = await self._fields(request)
        voter = self._voter(request)
        try:
            form = read_vote_form(fields, self._session.study.criteria)
            self._session.vote(voter.name, fields.get("ticket", ""), form)
        except UnreadableError as error:
            raise _RefusedError(409, "Not saved", f"{error} Go back and try again.") from None
        n_done = self._session.n_done(voter.name)
        break_every = self._session.study.break_every
        pause = break_every > 0 and n_done % break_every == 0 and n_done < self._session.total
        return redirect(f"{'/break' if pause else '/pair'}?last_action={form.choice}")

    async def undo(self, request: "Request") -> "Response":
        await self._fields(request)
        undone = self._session.undo(self._voter(request).name)
        return redirect("/pair?last_action=undone" if undone else "/pair")

    async def file(self, request: "Request") -> "Response":
        from starlette.exceptions import HTTPException
        from starlette.responses import Response

        name = request.path_params["name"]
        if name not in _ASSETS:
            raise HTTPException(404)
        return Response(asset(name), media_type=_ASSETS[name])

    # --- annotator and form ------------------------------------------------------------------

    def _name(self, request: "Request") -> str:
        """Return the annotator's name from the cookie; ANYONE before a name was entered."""
        name = read_cookie(self._session.study, request.cookies.get(self._cookie, ""))
        if not self._is_allowed(name):
            raise _RefusedError(403, *_NO_LINK)
        return name

    def _is_allowed(self, name: str | None) -> TypeGuard[str]:
        return name is not None and (not self._allowed_names or name in self._allowed_names)

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
            may_leave=not self._allowed_names,
        )

    async def _fields(self, request: "Request") -> dict[str, str]:
        """Return the fields of a form, checked to come from one of our own pages."""
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
        page = welcome_page(self._voter_named(name), self._instructions, wrong)
        return html_reply(page, 200 if wrong is None else 422)

    def _with_cookie(self, response: "Response", name: str) -> "Response":
        value = make_cookie(self._session.study, name)
        response.set_cookie(self._cookie, value, httponly=True, samesite="strict", path="/")
        return response
