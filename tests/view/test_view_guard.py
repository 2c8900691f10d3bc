"""What no request gets past, and which files of a run it gets."""

import os
from pathlib import Path

import pytest

from harness.artifacts.results_json import dump_result
from harness.view.run_files import FILES, find_file
from tests.builders.results import unmeasured_run
from tests.builders.view_workspaces import Site, viewed

PAGES = ("/", "/trends", "/compare?run=a/b&run=c/d", "/progress", "/run/suite/run", "/nowhere")
FOREIGN = "<!doctype html><title>x</title><script>document.title = 'ran'</script>"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with pages that anybody may have written."""
    folder = tmp_path / "runs" / "suite" / "run"
    (folder / "items").mkdir(parents=True)
    (folder / "people" / "study").mkdir(parents=True)
    (folder / "results.json").write_bytes(dump_result(unmeasured_run()))
    for name in ("report.html", "explorer.html", "items/index.html", "items/1.html"):
        (folder / name).write_text(FOREIGN)
    (folder / "people" / "study" / "study.json").write_text('{"secret": "x"}')
    return folder


@pytest.fixture
def site(run: Path) -> Site:
    return viewed(run.parent.parent)


def files(site: Site, name: str = "run") -> str:
    return f"{FILES}suite/run/{site.tokens.of_files('suite', name)}/"


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_shown_without_the_cookie(site: Site, path: str) -> None:
    reply = site.stranger().get(path)
    assert reply.status == (404 if path == "/nowhere" else 403)
    assert "unmeasured" not in reply.body


@pytest.mark.parametrize("token", ["", "0" * 64, "é", "x/y"])
def test_a_wrong_link_sets_no_cookie(site: Site, token: str) -> None:
    reply = site.stranger().get(f"/enter/{token}")
    assert reply.status in (403, 404)
    assert "set-cookie" not in reply.headers


def test_the_cookie_is_for_this_server_and_no_script(site: Site) -> None:
    other = viewed(site.workspace.out)
    cookie = site.stranger().get(f"/enter/{site.tokens.link}").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert site.tokens.cookie_name != other.tokens.cookie_name
    stranger = other.stranger()
    stranger.cookie = cookie.partition(";")[0]
    assert stranger.get("/").status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1:8001", ""])
def test_another_host_is_refused_everywhere(site: Site, host: str) -> None:
    stranger = site.stranger(host)
    for path in (*PAGES, f"/enter/{site.tokens.link}", files(site) + "report.html"):
        assert stranger.get(path).status == 421


@pytest.mark.parametrize("where", ["cross-site", "same-site"])
def test_other_sites_may_not_read_a_page(site: Site, where: str) -> None:
    viewer = site.viewer()
    assert {viewer.get(path, {"sec-fetch-site": where}).status for path in PAGES} == {403}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_sent(site: Site, method: str) -> None:
    viewer = site.viewer()
    headers = {
        "origin": "http://127.0.0.1:8000",
        "content-type": "application/x-www-form-urlencoded",
    }
    for path in PAGES:
        assert viewer._send(method, path, b"", headers).status in (404, 405)


def test_every_page_has_the_strict_policy(site: Site) -> None:
    viewer = site.viewer()
    for path in PAGES:
        policy = viewer.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'sha256-" in policy
        assert "unsafe" not in policy
    assert all(reply.headers["cache-control"] == "no-store" for reply in viewer.traffic)


# --- files of a run ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["report.html", "items/index.html", "items/1.html"])
def test_a_page_of_a_run_is_served_in_a_sandbox_without_scripts(site: Site, name: str) -> None:
    reply = site.stranger().get(files(site) + name, {"sec-fetch-site": "cross-site"})
    assert reply.status == 200
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy


def test_the_explorers_script_runs_in_an_origin_of_its_own(site: Site) -> None:
    policy = site.stranger().get(files(site) + "explorer.html").headers["content-security-policy"]
    assert "sandbox allow-scripts allow-downloads allow-modals;" in policy
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy  # so that it is that of default-src: none


def test_text_files_are_shown_as_text(site: Site) -> None:
    reply = site.stranger().get(files(site) + "results.json")
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_files_take_the_token_of_their_run(site: Site, token: str) -> None:
    for wrong in (token, site.tokens.of_files("suite", "another"), site.tokens.link):
        reply = site.viewer().get(f"{FILES}suite/run/{wrong}/report.html")
        assert reply.status in (403, 404)


@pytest.mark.parametrize(
    "name",
    ["../run/report.html", "people/study/study.json", "items/../report.html", "/etc/passwd", "items/", "",
     "items/.hidden.html", "scores.parquet", "report.html/", "items//1.html", "report.html\0", "lock.owner",
     "items/1.html%00", "items/é.html", "..", "items/1.htm"],
)  # fmt: skip
def test_no_other_file_is_served(run: Path, name: str) -> None:
    assert find_file(run, name) is None


def test_a_link_out_of_the_folder_is_not_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (run / "report.html").unlink()
    (run / "report.html").symlink_to(tmp_path / "secret")
    (run / "junit.xml").symlink_to("results.json")
    os.mkfifo(run / "report.md")
    assert [find_file(run, name) for name in ("report.html", "junit.xml", "report.md")] == [
        None
    ] * 3


def test_pages_through_a_linked_folder_are_not_served(run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "1.html").write_text("secret")
    (run / "items" / "more").symlink_to(elsewhere)
    assert find_file(run, "items/more/1.html") is None
