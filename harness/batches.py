"""Questions for endpoints as files: OpenAI's Batch format, which `vllm run-batch` reads as well.

    {"custom_id": "5f0c…", "method": "POST", "url": "/v1/chat/completions", "body": {…}}
    {"custom_id": "5f0c…", "response": {"status_code": 200, "body": {…}}, "error": null}

The first is a question as it is written, the second its reply as it is read. The store knows what
was written into which file. A question is awaited while its file is there and no result line has
said what became of it; so a file is the receipt for what it asks, and one that is gone is lost.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydantic import Field

from harness.endpoint import Ask, Reply
from harness.endpoint.addresses import Address
from harness.endpoint.budget import price
from harness.endpoint.replies import Reading, plain, read_reply
from harness.endpoint.wire import make_body
from harness.errors import HarnessError
from harness.provenance import content_hash
from harness.store import Store
from harness.suite import EndpointSpec
from harness.types import Record

MAX_QUESTIONS = 50_000  # in one file; OpenAI takes no more, and no more than 200 MB
MAX_BYTES = 190_000_000
CHUNK = 500  # result lines to a commit
SHOWN = 5  # bad lines that are named

_URL = "/v1/chat/completions"
_ID = re.compile(rb'"custom_id"\s*:\s*"([0-9a-f]{64})"')
# Valid within JSON, but some readers of lines break at them.
_LINE_BREAKS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class Question(NamedTuple):
    """One ask as a line of a file. `most` is what it can cost at most, None without prices."""

    id: str
    owner: str  # host and model: a file holds one owner's questions
    line: bytes
    most: float | None
    currency: str | None


class BatchFile(Record):
    """What was written into one file, and which of it failed (with the result line's hash)."""

    path: str
    ids: tuple[str, ...]
    failed: dict[str, str] = Field(default_factory=dict)


class WrittenFile(NamedTuple):
    """A file that was written, and what its questions can cost at most."""

    path: Path
    n_questions: int
    most: float | None
    currency: str | None


def make_question(spec: EndpointSpec, address: Address, ask: Ask) -> Question:
    """The ask as the endpoint's client would post it; equal asks have equal ids."""
    body = make_body(spec, address, ask)
    question_id = content_hash(address.host, address.base_url, json.loads(body))
    text = body.decode()
    for character, escape in _LINE_BREAKS.items():
        text = text.replace(character, escape)
    head = f'{{"custom_id": "{question_id}", "method": "POST", "url": "{_URL}", "body": '
    prices = spec.price_per_million
    return Question(
        question_id,
        f"{address.host}-{spec.model}",
        f"{head}{text}}}\n".encode(),
        price(prices, len(body), ask.max_tokens or spec.max_tokens) if prices else None,
        prices.currency if prices else None,
    )


# --- what was written ------------------------------------------------------------------------


class Register:
    """What the store knows of batch files."""

    def __init__(self, store: Store) -> None:
        self._store = store
        keys = [str(number) for number in range(store.count("batch"))]
        self._files = store.get("batch", keys, BatchFile)
        self._next_key = len(keys)
        # A question that was lost or has failed may stand in several; the last one counts.
        self._key_of = {i: key for key in keys if key in self._files for i in self._files[key].ids}
        self._gone = {k for k, file in self._files.items() if not Path(file.path).is_file()}

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, question_id: str) -> bool:
        """Whether it was ever written."""
        return question_id in self._key_of

    def awaited_in(self, question_id: str) -> Path | None:
        """The file whose results may still bring its reply; None if no file does."""
        key = self._key_of.get(question_id)
        if key is None or key in self._gone or question_id in self._files[key].failed:
            return None
        return Path(self._files[key].path)

    def is_lost(self, question_id: str) -> bool:
        """Whether it was written into a file that is gone."""
        return self._key_of.get(question_id) in self._gone

    def awaited(self) -> dict[Path, int]:
        """How many questions are awaited, by file."""
        replied = self._store.get("reply", self._key_of, Reply)
        waiting = (self.awaited_in(i) for i in self._key_of if i not in replied)
        return dict(sorted(Counter(path for path in waiting if path is not None).items()))

    def add(self, path: Path, ids: Sequence[str]) -> None:
        """These questions are about to be written there."""
        key = str(self._next_key)
        self._next_key += 1
        self._files[key] = BatchFile(path=str(path.resolve()), ids=tuple(ids))
        self._key_of |= dict.fromkeys(ids, key)
        self._store.put("batch", {key: self._files[key]})

    def fail(self, failures: Mapping[str, str]) -> int:
        """Open these questions again; a result line that was read before changes nothing."""
        known = {line for file in self._files.values() for line in file.failed.values()}
        fresh: dict[str, dict[str, str]] = {}
        for question_id, line in failures.items():
            if line not in known:
                fresh.setdefault(self._key_of[question_id], {})[question_id] = line
        for key, lines in fresh.items():
            file = self._files[key]
            self._files[key] = file.model_copy(update={"failed": file.failed | lines})
        self._store.put("batch", {key: self._files[key] for key in fresh})
        return sum(map(len, fresh.values()))


