"""What no request gets past."""

import re
import socket
import time
from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.human.annotate.tokens import make_link_token
from harness.web import request_guard as guard
from harness.web import serve
from harness.web.request_guard import MAX_BODY, own_host_check
from harness.web.serve import bind_address
from tests.builders.studies import Page, Reply, Served, form_token, live, served, ticket, write_run

PATHS = ("/", "/pair", "/break", "/annotate.css", "/enter/x", "/nowhere", "/../study.json")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


def form(reply: Reply) -> dict[str, str]:
    return {"token": form_token(reply.body), "ticket": ticket(reply.body), "choice": "left"}


def refused(site: Served, headers: dict[str, str], **changed: str) -> int:
    """The status of a vote that is sent with these headers; nothing of it may be saved."""
    page, reply = site.enter("Ada")
    status = page.post("/vote", form(reply) | changed, headers).status
    assert site.session.n_done("Ada") == 0
    return status


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:8001", "localhost.evil.example:8000",
     "127.0.0.1:8000.evil.example", "", "[::1]:8000", "0.0.0.0:8000", "10.0.0.1:8000"],
)  # fmt: skip
def test_another_host_is_refused_everywhere(run: Path, host: str) -> None:
    with served(run) as site:
        page = Page(site.app, host=host)
        for path in (*PATHS, f"/enter/{make_link_token(site.session.study)}"):
            assert page.get(path).status == 421


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://evil.example:8000", "http://127.0.0.1:9000", "null",
     "http://localhost:8000", "http://127.0.0.1:8000.evil.example", "file://"],
)  # fmt: skip
def test_a_form_from_another_origin_is_refused(run: Path, origin: str) -> None:
    with served(run) as site:
        assert refused(site, {"origin": origin}) == 403


def test_a_form_without_an_origin_is_refused(run: Path) -> None:
    with served(run) as site:
        assert refused(site, {"origin": ""}) == 403


@pytest.mark.parametrize("where", ["cross-site", "same-site"])
def test_other_sites_may_not_even_read(run: Path, where: str) -> None:
    with served(run) as site:
        page, _reply = site.enter("Ada")
        assert page.get("/pair", {"sec-fetch-site": where}).status == 403
        assert refused(site, {"sec-fetch-site": where}) == 403


def test_a_link_may_be_followed_from_elsewhere(run: Path) -> None:
    with served(run) as site:
        link = f"/enter/{make_link_token(site.session.study)}"
        assert site.page().get(link, {"sec-fetch-site": "cross-site"}).status == 200


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_form_without_its_token_is_refused(run: Path, token: str) -> None:
    with served(run) as site:
        assert refused(site, {}, token=token) == 403


def test_a_token_is_one_annotators_own(run: Path) -> None:
    with served(run) as site:
        _, bens = site.enter("Ben")
        assert refused(site, {}, token=form_token(bens.body)) == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data", ""])
def test_only_forms_are_read(run: Path, kind: str) -> None:
    with served(run) as site:
        assert refused(site, {"content-type": kind}) == 415


@pytest.mark.parametrize("said", ["truth", "10", "999999999999999", "-1", "1e9"])
def test_a_large_body_is_refused_whatever_it_says_of_itself(run: Path, said: str) -> None:
    with served(run) as site:
        page, _reply = site.enter("Ada")
        body = b"token=x&comment=" + b"x" * MAX_BODY
        headers = {} if said == "truth" else {"content-length": said}
        assert page.post("/vote", body, headers).status == 413
        assert site.session.n_done("Ada") == 0


def test_too_many_fields_are_refused(run: Path) -> None:
    with served(run) as site:
        page, reply = site.enter("Ada")
        extra = {f"f{i}": "" for i in range(300)}
        assert page.post("/vote", form(reply) | extra).status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(run: Path, method: str) -> None:
    with served(run) as site:
        assert site.page()._send(method, "/pair", b"", {}).status == 405


@pytest.mark.parametrize("cookie", ["", "QWRh.00", "QWRh", ".", "\x7f", "QWRh." + "0" * 64])
def test_nothing_is_shown_without_our_cookie(run: Path, cookie: str) -> None:
    with served(run) as site:
        page, _ = site.enter("Ada")
        name = page.cookie.partition("=")[0]
        for path in ("/", "/pair", "/break"):
            page.cookie = f"{name}={cookie}"
            assert page.get(path).status == 403


def test_a_wrong_link_sets_no_cookie(run: Path) -> None:
    with served(run) as site:
        reply = site.page().get("/enter/" + "0" * 64)
        assert (reply.status, "set-cookie" in reply.headers) == (403, False)


def test_every_reply_carries_the_headers(run: Path) -> None:
    with served(run) as site:
        page, reply = site.enter("Ada")
        page.vote(reply, "left")
        page.post("/vote", b"")
        for path in PATHS:
            page.get(path)
        Page(site.app, host="evil.example").get("/")
        for sent in page.traffic:
            policy = sent.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert sent.headers["cache-control"] == "no-store"
            assert sent.headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in sent.headers


def test_the_cookie_is_for_this_site_and_no_script(run: Path) -> None:
    with served(run) as site:
        page, _ = site.enter("Ada")
        cookies = [r.headers["set-cookie"] for r in page.traffic if "set-cookie" in r.headers]
        assert cookies
        assert all("HttpOnly" in c and "SameSite=strict" in c for c in cookies)


@pytest.mark.parametrize(
    ("said", "ours"),
    [("10.0.0.7:80", True), ("[fe80::1]:80", True), ("hospital-pc:80", True), ("evil.example:80", False),
     ("10.0.0.7", False), ("10.0.0.7:81", False), ("hospital-pc", False), (":80", False)],
)  # fmt: skip
def test_a_server_for_every_address_answers_to_addresses_and_its_name(
    said: str, ours: bool
) -> None:
    assert own_host_check("0.0.0.0", 80, ("hospital-pc",))(said) is ours


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_other_machines_are_let_in_only_where_that_is_said(host: str) -> None:
    with pytest.raises(HarnessError, match="--expose"):
        bind_address(host, 0, expose=False)


def test_a_port_that_is_taken_is_said() -> None:
    taken = bind_address(None, 0, expose=False)
    with taken.socket, pytest.raises(HarnessError, match="--port"):
        bind_address(None, taken.port, expose=False)


# --- over a real socket ----------------------------------------------------------------------


def talk(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """What the server answers before it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        answer = b""
        while received := connection.recv(65_536):
            answer += received
        return answer


def test_slow_and_broken_clients_are_hung_up_on_and_others_served(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "HEADERS_S", 0.3)
    monkeypatch.setattr(guard, "BODY_S", 0.3)
    with live(run, name="sockets") as server:
        _talk_badly(server.port)


def _talk_badly(port: int) -> None:
    host = f"Host: 127.0.0.1:{port}\r\n".encode()
    assert talk(port) == b""  # said nothing
    assert talk(port, b"GET / HT") == b""  # did not finish
    slow = talk(
        port,
        b"POST /vote HTTP/1.1\r\n" + host + f"Origin: http://127.0.0.1:{port}\r\n".encode()
        + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\n",
        b"choice=", pause=0.1,
    )  # fmt: skip
    assert slow.startswith(b"HTTP/1.1 408")
    assert talk(port, b"\x16\x03\x01 not http\r\n\r\n").startswith(b"HTTP/1.1 400")
    good = talk(port, b"GET / HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
    assert good.startswith(b"HTTP/1.1 403")
    assert not re.search(rb"(?i)^(server|date):", good, re.MULTILINE)
