"""Votes on disk: a study's folder in the folder of its run.

    runs/medical_rubric/4be81c02d4c1/people/study/
        study.json     what was stated before the first vote, and the secret of the sides
        votes.jsonl    every vote and every undo, one line each, in the order they came

    {"vote": {"annotator": "reader 1", "choice": "left", "verdict": "candidate", …}, "sha256": "9f2c…"}
    {"undo": {"annotator": "reader 1", "item": "real-0017", "at": "2026-11-02T10:15:00+00:00"}, "sha256": …}

Lines are only ever added. A vote is acknowledged after its line is on the disk, so neither a kill
nor a power cut loses one that was; a last line without its end was never acknowledged. The two
files are the whole study: they can be copied, and read without this program.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from harness.core.errors import HarnessError, InfrastructureError
from harness.core.locks import FolderLock
from harness.types import Study, Undo, Vote

PEOPLE_FOLDER = "people"  # in the folder of a run


STUDY_FILE = "study.json"


VOTES_FILE = "votes.jsonl"


class NobodyVotedError(HarnessError):
    """There is a run (`run`), and no vote on it in the study (`study`) that was asked for."""

    def __init__(self, message: str, run: Path, study: str) -> None:
        super().__init__(message)
        self.run, self.study = run, study


def load_votes(folder: str | Path) -> list[Vote]:
    """The votes that stand, in the order they were cast: of a study's folder, or of a whole run.

    The last vote of an annotator on an item stands; one that was undone does not.

    Raises:
        HarnessError: there is no study, or a line is damaged.
    """
    return [vote for study in find_studies(folder) for vote in current_votes(read_log(study))]


def load_study(folder: Path) -> Study:
    """What a study's folder says was stated beforehand.

    Raises:
        HarnessError: the file is missing or damaged.
    """
    path = folder / STUDY_FILE
    try:
        return Study.model_validate_json(path.read_bytes(), strict=False)
    except FileNotFoundError:
        raise HarnessError(f"{path}: no such file. `harness annotate` begins a study.") from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise HarnessError(
            f"{path}: damaged, or not a study of this version ({where}: "
            f"{error.errors()[0]['msg']}). Its votes cannot be told apart without it: restore it."
        ) from None


def find_studies(folder: str | Path) -> list[Path]:
    """The study folders of a run, by name; a study's folder is its own only one.

    Raises:
        NobodyVotedError: there is none.
        HarnessError: there is no such folder.
    """
    place = Path(folder)
    if (place / STUDY_FILE).is_file():
        return [place]
    found = sorted(path.parent for path in (place / PEOPLE_FOLDER).glob(f"*/{STUDY_FILE}"))
    if not found:
        raise no_votes_error(place)
    return found


def no_votes_error(place: Path) -> HarnessError:
    """What is wrong where a run, or a study of it, has no votes."""
    run, study = place, "study"
    if place.parent.name == PEOPLE_FOLDER:
        run, study = place.parent.parent, place.name
    if not run.is_dir():
        return HarnessError(f"{run}: no such folder.")
    words = "nobody has voted on this run. Begin with `harness annotate`."
    return NobodyVotedError(f"{place}: {words}", run, study)


def describe_source(study: Study) -> str:
    """What a study is called wherever its votes are used."""
    return f"study '{study.name}' of run {study.run_id}"


def text_sha256(text: str) -> str:
    """What a vote says of a question or an answer in place of its text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def current_votes(log: Iterable[Vote | Undo]) -> list[Vote]:
    """What is left of a log after its undos and changes of mind."""
    standing: dict[tuple[str, str], Vote] = {}
    for entry in log:
        standing.pop((entry.annotator, entry.item), None)
        if isinstance(entry, Vote):
            standing[entry.annotator, entry.item] = entry
    return list(standing.values())


def read_log(folder: Path) -> list[Vote | Undo]:
    """Everything that was ever said, in order.

    Raises:
        HarnessError: a line is damaged; names it.
    """
    path = folder / VOTES_FILE
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")
    except FileNotFoundError:
        return []
    return list(_parse(path, whole.split(b"\n"))) if whole else []


class VoteLog:
    """The votes of one study, open for writing; use it with `with`, which holds the study's lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / VOTES_FILE
        self._lock = FolderLock(folder, advice="Close the page's server there first.")

    def __enter__(self) -> "VoteLog":
        """Take the lock, cut off a line that a crash left without its end, and open the file.

        Raises:
            StoreLockedError: another process has the study open.
            HarnessError: a line is damaged.
            InfrastructureError: the file cannot be written.
        """
        self._take_lock()
        try:
            self._entries = read_log(self.folder)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._cut_torn_line()
            _sync_folder(self.folder)
        except OSError as error:
            self._lock.release()
            raise InfrastructureError(f"{self._path}: {error.strerror}.") from None
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file and free the lock."""
        os.close(self._file)
        self._lock.release()

    def votes(self, annotator: str | None = None) -> list[Vote]:
        """The votes that stand, of one annotator or of all."""
        votes = current_votes(self._entries)
        return [v for v in votes if annotator is None or v.annotator == annotator]

    def latest_vote(self, annotator: str, item: str) -> Vote | None:
        """The annotator's last vote on an item, whether it stands or was taken back."""
        said = (
            entry
            for entry in reversed(self._entries)
            if isinstance(entry, Vote) and (entry.annotator, entry.item) == (annotator, item)
        )
        return next(said, None)

    def append(self, *entries: Vote | Undo) -> None:
        """Write these lines; when this returns they are on the disk.

        Raises:
            InfrastructureError: they could not be written; none of them counts.
        """
        size = os.fstat(self._file).st_size
        try:
            _write_all(self._file, b"".join(map(_line, entries)))
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise InfrastructureError(
                f"{self._path}: a vote could not be saved: {error.strerror}. Those before it are."
            ) from None
        self._entries += entries

    def _cut_torn_line(self) -> None:
        content = self._path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.ftruncate(self._file, content.rfind(b"\n") + 1)

    def _take_lock(self) -> None:
        try:
            self._lock.take()
        except OSError as error:
            raise HarnessError(f"{self.folder}: cannot be written: {error.strerror}.") from None


# --- lines -----------------------------------------------------------------------------------


def _line(entry: Vote | Undo) -> bytes:
    kind = "vote" if isinstance(entry, Vote) else "undo"
    body = entry.model_dump(mode="json")
    return _dump({kind: body, "sha256": _checksum(body)}) + b"\n"


def _parse(path: Path, lines: Iterable[bytes]) -> Iterator[Vote | Undo]:
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            kind = "vote" if "vote" in row else "undo"
            if _checksum(row[kind]) != row["sha256"]:
                raise ValueError("its checksum is not that of its content")
            record = Vote if kind == "vote" else Undo
            yield record.model_validate(row[kind], strict=False)
        except (ValueError, KeyError, TypeError) as error:
            raise HarnessError(
                f"{path}, line {number}: damaged ({str(error).splitlines()[0]}). Restore the file, "
                "or delete the line to do without it."
            ) from None


def _checksum(body: object) -> str:
    return hashlib.sha256(_dump(body)).hexdigest()


def _dump(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text.encode(errors="backslashreplace")  # a lone surrogate as its JSON escape


def _sync_folder(folder: Path) -> None:
    """A new file's name is on the disk only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]
