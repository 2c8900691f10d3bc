"""The view in a real browser: what an evaluator does, hostile runs, foreign pages, and accessibility."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.artifacts.results_json import dump_result
from harness.artifacts.running import announce_run
from harness.core.progress import QuietProgress
from tests.builders.hostile import PAYLOADS, readable_hostile_run
from tests.builders.results import passing_run
from tests.builders.view_workspaces import live_view, run_once, write_workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.browser
N_RUNS = 60


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    write_workspace(folder / "runs", run_once(folder / "real", 30), N_RUNS)
    return folder / "runs"


def open_view(context: "BrowserContext", link: str) -> "tuple[Page, list[str]]":
    """Open the link; returns the page, and what it does beyond asking its own server."""
    page, base, seen = context.new_page(), link.partition("/enter/")[0], []
    page.on("request", lambda r: None if r.url.startswith((base, "data:")) else seen.append(r.url))
    page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.goto(link)
    page.wait_for_url(f"{base}/")
    return page, seen


def test_a_run_is_found_opened_and_its_items_read(context: "BrowserContext", out: Path) -> None:
    with live_view(out) as (link, _):
        page, seen = open_view(context, link)
        page.get_by_label("Suite").select_option("daily")
        page.get_by_label("Verdict").select_option("inconclusive")
        page.get_by_role("button", name="Show").click()
        assert "of 3 runs" in (page.text_content(".count") or "")
        page.locator(".runs th a").first.click()
        assert page.text_content("#verdict .word") == "INCONCLUSIVE"
        page.get_by_role("link", name="Report", exact=True).click()
        page.get_by_role("link", name=re.compile("Browse all")).click()
        page.get_by_role("link", name=re.compile("^q")).first.click()
        assert "/items/" in page.url
        assert "May I run" in (page.text_content("main") or "")
        assert seen == []


def test_the_explorer_works_in_its_sandbox(context: "BrowserContext", out: Path) -> None:
    with live_view(out) as (link, _):
        page, seen = open_view(context, link)
        page.locator(".runs th a").first.click()
        page.get_by_role("link", name="Explorer").click()
        page.get_by_role("button", name="Export").wait_for()
        page.keyboard.press("/")
        page.keyboard.type("run 17")
        page.get_by_text("1 of 30 items").wait_for()
        page.wait_for_url("**/explorer.html#q=run+17*")
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as saved:
            page.get_by_role("button", name="CSV").click()
        assert "run 17 km" in saved.value.path().read_text()
        assert seen == []


@pytest.mark.slow
def test_two_runs_are_compared_by_keyboard(context: "BrowserContext", out: Path) -> None:
    with live_view(out) as (link, _):
        page, seen = open_view(context, link)
        for n in (0, 3):
            page.locator(".runs input").nth(n).focus()
            page.keyboard.press("Space")
        page.keyboard.press("Enter")  # sends the form
        page.wait_for_url("**/compare?*")
        assert page.text_content("h1") == "2 runs side by side"
        assert seen == []


@pytest.mark.slow
def test_the_second_page_and_a_trend_without_a_script(browser: "Browser", out: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    with live_view(out) as (link, _):
        page, _seen = open_view(context, link)
        page.get_by_role("link", name="2", exact=True).click()
        assert page.locator(".runs tbody tr").count() == N_RUNS - 50
        page.get_by_role("link", name="Trends").click()
        page.get_by_label("Suite").select_option("small")
        page.get_by_role("button", name="Show").click()
        page.get_by_text("15 runs, the last first").click()
        page.locator("details th a").first.click()
        assert page.locator("#verdict").count() == 1
    context.close()


@pytest.mark.slow
def test_progress_is_shown_while_a_run_goes_on(context: "BrowserContext", out: Path) -> None:
    with live_view(out) as (link, _):
        page, seen = open_view(context, link)
        page.get_by_role("link", name="Under way").click()
        page.get_by_text("No run is under way").wait_for()
        with announce_run(passing_run().plan, out, QuietProgress()) as progress:
            progress.advance("answers of sft", 30, 120)
            page.get_by_text("30 of 120").wait_for()
            progress.advance("answers of sft", 120, 120)
            page.get_by_text("120 of 120").wait_for()
        page.get_by_text("No run is under way").wait_for()
        assert seen == []


@pytest.mark.slow
def test_a_server_that_has_ended_is_said(context: "BrowserContext", out: Path) -> None:
    with live_view(out) as (link, _):
        page, _seen = open_view(context, link)
        page.get_by_role("link", name="Under way").click()
    page.locator("#live.stale").wait_for()


# Texts of the links of the list of runs in whose middle another element lies.
_COVERED_LINKS = """[...document.querySelectorAll('.runs a')].slice(0, 5).filter(link => {
    const box = link.getBoundingClientRect(), y = box.y + box.height / 2;
    return [box.left + 3, box.left + box.width / 2].some(x => !link.contains(document.elementFromPoint(x, y)));
}).map(link => link.textContent)"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_the_screen_and_cover_no_link(browser: "Browser", out: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844})
    with live_view(out) as (link, site):
        page, seen = open_view(context, link)
        entries = site.workspace.runs()[:8]
        compared = "&".join(f"run={e.suite}/{e.name}" for e in entries)
        for path in (
            "/",
            f"/run/{entries[0].suite}/{entries[0].name}",
            "/trends",
            f"/compare?{compared}",
        ):
            page.goto(link.partition("/enter/")[0] + path)
            page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") == width, path
            if path == "/":
                assert page.evaluate(_COVERED_LINKS) == []
        assert seen == []
    context.close()


