"""Replies that came back by batch: files of results, read line by line into the store.

    {"custom_id": "5f0c…", "response": {"status_code": 200, "body": {…}}, "error": null}

No line ends the import: a line without a reply is counted with its reason, and its request is
open again. `batch_files.py` writes the requests.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.core.sanitize import printable_line
from harness.core.store import Store
from harness.models.batch_files import BatchIndex
from harness.models.endpoint import Reply
from harness.models.endpoint.replies import AttemptResult, read_reply
from harness.models.families import is_other_family
from harness.types import Record

CHUNK = 500  # result lines per commit
MALFORMED = "malformed"
_GZIP = b"\x1f\x8b"
_ID = re.compile(rb'"custom_id"\s*:\s*"([0-9a-f]{64})"')


class RequestFailure(Record):
    """The number of requests that failed in one way, and the detail of the first."""

    kind: str
    n: int
    detail: str


class BatchImport(Record):
    """The outcome of reading files of results.

    Attributes:
        replies: New replies.
        known: Replies that the store already had.
        differing: Those of them that say something else: the reply that came first is kept.
        failed: Failed requests by kind.
        malformed: Malformed lines, each with its file and line.
        foreign: Lines that answer no request written from this workspace.
        reopened: Requests that are open again.
        awaited: Requests still pending, by file.
    """

    replies: int
    known: int
    differing: int
    failed: tuple[RequestFailure, ...]
    malformed: tuple[str, ...]
    foreign: int
    reopened: int
    awaited: dict[str, int]

    @property
    def complete(self) -> bool:
        """Return whether every line could be read and is a reply to one of our requests."""
        return not (self.failed or self.malformed or self.foreign)


class Result(NamedTuple):
    """One result line: a reply, or the `kind` and detail of a failure.

    `id` is None, and `kind` malformed, where the line names no request.
    """

    where: str
    id: str | None
    reply: Reply | None = None
    kind: str = ""
    detail: str = ""
    hash: str = ""


def import_batch_results(files: Sequence[Path], workspace: Path) -> BatchImport:
    """Store the replies in files of results; failed requests are open again.

    Raises:
        HarnessError: a file cannot be read; nothing is stored then.
    """
    for path in files:
        try:
            path.open("rb").close()
        except OSError as error:
            raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    with Store(workspace) as store:
        reader = _ResultReader(store)
        for results in _chunks(result for path in files for result in read_results(path)):
            reader.take(results)
        return reader.close()


class _ResultReader:
    """Stores replies and counts all other lines."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index = BatchIndex(store)
        self._n_new = self._n_known = self._n_differing = self._n_foreign = 0
        self._malformed: list[str] = []
        self._failures: dict[str, Result] = {}  # by request: another line may hold the reply

    def take(self, results: Sequence[Result]) -> None:
        """Store the new replies of a chunk of lines and count the rest."""
        stored = self._store.get("reply", [r.id for r in results if r.id], Reply)
        new: dict[str, Reply] = {}
        for result in map(self._refuse_other_family, results):
            if result.kind == MALFORMED:
                self._malformed.append(f"{result.where}: {result.detail}")
            if result.id is None:
                continue
            if result.id not in self._index:
                self._n_foreign += result.kind != MALFORMED
            elif result.reply is None:
                self._failures[result.id] = result
            elif kept := stored.get(result.id) or new.get(result.id):
                self._n_known += 1
                self._n_differing += _says(kept) != _says(result.reply)
            else:
                new[result.id] = result.reply
        self._store.put("reply", new)
        self._n_new += len(new)

    def _refuse_other_family(self, result: Result) -> Result:
        """Make a failure of a reply by a model of another family than was asked."""
        if result.id is None or result.reply is None or result.id not in self._index:
            return result
        asked, answered = self._index.answers_as(result.id), result.reply.model or ""
        if not is_other_family(asked, answered):
            return result
        detail = f"'{answered}' answers where '{asked}' was asked ({result.where})"
        return result._replace(reply=None, kind="another model", detail=detail)

    def close(self) -> BatchImport:
        """Reopen what failed and return the counts."""
        replied = self._store.get("reply", self._failures, Reply)
        failed = {i: result for i, result in self._failures.items() if i not in replied}
        return BatchImport(
            replies=self._n_new,
            known=self._n_known + sum(self._failures[i].kind != MALFORMED for i in replied),
            differing=self._n_differing,
            failed=tuple(_by_kind(failed.values())),
            malformed=tuple(self._malformed),
            foreign=self._n_foreign,
            reopened=self._index.fail({i: result.hash for i, result in failed.items()}),
            awaited={str(path): n for path, n in self._index.pending_by_file().items()},
        )


# --- reading a line --------------------------------------------------------------------------


def read_results(path: Path) -> Iterator[Result]:
    """Yield the results of a file line by line; no content of a line raises an error."""
    with path.open("rb") as file:
        if file.peek(2).startswith(_GZIP):
            yield _malformed(b"", str(path), "is compressed; unpack it first")
            return
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
    request_id: str, line: bytes, where: str, status: Any, response: Any, error: Any
) -> Result:
    body = response.get("body") if isinstance(response, dict) else None
    if not isinstance(status, int):
        status = 0
    line_hash = hashlib.sha256(line).hexdigest()
    result = read_reply(status, {}, json.dumps(error if body is None else body).encode())
    ok = status == 200 and not error
    # A too long prompt stays too long; other refusals may be temporary.
    if result.step == "final" and (ok or result.problem == "context_length"):
        return Result(where, request_id, _make_reply(result), hash=line_hash)
    kind, detail = _failure_kind(status, result, error)
    return Result(where, request_id, None, kind, detail, line_hash)


def _failure_kind(status: int, result: AttemptResult, error: Any) -> tuple[str, str]:
    """Return the kind of a failure, in a word or two, and its detail."""
    if isinstance(error, dict) and isinstance(error.get("code"), str):
        message = str(error.get("message") or "")
        return printable_line(error["code"], limit=60), printable_line(message)
    detail = (result.detail or "").removeprefix(f"HTTP {status}").removeprefix(": ")
    if status in {0, 200}:
        return str(result.problem if status and not error else "error"), detail
    return f"HTTP {status}", detail


def _make_reply(result: AttemptResult) -> Reply:
    return Reply(
        text=result.text,
        finish=result.finish,
        refusal=result.refusal,
        input_tokens=result.input_tokens,
        output_tokens=result.output_tokens,
        seconds=0.0,
        attempts=1,
        problem=result.problem,
        detail=result.detail,
        model=result.model,
        thoughts=result.thoughts,
    )


def _says(reply: Reply) -> tuple[str | None, ...]:
    return reply.text, reply.refusal, reply.finish, reply.problem


def _malformed(line: bytes, where: str, reason: str) -> Result:
    match = _ID.search(line)
    request_id = match[1].decode() if match else None
    return Result(where, request_id, None, MALFORMED, reason, hashlib.sha256(line).hexdigest())


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
