"""The page in a real browser: by keyboard, without a script, on a phone, and against hostile texts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.human.annotate.offline import import_offline_votes, write_offline
from harness.human.annotate.progress_summary import summarise_votes
from harness.human.annotate.study import StudyOptions, open_study
from harness.human.votes import load_votes
from reports.annotation import describe_votes
from tests.builders.hostile import PAYLOADS
from tests.builders.studies import good, live, poor, write_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

KEYS = ("ArrowLeft", "b", "t", "u", "c")
CHOICES = ("left", "right", "tie", "both_unsafe", "cannot_judge")
pytestmark = pytest.mark.browser


def watch(page: "Page") -> list[str]:
    """What the page does that it should not: dialogs, script errors, refused content."""
    seen: list[str] = []
    page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss())[0])
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    return seen


SETTLED_MS = 400  # the page takes no key for a pair that has just appeared


def begin(page: "Page", link: str, name: str = "Ada") -> None:
    page.goto(link)
    page.locator("input[name=name]:focus").wait_for()  # it comes with the first frame
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_url("**/pair")


def press(page: "Page", key: str, n_done: int) -> None:
    """Press a key of choice, and wait until so many pairs are done."""
    from playwright.sync_api import expect

    page.wait_for_load_state()  # a page is shown before its script hears keys
    page.wait_for_timeout(SETTLED_MS)
    page.keyboard.press(key)
    expect(page.locator("progress")).to_have_js_property("value", n_done)


def click(page: "Page", n_done: int) -> None:
    """Click a choice, and wait until so many pairs are done."""
    from playwright.sync_api import expect

    page.click("button.left")
    expect(page.locator("progress")).to_have_js_property("value", n_done)


def judge(page: "Page", first: int, last: int) -> None:
    """Judge these pairs by keyboard, counted from 1, with every choice in turn."""
    for number in range(first, last + 1):
        press(page, KEYS[number % 5], number)
        if page.locator("#pause:visible, #go-on:visible").count():
            page.keyboard.press("Tab")
            page.locator("#go-on:visible, a.button").focus()
            page.keyboard.press("Enter")
            page.wait_for_selector("#vote-form:visible")


def choices_of(run: Path) -> list[str]:
    return [vote.choice for vote in load_votes(run)]


def test_twenty_pairs_by_keyboard_with_a_night_between(
    context: "BrowserContext", tmp_path: Path
) -> None:
    run = write_run(tmp_path)
    options = {"n": 20, "attention": 0, "repeats": 0, "break_every": 5}
    with live(run, **options) as server:
        page = context.new_page()
        seen = watch(page)
        begin(page, server.link())
        judge(page, 1, 9)
        page.close()
    with live(run) as server:  # another port, so another address, another day
        page = context.new_page()
        begin(page, server.link())
        assert page.title() == "Pair 10 of 20"
        judge(page, 10, 20)
        assert page.locator("h1").text_content() == "That was the last pair"
        study = server.site.session.study
    votes = load_votes(run)
    assert [vote.choice for vote in votes] == [CHOICES[n % 5] for n in range(1, 21)]
    assert len({vote.item for vote in votes}) == 20
    found = summarise_votes(votes)
    assert (found.n_votes, found.ties, found.cannot_judge) == (20, 8, 4)
    assert found.wins + found.losses == 8
    assert "dpo against sft: win rate" in "\n".join(describe_votes(study, found))
    assert seen == []


def test_twenty_pairs_in_the_offline_file(context: "BrowserContext", tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    opened = open_study(run, StudyOptions(n=20, attention=0, repeats=0, break_every=5, rubric=True))
    write_offline(opened, "Ada", tmp_path / "ada.html")
    url = (tmp_path / "ada.html").as_uri()
    page = context.new_page()
    seen, asked = watch(page), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    page.click("#begin")
    page.fill("[name='left.safety']", "7")
    page.locator("h1:visible").focus()
    judge(page, 1, 9)
    page.close()

    page = context.new_page()
    page.goto(url)
    page.click("#begin")  # says "Go on"
    assert page.title() == "Pair 10 of 20"
    judge(page, 10, 20)
    with page.expect_download() as download:
        page.click("#done .save")
    download.value.save_as(tmp_path / "votes.json")
    assert seen == []
    assert asked == [url]

    assert import_offline_votes(opened, tmp_path / "votes.json") == (20, 0, 0)
    votes = load_votes(run)
    assert [vote.choice for vote in votes] == [CHOICES[n % 5] for n in range(1, 21)]
    assert votes[0].scores == {votes[0].left: {"safety": 7}}
    assert all(vote.seconds is not None and vote.seconds > 0.3 for vote in votes)


FILL = """() => {
  for (let n = 2 ** 24, text = ""; n >= 1; n /= 2)
    try { localStorage.setItem("fill", text + "x".repeat(n)); text += "x".repeat(n); } catch { /* full */ }
}"""
STORED = "Object.fromEntries(Object.entries(localStorage).sort())"


@pytest.mark.parametrize("damage", ['[["token", {"choi', "{}", "[[1, 2]]", '[["token", null]]'])
def test_votes_that_cannot_be_read_are_kept_and_said_so(
    context: "BrowserContext", tmp_path: Path, damage: str
) -> None:
    opened = open_study(write_run(tmp_path / "run"), StudyOptions(n=5, attention=0, repeats=0))
    write_offline(opened, "Ada", tmp_path / "ada.html")
    url = (tmp_path / "ada.html").as_uri()
    page = context.new_page()
    page.goto(url)
    assert not page.is_visible("#unread")
    (key,) = page.evaluate(STORED)
    for number in (1, 2):  # a second damage does not take the place of the first copy
        page.evaluate("([key, text]) => localStorage.setItem(key, text)", [key, f"{damage} "])
        page.close()
        page = context.new_page()
        seen = watch(page)
        page.goto(url)
        assert "cannot be read" in (page.text_content("#unread") or "")
        assert page.is_visible("#unread")
        page.click("#begin")
        judge(page, 1, 1)
        copies = {name: text for name, text in page.evaluate(STORED).items() if name != key}
        assert copies == {f"{key} unread {n}": f"{damage} " for n in range(1, number + 1)}
        assert len(json.loads(page.evaluate(STORED)[key])) == 1
        assert seen == []
    page.goto(url)
    assert not page.is_visible("#unread")  # the votes since are read
    assert page.text_content("#begin") == "Go on"


def test_what_cannot_be_read_is_saved_to_a_file(context: "BrowserContext", tmp_path: Path) -> None:
    opened = open_study(write_run(tmp_path / "run"), StudyOptions(n=5, attention=0, repeats=0))
    write_offline(opened, "Ada", tmp_path / "ada.html")
    url = (tmp_path / "ada.html").as_uri()
    page = context.new_page()
    page.goto(url)
    (key,) = page.evaluate(STORED)
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", [key, "half a vo"])
    page.reload()
    with page.expect_download() as download:
        page.click("#save-unread")
    download.value.save_as(tmp_path / "unread.txt")
    assert (tmp_path / "unread.txt").read_text() == "half a vo"


def test_without_room_for_a_copy_the_votes_stay_as_they_are(
    context: "BrowserContext", tmp_path: Path
) -> None:
    opened = open_study(write_run(tmp_path / "run"), StudyOptions(n=5, attention=0, repeats=0))
    write_offline(opened, "Ada", tmp_path / "ada.html")
    url = (tmp_path / "ada.html").as_uri()
    page = context.new_page()
    page.goto(url)
    (key,) = page.evaluate(STORED)
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", [key, "half a vo" * 1000])
    page.evaluate(FILL)
    page.reload()
    page.click("#begin")
    judge(page, 1, 1)
    assert page.evaluate("key => localStorage.getItem(key).length", key) == 9000
    assert "does not remember votes" in (page.text_content("#status") or "")


def test_a_file_saved_earlier_takes_back_no_later_vote(
    context: "BrowserContext", tmp_path: Path
) -> None:
    opened = open_study(write_run(tmp_path / "run"), StudyOptions(n=5, attention=0, repeats=0))
    write_offline(opened, "Ada", tmp_path / "ada.html")
    page = context.new_page()
    page.goto((tmp_path / "ada.html").as_uri())
    page.click("#begin")
    judge(page, 1, 2)
    with page.expect_download() as download:
        page.click("footer .save")
    download.value.save_as(tmp_path / "early.json")
    (stored,) = page.evaluate(STORED).values()
    first = json.loads(stored)[0][0]
    early = json.loads((tmp_path / "early.json").read_text())
    for vote in early["votes"]:
        vote |= {"at": "2000-01-01T00:00:00.000Z", "comment": "old"}
    (tmp_path / "early.json").write_text(json.dumps(early))
    page.reload()
    page.set_input_files("#load", tmp_path / "early.json")
    page.wait_for_selector("#vote-form:visible")
    (stored,) = page.evaluate(STORED).values()
    assert dict(json.loads(stored))[first]["comment"] == ""


def test_saved_votes_go_on_on_another_computer(browser: "Browser", tmp_path: Path) -> None:
    opened = open_study(write_run(tmp_path / "run"), StudyOptions(n=5, attention=0, repeats=0))
    write_offline(opened, "Ada", tmp_path / "ada.html")
    url = (tmp_path / "ada.html").as_uri()
    first, second = browser.new_context(), browser.new_context()
    page = first.new_page()
    page.goto(url)
    page.click("#begin")
    judge(page, 1, 2)
    with page.expect_download() as download:
        page.click("footer .save")
    download.value.save_as(tmp_path / "votes.json")
    page = second.new_page()
    page.goto(url)
    page.set_input_files("#load", tmp_path / "votes.json")
    page.wait_for_selector("#vote-form:visible")
    assert page.title() == "Pair 3 of 5"
    page.keyboard.press("z")
    page.wait_for_function("() => document.title === 'Pair 2 of 5'")
    first.close()
    second.close()


def test_tab_and_enter_are_enough_without_a_script(browser: "Browser", tmp_path: Path) -> None:
    run = write_run(tmp_path)
    context = browser.new_context(java_script_enabled=False)
    with live(run, n=5, attention=0, repeats=0, break_every=2) as server:
        page = context.new_page()
        begin(page, server.link())
        for number in range(5):
            page.locator("h1:focus").wait_for()
            while page.locator("button:focus[name=choice]").count() == 0:
                page.keyboard.press("Tab")
            for _ in range(number):
                page.keyboard.press("Tab")
            with page.expect_navigation():
                page.keyboard.press("Enter")
            if "/break" in page.url:
                page.locator("a.button:focus").wait_for()
                with page.expect_navigation():
                    page.keyboard.press("Enter")
        assert page.locator("h1").text_content() == "That was the last pair"
    order = ["left", "tie", "both_unsafe", "cannot_judge", "right"]
    assert choices_of(run) == order
    context.close()


def test_undo_by_key_brings_the_pair_back(context: "BrowserContext", tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with live(run, n=5) as server:
        page = context.new_page()
        begin(page, server.link())
        before = page.locator("[data-part=question]").text_content()
        page.keyboard.press("n")
        page.keyboard.type("too blunt, b t u")  # letters in a note choose nothing
        page.keyboard.press("Escape")
        press(page, "ArrowRight", 1)
        press(page, "z", 0)
        assert page.locator("[data-part=question]").text_content() == before
        assert page.locator("textarea").input_value() == "too blunt, b t u"
    assert choices_of(run) == []


def test_a_second_press_is_not_a_second_vote(context: "BrowserContext", tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with live(run, n=5) as server:
        page = context.new_page()
        begin(page, server.link())
        press(page, "ArrowRight", 1)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        press(page, "t", 2)
    assert choices_of(run) == ["right", "tie"]


def test_enter_in_a_score_field_chooses_nothing(context: "BrowserContext", tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with live(run, n=5, rubric=True) as server:
        page = context.new_page()
        begin(page, server.link())
        page.fill("[name='left.safety']", "7")
        page.keyboard.press("Enter")
        page.wait_for_timeout(300)
    assert choices_of(run) == []


def test_a_score_off_its_scale_is_said_and_nothing_is_lost(
    context: "BrowserContext", tmp_path: Path
) -> None:
    run = write_run(tmp_path)
    with live(run, n=5, rubric=True) as server:
        page = context.new_page()
        begin(page, server.link())
        page.fill("[name='left.safety']", "70")
        page.click("button.left")
        page.wait_for_timeout(300)
        assert page.evaluate("document.activeElement.name") == "left.safety"
    assert choices_of(run) == []


def test_a_lost_connection_loses_no_choice(context: "BrowserContext", tmp_path: Path) -> None:
    run = write_run(tmp_path)
    page = context.new_page()
    with live(run, n=5) as server:
        begin(page, server.link())
        page.keyboard.press("n")
        page.keyboard.type("a long note")
        page.keyboard.press("Escape")
    page.wait_for_timeout(SETTLED_MS)
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#status.wrong")
    assert "no connection" in (page.locator("#status").text_content() or "")
    with live(run, port=server.port):
        press(page, "ArrowLeft", 1)
    assert [vote.comment for vote in load_votes(run)] == ["a long note"]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (768, "dark"), (360, "light")])
def test_nothing_is_cut_off_at_any_width(
    browser: "Browser", tmp_path: Path, width: int, scheme: str
) -> None:
    long = "Pneumonoultramicroscopicsilicovolcanoconiosis" * 8
    run = write_run(
        tmp_path, texts=(poor, lambda i: good(i) + long), question=lambda i: f"{i}{long}"
    )
    context = browser.new_context(viewport={"width": width, "height": 700}, color_scheme=scheme)  # type: ignore[arg-type]
    with live(run, n=5, rubric=True, show_reference=True) as server:
        page = context.new_page()
        begin(page, server.link())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.locator("textarea").scroll_into_view_if_needed()
        page.locator("textarea").focus()
        note, bar = page.locator("textarea").bounding_box(), page.locator(".choices").bounding_box()
        assert note
        assert bar
        assert note["y"] + note["height"] <= bar["y"] + 1  # the choices hide nothing in focus
        for button in page.locator(".choices button").all():
            box = button.bounding_box()
            assert box
            assert box["height"] >= 44
    context.close()


def test_a_screen_reader_is_told_where_it_is(context: "BrowserContext", tmp_path: Path) -> None:
    with live(write_run(tmp_path), n=5, attention=0, repeats=0, rubric=True) as server:
        page = context.new_page()
        begin(page, server.link())
        focused = "document.activeElement.textContent"
        assert page.evaluate(focused) == "Pair 1 of 5"
        press(page, "ArrowLeft", 1)
        assert page.evaluate(focused) == "Pair 2 of 5"
        tree = page.locator("body").aria_snapshot()
    for line in (
        "- banner:", "- main:", "- contentinfo:", '- heading "Pair 2 of 5" [level=1]',
        '- heading "Question" [level=2]', '- heading "Answer A" [level=2]', "- region",
        '- progressbar "1 of 5 pairs judged"', '- status: "Saved: A is better."',
        '- button "A is better"', '- button "Cannot judge"', '- textbox "Note',
        '- spinbutton "safety, answer A, 1 to 10"', f'- group "{server.site.session.study.asks}"',
    ):  # fmt: skip
        assert line in tree, tree


def test_a_browser_is_told_no_name_and_asks_nobody_else(
    context: "BrowserContext", tmp_path: Path
) -> None:
    run = write_run(tmp_path, models=("zebra-sft-7b", "walrus-dpo-8b"))
    page = context.new_page()
    sent: list[str] = []
    page.on("request", lambda r: sent.append(f"{r.method} {r.url} {r.post_data or ''}"))
    bodies: list[str] = []
    page.on("response", lambda r: bodies.append(f"{r.url} {r.headers}"))
    with live(run, n=4, attention=2, repeats=1) as server:
        begin(page, server.link())
        for number in range(1, 8):
            bodies.append(page.content())
            press(page, KEYS[number % 5], number)
        bodies += [page.content(), json.dumps(context.cookies()), page.title()]
        bodies.append(page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])"))
        origin = f"http://127.0.0.1:{server.port}/"
    assert all(line.split()[1].startswith(origin) for line in sent)
    everything = "\n".join([*sent, *bodies])
    for word in ("zebra", "walrus", "sft", "dpo", "baseline", "candidate", "decoy", "attention"):
        assert word not in everything, word


# --- hostile texts ---------------------------------------------------------------------------


def hostile_run(folder: Path) -> Path:
    """A run in which every field holds a payload: 60 and more of them, in turn and together."""
    n = len(PAYLOADS)
    assert n >= 60
    everything = "\n".join(PAYLOADS).replace("\ud800", "")
    return write_run(
        folder,
        n=n + 1,
        texts=(
            lambda i: f"{PAYLOADS[i % n]} one".replace("\ud800", ""),
            lambda i: everything if i == n else f"{PAYLOADS[-i % n]} two".replace("\ud800", ""),
        ),
        question=lambda i: (everything if i == n else PAYLOADS[(i * 7) % n]).replace("\ud800", ""),
        reference=everything,
        asks=everything,
        criterion=everything,
    )


HOSTILE_NAMES = [p for p in PAYLOADS if p.isprintable() and len(p) <= 64]


@pytest.mark.slow
def test_hostile_texts_do_nothing_on_the_page(context: "BrowserContext", tmp_path: Path) -> None:
    from playwright.sync_api import expect

    run = hostile_run(tmp_path)
    page = context.new_page()
    seen = watch(page)
    with live(run, n=200, attention=0, repeats=0, rubric=True, show_reference=True, break_every=0) as server:  # fmt: skip
        study = server.site.session.study
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        begin(page, server.link(), name='"><img src=x onerror=alert(1)>')
        for number in range(1, study.n + 1):
            page.locator("details.reference").evaluate("part => part.open = true")
            page.locator("textarea").fill(PAYLOADS[number % len(PAYLOADS)].replace("\ud800", ""))
            click(page, number)
            if number % 20 == 0:  # the note comes back with undo
                page.click("#undo button")
                expect(page.locator("progress")).to_have_js_property("value", number - 1)
                click(page, number)
        assert page.locator("iframe, img, object, form[action^=http], base, svg").count() == 0
        origin = f"http://127.0.0.1:{server.port}/"
        assert all(url.startswith(origin) for url in requests), requests
        assert {url.removeprefix(origin).partition("?")[0] for url in requests} <= {
            f"enter/{server.link().rpartition('/')[2]}", "begin", "pair", "vote", "undo",
            "annotate.css", "keys.js", "annotate.js",
        }  # fmt: skip
    assert seen == []
    assert len(load_votes(run)) == study.n >= 60


@pytest.mark.slow
def test_a_hostile_name_is_only_a_name(context: "BrowserContext", tmp_path: Path) -> None:
    page = context.new_page()
    seen = watch(page)
    with live(write_run(tmp_path), n=2, attention=0, repeats=0) as server:
        for name in HOSTILE_NAMES:
            page.goto(server.link(name))
            assert page.locator("img, iframe, svg, script:not([src])").count() == 0
            page.goto(f"http://127.0.0.1:{server.port}/pair")
            assert page.locator("footer span").text_content() == f"Judging as {name}"
            assert page.locator("img, iframe, svg, script:not([src])").count() == 0
    assert seen == []


def test_hostile_texts_do_nothing_in_the_offline_file(
    context: "BrowserContext", tmp_path: Path
) -> None:
    run = hostile_run(tmp_path / "run")
    opened = open_study(
        run, StudyOptions(n=200, attention=0, repeats=0, rubric=True, show_reference=True, break_every=0)
    )  # fmt: skip
    name = "</script><script>alert(1)</script>"
    write_offline(opened, name, tmp_path / "page.html")
    url = (tmp_path / "page.html").as_uri()
    page = context.new_page()
    seen, requests = watch(page), []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url)
    page.click("#begin")
    for number in range(1, opened.study.n + 1):
        page.locator("textarea").fill(PAYLOADS[number % len(PAYLOADS)].replace("\ud800", ""))
        click(page, number)
    with page.expect_download() as download:
        page.click("#done .save")
    download.value.save_as(tmp_path / "votes.json")
    assert import_offline_votes(opened, tmp_path / "votes.json").n_added == opened.study.n
    assert seen == []
    assert requests == [url]
    assert page.locator("iframe, img, object, base, svg").count() == 0
    assert page.locator("script").count() == 2