def test_a_long_problem_leaves_the_other_columns_room(
    context: "BrowserContext", tmp_path: Path
) -> None:
    damaged = tmp_path / "suite" / "run"
    damaged.mkdir(parents=True)
    (damaged / "results.json").write_text("[" * 100_000)
    with live_view(tmp_path) as (link, _):
        page, _seen = open_view(context, link)
        heading = page.get_by_role("columnheader", name="Finished, UTC").bounding_box()
    assert heading
    assert heading["width"] > 90


# --- hostile and foreign runs --------------------------------------------------------------------


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A run with the corpus in every text, in folders whose names are markup, and one that is damaged."""
    payload = "\n".join(text for text in PAYLOADS if "\ud800" not in text)
    for number, name in enumerate(("<img src=x onerror=alert(1)>", '"><script>alert(1)<!--')):
        folder = tmp_path / "'><svg onload=alert(1)>" / name
        folder.mkdir(parents=True)
        result = readable_hostile_run(payload)
        later = result.model_copy(update={"finished": f"2027-01-0{number + 1}{payload}"})
        (folder / "results.json").write_bytes(dump_result(later))
    damaged = tmp_path / "suite" / "<script>alert(1)<br>"
    damaged.mkdir(parents=True)
    (damaged / "results.json").write_text('{"<script>alert(1)</script>": ')
    return tmp_path


def test_hostile_runs_do_nothing_on_any_page(context: "BrowserContext", hostile: Path) -> None:
    plan = readable_hostile_run("<img src=x onerror=alert(1)>").plan
    with (
        live_view(hostile) as (link, site),
        announce_run(plan, hostile, QuietProgress()) as progress,
    ):
        progress.advance("<script>alert(1)</script>", 1, 2, "<img src=x onerror=alert(1)>")
        page, seen = open_view(context, link)
        base = page.url.rstrip("/")
        page.locator(".runs input").first.check()
        page.locator(".runs input").nth(1).check()
        addresses = [
            base + (a.get_attribute("href") or "") for a in page.locator(".runs th a").all()
        ]
        page.get_by_role("button", name="Compare").click()
        assert page.text_content("h1") == "2 runs side by side"
        for address in (*addresses, f"{base}/", f"{base}/trends", f"{base}/progress"):
            page.goto(address)
            page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
            page.wait_for_timeout(200)
            assert page.locator("iframe, img, object, embed, base, main script, svg a").count() == 0
            for form in page.locator("form").all():
                assert form.get_attribute("action") in ("/", "/compare", "/trends")
        page.wait_for_timeout(2_500)  # the script has put what it fetched into the page
        assert seen == []
        assert site.errors == []


FOREIGN = """<!doctype html><title>foreign</title><a id="out" href="/">runs</a><a id="next" href="items/index.html">items</a>
<form action="/compare"><button>send</button></form><img src="/progress"><script>
const said = {};
try { said.cookie = document.cookie; } catch (error) { said.cookie = "none"; }
try { localStorage.x = 1; said.storage = "kept"; } catch (error) { said.storage = "none"; }
fetch("/").then(r => said.fetched = r.status, () => said.fetched = "none").finally(
  () => document.title = JSON.stringify(said));
window.open("/trends");
</script>"""


@pytest.fixture
def foreign(out: Path, tmp_path: Path) -> Path:
    """A workspace with a run whose pages are anybody's."""
    write_workspace(tmp_path, out.parent / "real" / "runs" / "small" / _only(out), 1)
    (page,) = tmp_path.glob("*/*/report.html")
    for name in ("report.html", "explorer.html"):
        page.with_name(name).unlink()  # it is a link to the real run's
        page.with_name(name).write_text(FOREIGN)
    return tmp_path


def _only(out: Path) -> str:
    (folder,) = (out.parent / "real" / "runs" / "small").iterdir()
    return folder.name


def test_a_foreign_report_runs_no_script_and_its_links_reach_its_own_files_alone(
    context: "BrowserContext", foreign: Path
) -> None:
    with live_view(foreign) as (link, _):
        page, _seen = open_view(context, link)
        page.locator(".runs th a").first.click()
        page.get_by_role("link", name="Report", exact=True).click()
        assert page.title() == "foreign"
        page.click("button")  # a form of a page in the sandbox is not sent
        page.wait_for_timeout(300)
        assert page.title() == "foreign"
        page.click("#next")
        assert page.url.endswith("/items/index.html")
        assert page.locator("main a").count() > 1
        page.go_back()
        with page.expect_navigation() as gone:
            page.click("#out")
        assert gone.value.status == 403


def test_a_foreign_explorers_script_reaches_neither_cookie_nor_pages(
    context: "BrowserContext", foreign: Path
) -> None:
    from playwright.sync_api import expect

    with live_view(foreign) as (link, _):
        page, _seen = open_view(context, link)
        page.locator(".runs th a").first.click()
        page.get_by_role("link", name="Explorer").click()
        expect(page).to_have_title('{"cookie":"none","storage":"none","fetched":"none"}')
        assert len(context.pages) == 1
        with page.expect_navigation() as gone:
            page.evaluate("location.href = '/'")
        assert gone.value.status == 403


# --- accessibility -------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing(browser: "Browser", out: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = browser.new_context(color_scheme=scheme)
    with (
        live_view(out) as (link, site),
        announce_run(passing_run().plan, out, QuietProgress()) as progress,
    ):
        progress.advance("answers of sft", 30, 120)
        page, _seen = open_view(context, link)
        entries = site.workspace.runs()[:3]
        compared = "&".join(f"run={e.suite}/{e.name}" for e in entries)
        run = f"/run/{entries[0].suite}/{entries[0].name}"
        for path in ("/", run, "/trends", f"/compare?{compared}", "/progress", "/nowhere"):
            page.goto(link.partition("/enter/")[0] + path)
            found = axe.Axe().run(page).response["violations"]
            assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == [], path
    context.close()
