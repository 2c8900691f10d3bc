"""Questions for endpoints as files: OpenAI's Batch format, which `vllm run-batch` reads as well.

    {"custom_id": "5f0c…", "method": "POST", "url": "/v1/chat/completions", "body": {…}}

The store knows what was written into which file. A question is awaited while its file is there and
no result line has said what became of it; so a file is the receipt for what it asks, and one that
is gone is lost. `collecting.py` reads the replies.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydantic import Field

from harness.config import EndpointSpec
from harness.core.hashing import content_hash
from harness.core.store import Store
from harness.models.endpoint import Ask, Reply
from harness.models.endpoint.addresses import Address
from harness.models.endpoint.budget import price
from harness.models.endpoint.transport import make_body
from harness.types import Record

MAX_QUESTIONS = 50_000  # in one file; OpenAI takes no more, and no more than 200 MB
MAX_BYTES = 190_000_000
_URL = "/v1/chat/completions"

# Valid within JSON, but some readers of lines break at them.
_LINE_BREAKS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class BatchRequest(NamedTuple):
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


def make_batch_request(spec: EndpointSpec, address: Address, ask: Ask) -> BatchRequest:
    """The ask as the endpoint's client would post it; equal asks have equal ids."""
    body = make_body(spec, address, ask)
    question_id = content_hash(address.host, address.base_url, json.loads(body))
    text = body.decode()
    for character, escape in _LINE_BREAKS.items():
        text = text.replace(character, escape)
    head = f'{{"custom_id": "{question_id}", "method": "POST", "url": "{_URL}", "body": '
    prices = spec.price_per_million
    return BatchRequest(
        question_id,
        f"{address.host}-{spec.model}",
        f"{head}{text}}}\n".encode(),
        price(prices, len(body), ask.max_tokens or spec.max_tokens) if prices else None,
        prices.currency if prices else None,
    )


# --- what was written ------------------------------------------------------------------------


class BatchIndex:
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


def write_batch_requests(
    questions: Iterable[BatchRequest],
    folder: Path,
    register: BatchIndex,
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
    questions: Iterable[BatchRequest], max_questions: int, max_bytes: int
) -> Iterator[list[BatchRequest]]:
    part: list[BatchRequest] = []
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


def display_path(path: Path) -> str:
    """The path as short as it is from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
