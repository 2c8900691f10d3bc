"""What came back by batch: files of results, read line by line into the store.

    {"custom_id": "5f0c…", "response": {"status_code": 200, "body": {…}}, "error": null}

A line never ends the reading: one that is no reply is counted with its reason, and its question is
open again. The questions are written by `batches.py`.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.core.store import Store
from harness.models.batch_files import BatchIndex, display_path
from harness.models.endpoint import Reply
from harness.models.endpoint.replies import AttemptResult, plain, read_reply
from harness.types import Record

CHUNK = 500  # result lines to a commit
SHOWN = 5  # bad lines that are named
MALFORMED = "malformed"
_ID = re.compile(rb'"custom_id"\s*:\s*"([0-9a-f]{64})"')


class RequestFailure(Record):
    """How many questions failed in one way, and what was said of the first."""

    kind: str
    n: int
    detail: str


class BatchImport(Record):
    """What was read from files of results.

    `replies` are new, `known` were there already, `malformed` names file and line, `foreign` are
    lines that answer nothing written from this workspace, `reopened` are questions to be asked
    again. `awaited` is by file, in the end.
    """

    replies: int
    known: int
    failed: tuple[RequestFailure, ...]
    malformed: tuple[str, ...]
    foreign: int
    reopened: int
    awaited: dict[str, int]

    @property
    def complete(self) -> bool:
        """Whether every line was ours, was read, and is a reply."""
        return not (self.failed or self.malformed or self.foreign)


class Result(NamedTuple):
    """One result line: a reply, or the `kind` of failure and what was said of it.

    `id` is None, and `kind` malformed, where nothing tells which question it is about.
    """

    where: str
    id: str | None
    reply: Reply | None = None
    kind: str = ""
    detail: str = ""
    hash: str = ""


def import_batch_results(files: Sequence[Path], workspace: Path) -> BatchImport:
    """Keep the replies in files of results; what failed is open again and will be asked.

    Raises:
        HarnessError: a file that cannot be read; nothing is kept then.
    """
    for path in files:
        try:
            path.open("rb").close()
        except OSError as error:
            raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    with Store(workspace) as store:
        collection = _Collection(store)
        for results in _chunks(result for path in files for result in read_results(path)):
            collection.take(results)
        return collection.close()


class _Collection:
    """Replies on their way into the store, and a count of everything else."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._register = BatchIndex(store)
        self._n_new = self._n_known = self._n_foreign = 0
        self._malformed: list[str] = []
        self._failures: dict[str, Result] = {}  # another line may still hold the reply

    def take(self, results: Sequence[Result]) -> None:
        there = set(self._store.get("reply", [r.id for r in results if r.id], Reply))
        fresh: dict[str, Reply] = {}
        for result in results:
            if result.kind == MALFORMED:
                self._malformed.append(f"{result.where}: {result.detail}")
            if result.id is None:
                continue
            if result.id not in self._register:
                self._n_foreign += result.kind != MALFORMED
            elif result.reply is None:
                self._failures[result.id] = result
            elif result.id in there or result.id in fresh:
                self._n_known += 1
            else:
                fresh[result.id] = result.reply
        self._store.put("reply", fresh)
        self._n_new += len(fresh)

    def close(self) -> BatchImport:
        replied = self._store.get("reply", self._failures, Reply)
        failed = {i: result for i, result in self._failures.items() if i not in replied}
        return BatchImport(
            replies=self._n_new,
            known=self._n_known + sum(self._failures[i].kind != MALFORMED for i in replied),
            failed=tuple(_by_kind(failed.values())),
            malformed=tuple(self._malformed),
            foreign=self._n_foreign,
            reopened=self._register.fail({i: result.hash for i, result in failed.items()}),
            awaited={str(path): n for path, n in self._register.awaited().items()},
        )


