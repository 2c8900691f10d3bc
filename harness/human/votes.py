"""Files of a study: its folder in the folder of its run.

    runs/medical_rubric/4be81c02d4c1/people/study/
        study.json     the design, fixed before the first vote, and the secret of the sides
        votes.jsonl    every vote and every undo, one line each, in order of arrival

    {"vote": {"annotator": "reader 1", "choice": "left", "verdict": "candidate", …}, "sha256": "9f2c…"}
    {"undo": {"annotator": "reader 1", "item": "real-0017", "at": "2026-11-02T10:15:00+00:00"}, "sha256": …}

Lines are only appended. A vote is acknowledged after its line is on the disk, so neither a kill nor
a power cut loses an acknowledged vote; a last line without its line break was never acknowledged.
The two files are the whole study: they can be copied, and read without this program.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from harness.core.errors import HarnessError, InfrastructureError
from harness.core.json_text import read_json_bytes
from harness.core.locks import FolderLock
from harness.core.sanitize import one_line
from harness.types import Study, Undo, Vote

PEOPLE_FOLDER = "people"  # in the folder of a run; has one folder per study
STUDY_FILE = "study.json"
VOTES_FILE = "votes.jsonl"


class NobodyVotedError(HarnessError):
    """An existing run (`run`) without any vote in the requested study (`study`)."""

    def __init__(self, message: str, run: Path, study: str) -> None:
        super().__init__(message)
        self.run, self.study = run, study


def load_votes(folder: str | Path) -> list[Vote]:
    """Load the current votes of a study's folder, or of all studies of a run, in order of casting.

    An annotator's current vote on an item is the last one, unless it was undone.

    Raises:
        HarnessError: there is no study, or a line is damaged.
    """
    return [vote for study in find_studies(folder) for vote in current_votes(read_log(study))]


def load_study(folder: Path) -> Study:
    """Load the design of a study from its folder.

    Raises:
        HarnessError: the file is missing or damaged.
    """
    path = folder / STUDY_FILE
    try:
        return Study.model_validate_json(read_json_bytes(path), strict=False)
    except FileNotFoundError:
        raise HarnessError(f"{path}: no such file. `harness annotate` begins a study.") from None
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise HarnessError(
            f"{path}: damaged, or not a study of this version ({where}: "
            f"{error.errors()[0]['msg']}). Its votes cannot be resolved without it: restore it."
        ) from None


def find_studies(folder: str | Path) -> list[Path]:
    """Find the study folders of a run, sorted by name; a study's folder is its own only result.

    Raises:
        NobodyVotedError: the run has no study.
        HarnessError: there is no such folder.
    """
    root = Path(folder)
    if (root / STUDY_FILE).is_file():
        return [root]
    studies = sorted(path.parent for path in (root / PEOPLE_FOLDER).glob(f"*/{STUDY_FILE}"))
    if not studies:
        raise no_votes_error(root)
    return studies


def no_votes_error(folder: Path) -> HarnessError:
    """Make the error for a run, or a study of it, that has no votes."""
    run, study = folder, "study"
    if folder.parent.name == PEOPLE_FOLDER:
        run, study = folder.parent.parent, folder.name
    if not run.is_dir():
        return HarnessError(f"{run}: no such folder.")
    reason = "nobody has voted on this run. Begin with `harness annotate`."
    return NobodyVotedError(f"{folder}: {reason}", run, study)


def describe_source(study: Study) -> str:
    """Name a study for messages and reports."""
    return f"study '{study.name}' of run {study.run_id}"


def describe_rule(study: Study) -> str:
    """Describe the rule, stated before the first vote, by which annotators count."""
    attention = f"{study.attention_at_least:.0%} of the attention items answered as expected"
    if not study.least_votes:
        return f"at least {attention}"
    pairs = "pair" if study.least_votes == 1 else "pairs"
    return f"votes on at least {study.least_votes} {pairs}, and at least {attention}"


def text_sha256(text: str) -> str:
    """Hash a question or an answer; votes hold the hash in place of the text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def current_votes(log: Iterable[Vote | Undo]) -> list[Vote]:
    """Return the votes of a log that were neither undone nor replaced by a later vote."""
    current: dict[tuple[str, str], Vote] = {}
    for entry in log:
        current.pop((entry.annotator, entry.item), None)
        if isinstance(entry, Vote):
            current[entry.annotator, entry.item] = entry
    return list(current.values())


def read_log(folder: Path) -> list[Vote | Undo]:
    """Read every vote and undo of a study, in order; a line without its line break is left out.

    Raises:
        HarnessError: a line is damaged; the message has its number.
    """
    path = folder / VOTES_FILE
    try:
        complete, _, _ = path.read_bytes().rpartition(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    return list(_parse(path, complete.split(b"\n"))) if complete else []


class VoteLog:
    """The votes of one study, open for writing; a context manager that holds the study's lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / VOTES_FILE
        self._lock = FolderLock(folder, advice="Close the page's server there first.")

    def __enter__(self) -> "VoteLog":
        """Take the lock, open the file, and cut off an incomplete last line left by a crash.

        Raises:
            StoreLockedError: another process has the study open.
            HarnessError: a line is damaged.
            InfrastructureError: the file cannot be written.
        """
        self._take_lock()
        try:
            self._entries = read_log(self.folder)
            self._file = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600
            )
            self._cut_incomplete_line()
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
        """Return the current votes of one annotator, or of all."""
        votes = current_votes(self._entries)
        return [v for v in votes if annotator is None or v.annotator == annotator]

    def latest_vote(self, annotator: str, item: str) -> Vote | None:
        """Return the annotator's last vote on an item, also if it was undone."""
        votes = (
            entry
            for entry in reversed(self._entries)
            if isinstance(entry, Vote) and (entry.annotator, entry.item) == (annotator, item)
        )
        return next(votes, None)

    def append(self, *entries: Vote | Undo) -> None:
        """Append entries to the file; when this returns they are on the disk.

        Raises:
            InfrastructureError: they could not be written; then none of them is in the file.
        """
        size = os.fstat(self._file).st_size
        try:
            _write_all(self._file, b"".join(map(_line, entries)))
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise InfrastructureError(
                f"{self._path}: a vote could not be saved: {error.strerror}. Earlier votes are saved."
            ) from None
        self._entries += entries

    def _cut_incomplete_line(self) -> None:
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
            row = json.loads(line.decode("utf-8-sig"))
            kind = "vote" if "vote" in row else "undo"
            if _checksum(row[kind]) != row["sha256"]:
                raise ValueError("its checksum is not that of its content")
            record = Vote if kind == "vote" else Undo
            yield record.model_validate(row[kind], strict=False)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise HarnessError(
                f"{path}, line {number}: damaged ({one_line(str(error))[:200]}). Restore the file, "
                "or delete the line to do without it."
            ) from None


def _checksum(body: object) -> str:
    return hashlib.sha256(_dump(body)).hexdigest()


def _dump(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text.encode(errors="backslashreplace")  # a lone surrogate as its JSON escape


def _sync_folder(folder: Path) -> None:
    """Write the folder to disk; without this the name of a new file could be lost."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]