def write_questions(
    questions: Iterable[Question],
    folder: Path,
    register: Register,
    *,
    max_questions: int = MAX_QUESTIONS,
    max_bytes: int = MAX_BYTES,
) -> list[WrittenFile]:
    """The questions in new files, one model to a file, each small enough for OpenAI."""
    written = []
    owned = sorted(questions, key=lambda question: question.owner)
    for owner, group in groupby(owned, key=lambda question: question.owner):
        for part in _split(group, max_questions, max_bytes):
            ids = [question.id for question in part]
            costs = [question.most for question in part if question.most is not None]
            file, path = _new_file(folder, re.sub(r"[^\w.-]+", "-", owner))
            with file:
                file.writelines(question.line for question in part)
            # Known before it is there: killed in between, it is lost rather than asked twice.
            register.add(path, ids)
            Path(file.name).rename(path)
            most = sum(costs) if costs else None
            written.append(WrittenFile(path, len(part), most, part[0].currency))
    return written


def _split(
    questions: Iterable[Question], max_questions: int, max_bytes: int
) -> Iterator[list[Question]]:
    part: list[Question] = []
    size = 0
    for question in questions:
        if part and (len(part) == max_questions or size + len(question.line) > max_bytes):
            yield part
            part, size = [], 0
        part.append(question)
        size += len(question.line)
    if part:
        yield part


def _new_file(folder: Path, stem: str) -> tuple[BinaryIO, Path]:
    """A file under a name of its own for now, and the name that it gets: nobody else's."""
    for number in count(1):
        path = folder / f"{stem}-{number}.jsonl"
        try:
            file = path.with_suffix(".part").open("xb")
        except FileExistsError:
            continue
        if not path.exists():
            return file, path
        file.close()
        path.with_suffix(".part").unlink()
    raise AssertionError


# --- what came back --------------------------------------------------------------------------


class Failure(Record):
    """How many questions failed in one way, and what was said of the first."""

    kind: str
    n: int
    detail: str


class Collected(Record):
    """What was read from files of results.

    `replies` are new, `known` were there already, `malformed` names file and line, `foreign` are
    lines that answer nothing written from this workspace, `reopened` are questions to be asked
    again. `awaited` is by file, in the end.
    """

    replies: int
    known: int
    failed: tuple[Failure, ...]
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


MALFORMED = "malformed"


def collect_replies(files: Sequence[Path], workspace: Path) -> Collected:
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
        self._register = Register(store)
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

    def close(self) -> Collected:
        replied = self._store.get("reply", self._failures, Reply)
        failed = {i: result for i, result in self._failures.items() if i not in replied}
        return Collected(
            replies=self._n_new,
            known=self._n_known + sum(self._failures[i].kind != MALFORMED for i in replied),
            failed=tuple(_by_kind(failed.values())),
            malformed=tuple(self._malformed),
            foreign=self._n_foreign,
            reopened=self._register.fail({i: result.hash for i, result in failed.items()}),
            awaited={str(path): n for path, n in self._register.awaited().items()},
        )


def describe_collected(collected: Collected) -> Iterator[str]:
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
        yield f"Still awaited: {_n(n, 'question', 'questions')} of {shown(Path(path))}"


def read_results(path: Path) -> Iterator[Result]:
    """The lines of a file of results, as they come; never raises for what they hold."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _read_line(line, f"{path}:{number}")


def shown(path: Path) -> str:
    """The path as short as it is from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


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
    if reading.step == "keep" and (whole or reading.problem == "context_length"):
        return Result(where, question_id, _reply(reading))
    kind, said = _kind_of(status, reading, error)
    return Result(where, question_id, None, kind, said, hashlib.sha256(line).hexdigest())


def _kind_of(status: int, reading: Reading, error: Any) -> tuple[str, str]:
    """How a result failed, in a word or two, and what was said of it."""
    if isinstance(error, dict) and isinstance(error.get("code"), str):
        return plain(error["code"], limit=60), plain(str(error.get("message") or ""))
    said = (reading.detail or "").removeprefix(f"HTTP {status}").removeprefix(": ")
    if status in {0, 200}:
        return str(reading.problem if status and not error else "error"), said
    return f"HTTP {status}", said


def _reply(reading: Reading) -> Reply:
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


def _by_kind(failed: Iterable[Result]) -> Iterator[Failure]:
    kinds: dict[str, list[Result]] = {}
    for result in failed:
        if result.kind != MALFORMED:  # those are named by line
            kinds.setdefault(result.kind, []).append(result)
    for kind, results in kinds.items():
        yield Failure(kind=kind, n=len(results), detail=results[0].detail)


def _chunks(results: Iterable[Result]) -> Iterator[list[Result]]:
    iterator = iter(results)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _n(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"