def describe_collected(collected: BatchImport) -> Iterator[str]:
    """What was collected, in lines."""
    n_failed = sum(failure.n for failure in collected.failed)
    counts = {
        "already there": collected.known,
        "failed": n_failed,
        "malformed": len(collected.malformed),
        "not ours": collected.foreign,
    }
    parts = [f"{_n(collected.replies, 'new reply', 'new replies')}"]
    yield ", ".join([*parts, *(f"{n:,} {word}" for word, n in counts.items() if n)])
    for failure in collected.failed:
        yield f"  {failure.kind} ({failure.n:,}){': ' if failure.detail else ''}{failure.detail}"
    for line in collected.malformed[:SHOWN]:
        yield f"  {line}"
    if len(collected.malformed) > SHOWN:
        yield f"  … and {len(collected.malformed) - SHOWN:,} more malformed lines"
    if collected.reopened:
        opened = _n(collected.reopened, "question is", "questions are")
        yield f"{opened} open again: the next run asks, with --batch in a new file."
    for path, n in collected.awaited.items():
        yield f"Still awaited: {_n(n, 'question', 'questions')} of {display_path(Path(path))}"


# --- one line --------------------------------------------------------------------------------


def read_results(path: Path) -> Iterator[Result]:
    """The lines of a file of results, as they come; never raises for what they hold."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _read_line(line, f"{path}:{number}")


def _read_line(line: bytes, where: str) -> Result:
    try:
        data = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _malformed(line, where, "is not UTF-8")
    except (ValueError, RecursionError):
        half = "" if line.endswith(b"\n") else "; it breaks off, so fetch the file again"
        return _malformed(line, where, f"is no JSON{half}")
    if not isinstance(data, dict) or not isinstance(data.get("custom_id"), str):
        return _malformed(line, where, "has no custom_id")
    if "method" in data:
        return Result(where, None, None, MALFORMED, "is a question, not its reply")
    response, error = data.get("response"), data.get("error")
    status = response.get("status_code") if isinstance(response, dict) else None
    if error is None and (not isinstance(status, int) or isinstance(status, bool)):
        return _malformed(line, where, "holds neither a response with a status nor an error")
    return _read_reply(data["custom_id"], line, where, status, response, error)


def _read_reply(
    question_id: str, line: bytes, where: str, status: Any, response: Any, error: Any
) -> Result:
    body = response.get("body") if isinstance(response, dict) else None
    if not isinstance(status, int):
        status = 0
    reading = read_reply(status, {}, json.dumps(error if body is None else body).encode())
    whole = status == 200 and not error
    # Too long is about the question and stays so; other refusals may be about the day.
    if reading.step == "final" and (whole or reading.problem == "context_length"):
        return Result(where, question_id, _reply(reading))
    kind, said = _kind_of(status, reading, error)
    return Result(where, question_id, None, kind, said, hashlib.sha256(line).hexdigest())


def _kind_of(status: int, reading: AttemptResult, error: Any) -> tuple[str, str]:
    """How a result failed, in a word or two, and what was said of it."""
    if isinstance(error, dict) and isinstance(error.get("code"), str):
        return plain(error["code"], limit=60), plain(str(error.get("message") or ""))
    said = (reading.detail or "").removeprefix(f"HTTP {status}").removeprefix(": ")
    if status in {0, 200}:
        return str(reading.problem if status and not error else "error"), said
    return f"HTTP {status}", said


def _reply(reading: AttemptResult) -> Reply:
    return Reply(
        text=reading.text,
        finish=reading.finish,
        refusal=reading.refusal,
        input_tokens=reading.input_tokens,
        output_tokens=reading.output_tokens,
        seconds=0.0,
        attempts=1,
        problem=reading.problem,
        detail=reading.detail,
    )


def _malformed(line: bytes, where: str, why: str) -> Result:
    found = _ID.search(line)
    question_id = found[1].decode() if found else None
    return Result(where, question_id, None, MALFORMED, why, hashlib.sha256(line).hexdigest())


def _by_kind(failed: Iterable[Result]) -> Iterator[RequestFailure]:
    kinds: dict[str, list[Result]] = {}
    for result in failed:
        if result.kind != MALFORMED:  # those are named by line
            kinds.setdefault(result.kind, []).append(result)
    for kind, results in kinds.items():
        yield RequestFailure(kind=kind, n=len(results), detail=results[0].detail)


def _chunks(results: Iterable[Result]) -> Iterator[list[Result]]:
    iterator = iter(results)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _n(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"
