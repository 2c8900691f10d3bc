"""The pages and forms, as a browser without a script uses them."""

import json
import resource
from pathlib import Path

import pytest

from harness.human.annotate.tokens import make_link_token
from harness.human.votes import VOTES_FILE, load_votes, read_log, text_sha256
from tests.builders.studies import form_token, good, poor, served, ticket, write_run


def test_five_choices_become_five_votes(tmp_path: Path) -> None:
    choices = ["left", "right", "tie", "both_unsafe", "cannot_judge"]
    with served(write_run(tmp_path), n=5, attention=0, repeats=0) as site:
        page, reply = site.enter("Ada")
        for choice in choices:
            reply = page.vote(reply, choice)
        assert "That was the last pair" in reply.body
    assert [vote.choice for vote in load_votes(tmp_path)] == choices


def test_a_verdict_is_that_of_the_side_that_was_chosen(tmp_path: Path) -> None:
    with served(write_run(tmp_path), n=12, attention=4, repeats=4) as site:
        page, reply = site.enter("Ada")
        for _ in site.session.study.items:
            reply = page.vote(reply, "left")
    votes = load_votes(tmp_path)
    assert all(vote.verdict == vote.left for vote in votes)
    assert {v.verdict for v in votes if v.kind != "attention"} == {"baseline", "candidate"}
    assert {v.attentive for v in votes if v.kind == "attention"} == {True, False}


def test_a_vote_knows_what_was_shown(tmp_path: Path) -> None:
    with served(write_run(tmp_path), n=1, attention=0, repeats=0) as site:
        page, reply = site.enter("Ada")
        page.vote(reply, "left")
    (vote,) = load_votes(tmp_path)
    number = int(vote.sample_id[1:])
    assert vote.texts == {
        "baseline": text_sha256(poor(number)),
        "candidate": text_sha256(good(number)),
    }
    assert vote.question == text_sha256(f"Why does my knee number {number} hurt after sport?")


def test_who_reads_the_answers_passes_the_attention_items(tmp_path: Path) -> None:
    """The expected answer names the number of the knee that was asked about, in order."""
    with served(write_run(tmp_path), n=10, attention=6, repeats=0) as site:
        page, reply = site.enter("Ada")
        for _ in site.session.study.items:
            turn = site.session.next_pair("Ada")
            assert turn
            number = turn.pair.question.split()[5]
            fits = turn.pair.left.startswith(f"Knee {number}:")
            reply = page.vote(reply, "left" if fits else "right")
    assert all(v.attentive for v in load_votes(tmp_path) if v.kind == "attention")


def test_closing_and_reopening_goes_on(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with served(run, n=10, attention=0, repeats=0) as site:
        page, reply = site.enter("Ada")
        after_two = page.vote(page.vote(reply, "left"), "tie")
    with served(run) as site:
        _, reply = site.enter("ada ")
        assert "Pair 3 of 10" in reply.body
        assert ticket(reply.body) == ticket(after_two.body)


def test_a_page_that_was_open_goes_on_after_a_restart(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with served(run, n=10) as site:
        page, reply = site.enter("Ada")
    with served(run) as site:
        page.app = site.app
        page.vote(reply, "left")
    assert len(load_votes(tmp_path)) == 1


def test_undo_brings_the_pair_back_with_its_note(tmp_path: Path) -> None:
    with served(write_run(tmp_path), n=10, attention=0, repeats=0) as site:
        page, first = site.enter("Ada")
        second = page.vote(first, "left", comment="Too blunt.")
        again = page.post("/undo", {"token": form_token(second.body)})
        reply = page.get(again.headers["location"])
        assert ticket(reply.body) == ticket(first.body)
        assert "Too blunt." in reply.body
        assert "Taken back" in reply.body
    assert load_votes(tmp_path) == []
    assert len(read_log(site.folder)) == 2


def test_undo_without_a_vote_does_nothing(tmp_path: Path) -> None:
    with served(write_run(tmp_path)) as site:
        page, reply = site.enter("Ada")
        assert page.post("/undo", {"token": form_token(reply.body)}).status == 303
    assert load_votes(tmp_path) == []


def test_a_form_sent_twice_is_one_vote(tmp_path: Path) -> None:
    with served(write_run(tmp_path), n=10) as site:
        page, reply = site.enter("Ada")
        page.vote(reply, "left")
        page.vote(reply, "left")
    assert len(read_log(site.folder)) == 1


def test_going_back_and_choosing_again_replaces_the_vote(tmp_path: Path) -> None:
    with served(write_run(tmp_path), n=10) as site:
        page, reply = site.enter("Ada")
        page.vote(reply, "left")
        page.vote(reply, "tie")
    assert [vote.choice for vote in load_votes(tmp_path)] == ["tie"]


def test_scores_and_note_are_kept_by_side(tmp_path: Path) -> None:
    with served(write_run(tmp_path), rubric=True) as site:
        page, reply = site.enter("Ada")
        page.vote(reply, "left", comment=" fine\r\nthen ", **{"left.safety": "9"})
    (vote,) = load_votes(tmp_path)
    assert vote.scores == {vote.left: {"safety": 9}}
    assert vote.comment == "fine\nthen"
    assert vote.seconds is not None


def test_a_pause_comes_after_so_many_pairs(tmp_path: Path) -> None:
    with served(write_run(tmp_path), n=5, attention=0, repeats=0, break_every=2) as site:
        page, reply = site.enter("Ada")
        seen = []
        for _ in range(5):
            if "pause" in reply.body:
                reply = page.get("/pair")
            reply = page.vote(reply, "tie")
            seen.append("short pause" in reply.body)
    assert seen == [False, True, False, True, False]


@pytest.mark.parametrize(
    "fields",
    [
        {"choice": "leftish"},
        {"choice": ""},
        {"left.safety": "11"},
        {"left.safety": "0"},
        {"right.safety": "7.5"},
        {"right.safety": "\u0667"},
        {"right.safety": "9" * 5000},
        {"comment": "x" * 4001},
        {"ticket": "0" * 20},
        {"ticket": ""},
    ],
)
def test_an_invalid_form_is_not_saved(tmp_path: Path, fields: dict[str, str]) -> None:
    with served(write_run(tmp_path), rubric=True) as site:
        page, reply = site.enter("Ada")
        sent = {"token": form_token(reply.body), "ticket": ticket(reply.body), "choice": "left"}
        answer = page.post("/vote", sent | fields)
        assert answer.status == 409
        assert "Not saved" in answer.body
    assert load_votes(tmp_path) == []


def test_nobody_votes_on_a_sheet_that_is_not_theirs(tmp_path: Path) -> None:
    with served(write_run(tmp_path)) as site:
        _, adas = site.enter("Ada")
        ben, bens = site.enter("Ben")
        sent = {"token": form_token(bens.body), "ticket": ticket(adas.body), "choice": "left"}
        assert ben.post("/vote", sent).status == 409
    assert load_votes(tmp_path) == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "Ada\x00", "Ada\u202e", "\u200b"])
