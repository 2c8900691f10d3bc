"""Routes of the view. Pages are rendered here; a script only asks again how a run under way is doing."""

import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from harness.artifacts.results_json import load_result
from harness.artifacts.running import running_runs
from harness.core.errors import HarnessError
from harness.core.sanitize import to_valid_utf8
from harness.view.pages import Filter, Pages, policy
from harness.view.rows import file_address
from harness.view.run_files import FILES, find_file, list_files
from harness.view.side_by_side import FEWEST, MOST, lay_side_by_side
from harness.view.tokens import Tokens
from harness.view.trends import item_sets_of, suites_of, trends_of
from harness.view.workspace import RunEntry, Workspace, find_entry
from harness.web.replies import drop_answered_errors, html_reply
from harness.web.request_guard import ENTRY, Guard

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp


class _RefusedError(Exception):
    """A refused request: the status, heading and text of the page in reply, and whether it links to the list."""

    def __init__(self, status: int, heading: str, text: str, *, to_list: bool = True) -> None:
        super().__init__(heading)
        self.status, self.heading, self.text, self.to_list = status, heading, text, to_list


def _no_link() -> _RefusedError:
    text = "Open the link that `harness view` printed when it started; an earlier start's no longer works."
    return _RefusedError(403, "This page needs its link", text, to_list=False)


def _gone() -> _RefusedError:
    text = (
        "It was deleted or moved after it was listed, or the address is not one of this workspace."
    )
    return _RefusedError(404, "There is no such run", text)


def make_app(
    workspace: Workspace,
    tokens: Tokens,
    *,
    is_own_host: Callable[[str], bool],
    log_error: Callable[[str], None],
) -> "ASGIApp":
    """Make the application; details of internal errors go to `log_error` and not to the browser."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    handlers = _Handlers(workspace, tokens)

    async def on_refused(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, _RefusedError)
        return handlers.refusal(error)

    async def on_http_error(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase
        refused = _RefusedError(
            error.status_code, phrase, "There is nothing here.", to_list=handlers.may_read(request)
        )
        return handlers.refusal(refused)

    async def on_error(request: "Request", error: Exception) -> "Response":
        log_error("".join(traceback.format_exception(error)))
        text = "This is an error of the server, which has written it to its terminal."
        return handlers.refusal(_RefusedError(500, "Something went wrong", text))

    app = Starlette(
        routes=[
            Route("/", handlers.runs),
            Route(ENTRY + "{token}", handlers.enter),
            Route("/run/{suite}/{name}", handlers.run),
            Route("/trends", handlers.trends),
            Route("/compare", handlers.compare),
            Route("/progress", handlers.progress),
            Route(FILES + "{suite}/{name}/{token}/{file:path}", handlers.file),
        ],
        exception_handlers={
            _RefusedError: on_refused, HTTPException: on_http_error, Exception: on_error,
        },
    )  # fmt: skip
    app.router.redirect_slashes = False
    return Guard(drop_answered_errors(app), is_own_host=is_own_host, entries=(ENTRY, FILES))


class _Handlers:
    """Request handlers, which are answered one after another."""

    def __init__(self, workspace: Workspace, tokens: Tokens) -> None:
        self._workspace = workspace
        self._tokens = tokens
        self._pages = Pages(workspace.out)

    async def enter(self, request: "Request") -> "Response":
        if not self._tokens.is_link(request.path_params["token"]):
            raise _no_link()
        # Not a redirect: a strict cookie does not follow one that began on another site.
        response = self._html(self._pages.entered())
        response.set_cookie(
            self._tokens.cookie_name,
            self._tokens.cookie,
            httponly=True,
            samesite="strict",
            path="/",
        )
        return response

    async def runs(self, request: "Request") -> "Response":
        self._require_cookie(request)
        asked = request.query_params
        chosen = Filter(*(asked.get(name, "") for name in Filter._fields))
        page = asked.get("page", "1")
        number = int(page[:6]) if page.isascii() and page.isdigit() else 1
        under_way = running_runs(self._workspace.out)
        return self._html(self._pages.runs(self._workspace.runs(), chosen, number, under_way))

    async def run(self, request: "Request") -> "Response":
        self._require_cookie(request)
        entry = self._entry(request)
        try:
            result = load_result(entry.folder)
        except HarnessError as error:
            if not entry.folder.is_dir():
                raise _gone() from None
            raise _RefusedError(200, "This run cannot be read", str(error)) from None
        token = self._tokens.of_files(entry.suite, entry.name)
        files = [
            (file_address(FILES, entry, token, name), name, what)
            for name, what in list_files(entry.folder)
        ]
        return self._html(self._pages.run(entry, result, files))

    async def trends(self, request: "Request") -> "Response":
        self._require_cookie(request)
        entries = self._workspace.runs()
        suites = suites_of(entries)
        suite = request.query_params.get("suite", suites[0] if suites else "")
        item_sets = item_sets_of(entries, suite)
        items = request.query_params.get("items", "")
        if items not in {known.key for known in item_sets}:
            items = ""  # a choice that was made for another suite
        trends = trends_of(entries, suite, items)
        return self._html(self._pages.trends(trends, suites, suite, item_sets, items))

    async def compare(self, request: "Request") -> "Response":
        self._require_cookie(request)
        keys = list(dict.fromkeys(request.query_params.getlist("run")))
        if not FEWEST <= len(keys) <= MOST:
            text = f"Tick two to eight runs in the list: {len(keys)} were."
            raise _RefusedError(400, "Which runs?", text)
        entries, known = [], self._workspace.runs()
        for key in keys:
            entry = find_entry(known, *key.partition("/")[::2])
            if entry is None:
                raise _gone()
            if entry.decided is None:
                raise _RefusedError(200, "One of the runs cannot be read", entry.problem)
            entries.append(entry)
        return self._html(self._pages.compare(lay_side_by_side(entries)))

    async def progress(self, request: "Request") -> "Response":
        self._require_cookie(request)
        return self._html(self._pages.progress(running_runs(self._workspace.out)))

    async def file(self, request: "Request") -> "Response":
        """Reply with a file of a run to whoever has its address; no cookie is asked for."""
        from starlette.responses import FileResponse

        asked = request.path_params
        if not self._tokens.is_of_files(asked["token"], asked["suite"], asked["name"]):
            raise _no_link()
        found = find_file(self._entry(request).folder, asked["file"])
        if found is None:
            text = "The run does not have this file, or it is not one that is shown here."
            raise _RefusedError(404, "There is no such file", text)
        return FileResponse(found.path, media_type=found.media_type, headers=found.headers)

    def refusal(self, error: _RefusedError) -> "Response":
        """Return the page that says what was refused."""
        link = {"address": "/", "link": "To the runs"} if error.to_list else {}
        return self._html(self._pages.message(error.heading, error.text, **link), error.status)

    def may_read(self, request: "Request") -> bool:
        """Return whether a request has our cookie."""
        return self._tokens.is_cookie(request.cookies.get(self._tokens.cookie_name, ""))

    def _require_cookie(self, request: "Request") -> None:
        if not self.may_read(request):
            raise _no_link()

    def _entry(self, request: "Request") -> RunEntry:
        entry = self._workspace.find(request.path_params["suite"], request.path_params["name"])
        if entry is None:
            raise _gone()
        return entry

    def _html(self, page: str, status: int = 200) -> "Response":
        response = html_reply(to_valid_utf8(page), status)
        response.headers["content-security-policy"] = policy()
        return response
