"""Votes on disk."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import HarnessError, InfrastructureError, StoreLockedError
from harness.human.votes import (
    STUDY_FILE,
    VOTES_FILE,
    VoteLog,
    load_study,
    load_votes,
    read_log,
)
from harness.types import Undo, Vote

AT = "2026-11-02T10:15:00+00:00"


def vote(item: str = "real-0001", annotator: str = "Ada", choice: str = "left") -> Vote:
    return Vote.model_validate(
        {
            "study": "study", "item": item, "kind": "real", "task": "knees", "sample_id": "q1",
            "baseline": "sft", "candidate": "dpo", "question": "0" * 64,
            "texts": {"baseline": "1" * 64, "candidate": "2" * 64},
            "annotator": annotator, "left": "candidate",
            "choice": choice, "voted_at": AT, "comment": "Zürich, “so”\u2028\n",
            "verdict": {"left": "candidate", "right": "baseline"}.get(choice, choice),
        }
    )  # fmt: skip


def logged(folder: Path, *entries: Vote | Undo) -> list[Vote]:
    with VoteLog(folder) as log:
        log.append(*entries)
        return log.votes()


def test_votes_come_back_as_they_were(tmp_path: Path) -> None:
    logged(tmp_path, vote(), vote("real-0002"))
    assert logged(tmp_path) == [vote(), vote("real-0002")]


def test_the_last_vote_on_a_pair_stands(tmp_path: Path) -> None:
    assert logged(tmp_path, vote(choice="left"), vote(choice="tie")) == [vote(choice="tie")]


def test_two_annotators_do_not_replace_each_other(tmp_path: Path) -> None:
    assert len(logged(tmp_path, vote(), vote(annotator="Ben"))) == 2


def test_an_undone_vote_does_not_stand_and_stays_on_record(tmp_path: Path) -> None:
    undo = Undo(annotator="Ada", item="real-0001", at=AT)
    assert logged(tmp_path, vote(), undo) == []
    assert read_log(tmp_path) == [vote(), undo]


def test_a_line_without_its_end_was_never_acknowledged(tmp_path: Path) -> None:
    logged(tmp_path, vote())
    with (tmp_path / VOTES_FILE).open("ab") as file:
        file.write(b'{"sha256": "00", "vote": {"annota')
    assert read_log(tmp_path) == [vote()]
    assert logged(tmp_path, vote("real-0002")) == [vote(), vote("real-0002")]


@pytest.mark.parametrize("place", [3, 40, 200, 400])
def test_a_changed_letter_is_found_and_named(tmp_path: Path, place: int) -> None:
    logged(tmp_path, vote(), vote("real-0002"))
    path = tmp_path / VOTES_FILE
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(HarnessError, match="line 1: damaged"):
        read_log(tmp_path)


def test_a_second_process_is_told_who_has_the_study(tmp_path: Path) -> None:
    with VoteLog(tmp_path), pytest.raises(StoreLockedError, match="in use by process"):
        VoteLog(tmp_path).__enter__()


def test_a_vote_that_cannot_be_written_leaves_the_others_whole(tmp_path: Path) -> None:
    with VoteLog(tmp_path) as log:
        log.append(vote())
        size = (tmp_path / VOTES_FILE).stat().st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
        try:
            with pytest.raises(InfrastructureError, match="could not be saved"):
                log.append(vote("real-0002"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        log.append(vote("real-0003"))
    assert [v.item for v in logged(tmp_path)] == ["real-0001", "real-0003"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"name": NaN}']
)
def test_a_damaged_study_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STUDY_FILE).write_bytes(content)
    with pytest.raises(HarnessError, match=r"study\.json: damaged"):
        load_study(tmp_path)


@pytest.mark.parametrize(("file", "read"), [(STUDY_FILE, load_study), (VOTES_FILE, read_log)])
def test_what_cannot_be_read_is_named(
    tmp_path: Path, file: str, read: Callable[[Path], object]
) -> None:
    (tmp_path / file).mkdir()  # as an unreadable file is, also for root
    with pytest.raises(HarnessError, match=f"{file}: cannot be read: Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize("line", [b"[" * 100_000, b"\xff", b"{}", b"[1]", b'{"vote": {}}', b"1"])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / VOTES_FILE).write_bytes(line + b"\n")
    with pytest.raises(HarnessError, match="line 1: damaged"):
        read_log(tmp_path)


def test_a_run_nobody_voted_on_says_so(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="nobody has voted"):
        load_votes(tmp_path)


def test_only_the_owner_may_read_votes(tmp_path: Path) -> None:
    logged(tmp_path, vote())
    assert (tmp_path / VOTES_FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("choice", "winner"),
    [
        ("left", "candidate"),
        ("right", "baseline"),
        ("tie", "tie"),
        ("both_unsafe", "tie"),
        ("cannot_judge", None),
    ],
)
def test_a_vote_says_who_won(choice: str, winner: str | None) -> None:
    assert vote(choice=choice).winner == winner