def test_a_name_that_cannot_be_read_is_asked_for_again(tmp_path: Path, name: str) -> None:
    with served(write_run(tmp_path)) as site:
        page = site.page()
        welcome = page.get(f"/enter/{make_link_token(site.session.study)}")
        reply = page.post("/begin", {"token": form_token(welcome.body), "name": name})
        assert reply.status == 422
        assert 'role="alert"' in reply.body


@pytest.mark.parametrize(
    "name",
    [
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
        "Zoë <i>",
        "日本 太郎",
        "Ada \U0001f469\u200d\u2695",
    ],
)
def test_names_of_the_world_can_vote_and_come_back(tmp_path: Path, name: str) -> None:
    with served(write_run(tmp_path)) as site:
        page, first = site.enter(name)
        page.vote(first, "left")
        _, second = site.enter(name)
        assert "Pair 2" in second.body


def test_a_personal_link_admits_that_name_only(tmp_path: Path) -> None:
    with served(write_run(tmp_path), "Ada") as site:
        study = site.session.study
        page = site.page()
        assert "Pair 1" in page.enter(make_link_token(study, "Ada")).body
        for other in (make_link_token(study, "Ben"), make_link_token(study)):
            assert site.page().get(f"/enter/{other}").status == 403


def test_a_disk_that_is_full_is_said_without_the_inside(tmp_path: Path) -> None:
    with served(write_run(tmp_path)) as site:
        page, reply = site.enter("Ada")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            sent = {"token": form_token(reply.body), "ticket": ticket(reply.body)}
            answer = page.post("/vote", sent | {"choice": "left"})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert answer.status == 507
        assert str(tmp_path) not in answer.body
        assert str(tmp_path) in site.errors[0]
        page.vote(reply, "left")
    assert len(load_votes(tmp_path)) == 1


def test_an_error_inside_is_told_to_the_terminal_only(tmp_path: Path) -> None:
    with served(write_run(tmp_path)) as site:
        page, _ = site.enter("Ada")
        site.session._opened.items.clear()
        answer = page.get("/pair")
        assert answer.status == 500
        assert "KeyError" not in answer.body
        assert "Traceback" in site.errors[0]


def test_a_damaged_study_is_not_begun_anew(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with served(run) as site:
        page, reply = site.enter("Ada")
        page.vote(reply, "left")
    path = site.folder / "study.json"
    study = json.loads(path.read_text())
    del study["secret"]
    path.write_text(json.dumps(study))
    with pytest.raises(Exception, match="restore it"), served(run):
        pass
    assert (site.folder / VOTES_FILE).stat().st_size > 0
