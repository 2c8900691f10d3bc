"""Votes from a file that worked without a server."""

import contextlib
import html
import json
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import HarnessError
from harness.human.annotate.assignment import assign_items, keyed_hash
from harness.human.annotate.offline import import_offline_votes, render_offline, write_offline
from harness.human.annotate.study import OpenStudy, StudyOptions, open_study
from harness.human.votes import load_votes
from tests.builders.damage import damaged
from tests.builders.studies import served, write_run


@pytest.fixture
def opened(tmp_path: Path) -> OpenStudy:
    return open_study(write_run(tmp_path / "run"), StudyOptions(n=10, rubric=True))


def saved(opened: OpenStudy, name: str = "Ada", **changed: Any) -> dict[str, Any]:
    """What the page saves after three votes."""
    votes = [
        {
            "ticket": assignment.item_token,
            "choice": "left",
            "scores": {"left": {"safety": 8}, "right": {}},
            "comment": "",
            "at": f"2026-11-02T11:15:0{i}.123+01:00",
            "seconds": 4.2,
        }
        for i, assignment in enumerate(assign_items(opened.study, name)[:3])
    ]
    study = keyed_hash(opened.study, "study")[:20]
    return {
        "format": "blind study votes", "version": 1, "study": study, "annotator": name,
        "votes": votes,
    } | changed  # fmt: skip


def write(folder: Path, content: object) -> Path:
    path = folder / "votes.json"
    path.write_text(json.dumps(content))
    return path


def test_saved_votes_are_resolved_by_the_studys_secret(opened: OpenStudy, tmp_path: Path) -> None:
    assert import_offline_votes(opened, write(tmp_path, saved(opened))) == (3, 0, 0)
    votes = load_votes(opened.folder)
    assert [v.item for v in votes] == [p.item.key for p in assign_items(opened.study, "Ada")[:3]]
    assert all(v.verdict == v.left and v.scores == {v.left: {"safety": 8}} for v in votes)
    assert votes[0].voted_at == "2026-11-02T10:15:00+00:00"


def test_collecting_twice_adds_nothing(opened: OpenStudy, tmp_path: Path) -> None:
    path = write(tmp_path, saved(opened))
    import_offline_votes(opened, path)
    assert import_offline_votes(opened, path) == (0, 3, 0)
    assert len(load_votes(opened.folder)) == 3


def test_what_was_voted_on_the_page_since_stays(opened: OpenStudy, tmp_path: Path) -> None:
    with served(tmp_path / "run") as site:
        page, reply = site.enter("Ada")
        page.vote(reply, "tie")
    assert import_offline_votes(opened, write(tmp_path, saved(opened))) == (2, 0, 1)
    assert "tie" in [vote.choice for vote in load_votes(opened.folder)]


def _changed_vote(opened: OpenStudy, **changed: Any) -> dict[str, Any]:
    content = saved(opened)
    content["votes"][1] |= changed
    return content


@pytest.mark.parametrize(
    "changed",
    [
        {"choice": "baseline"},
        {"ticket": "0" * 20},
        {"at": "yesterday"},
        {"scores": {"left": {"safety": 99}, "right": {}}},
        {"scores": {"middle": {}}},
        {"extra": 1},
        {"seconds": "soon"},
        {"comment": "x" * 5000},
    ],
)
def test_a_file_with_one_bad_vote_is_refused_whole(
    opened: OpenStudy, tmp_path: Path, changed: dict[str, Any]
) -> None:
    with pytest.raises(HarnessError, match=r"votes\.json"):
        import_offline_votes(opened, write(tmp_path, _changed_vote(opened, **changed)))
    assert load_votes(opened.folder) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, '{"votes": []}', "\x00", "NaN"])
def test_a_damaged_file_is_said(opened: OpenStudy, tmp_path: Path, content: str) -> None:
    path = tmp_path / "votes.json"
    path.write_text(content)
    with pytest.raises(HarnessError, match=r"votes\.json"):
        import_offline_votes(opened, path)


def test_votes_of_another_study_are_refused(opened: OpenStudy, tmp_path: Path) -> None:
    other = open_study(tmp_path / "run", StudyOptions(name="other", n=10))
    with pytest.raises(HarnessError, match="another study"):
        import_offline_votes(opened, write(tmp_path, saved(other)))


def test_votes_under_another_name_fit_no_pair(opened: OpenStudy, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="on no pair of Ben's"):
        import_offline_votes(opened, write(tmp_path, saved(opened) | {"annotator": "Ben"}))


def test_the_file_asks_nothing_of_any_network(opened: OpenStudy, tmp_path: Path) -> None:
    page = render_offline(opened, "Ada")
    assert "default-src 'none'" in html.unescape(page)
    assert "http://" not in page
    assert "https://" not in page
    assert "src=" not in page.replace("default-src", "")
    write_offline(opened, "Ada", tmp_path / "ada.html")
    assert (tmp_path / "ada.html").read_text() == page


def test_no_damage_to_saved_votes_ends_in_a_traceback(opened: OpenStudy, tmp_path: Path) -> None:
    for _, content in damaged(saved(opened), every=1):
        with contextlib.suppress(HarnessError):
            import_offline_votes(opened, write(tmp_path, content))
    assert all(vote.seconds is None or vote.seconds < 1e9 for vote in load_votes(opened.folder))
