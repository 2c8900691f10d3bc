"""Requests to endpoints as files in OpenAI's Batch format, which `vllm run-batch` reads as well.

    {"custom_id": "5f0c…", "method": "POST", "url": "/v1/chat/completions", "body": {…}}

The store records which request was written into which file. A request is pending while its file
exists and no result line has reported its outcome; so a file is the receipt for its requests, and
the requests of a deleted file are lost. `batch_results.py` reads the replies.
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
from harness.models.endpoint.transport import make_body
from harness.types import Record

MAX_REQUESTS = 50_000  # in one file; OpenAI takes no more, and no more than 200 MB
MAX_BYTES = 190_000_000
_URL = "/v1/chat/completions"

# Valid within JSON, but some readers of lines break at them.
_LINE_BREAKS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class BatchRequest(NamedTuple):
    """A request as a line of a file. `max_cost` is an upper bound, None without prices.

    `answers_as` is the name under which the model answers.
    """

    id: str
    owner: str  # host and model: a file holds requests of one owner only
    answers_as: str
    line: bytes
    max_cost: float | None
    currency: str | None


class BatchFile(Record):
    """The requests of one file, and those that failed with the hash of their result line.

    `answers_as` is the name under which their model answers, empty in files of earlier versions.
    """

    path: str
    ids: tuple[str, ...]
    answers_as: str = Field(default="", exclude_if=lambda name: not name)
    failed: dict[str, str] = Field(default_factory=dict)


class WrittenFile(NamedTuple):
    """A file that was written, and the most that its requests can cost."""

    path: Path
    n_requests: int
    max_cost: float | None
    currency: str | None


def make_batch_request(spec: EndpointSpec, address: Address, ask: Ask) -> BatchRequest:
    """Return the request as the endpoint's client would post it; equal requests have equal ids."""
    body = make_body(spec, address, ask)
    request_id = content_hash(address.host, address.base_url, json.loads(body))
    text = body.decode()
    for character, escape in _LINE_BREAKS.items():
        text = text.replace(character, escape)
    head = f'{{"custom_id": "{request_id}", "method": "POST", "url": "{_URL}", "body": '
    prices = spec.price_per_million
    return BatchRequest(
        request_id,
        f"{address.host}-{spec.model}",
        spec.answers_as or spec.model,
        f"{head}{text}}}\n".encode(),
        prices.cost(len(body), ask.max_tokens or spec.max_tokens) if prices else None,
        prices.currency if prices else None,
    )


# --- index of batch files --------------------------------------------------------------------


class BatchIndex:
    """The batch files and their requests, as recorded in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        keys = sorted(store.keys("batch"), key=int)  # not without gaps: damaged ones are removed
        self._files = store.get("batch", keys, BatchFile)
        self._next_key = int(keys[-1]) + 1 if keys else 0
        # A request that was lost or failed may be in several files; the last one counts.
        self._key_of = {i: key for key in keys if key in self._files for i in self._files[key].ids}
        self._gone = {k for k, file in self._files.items() if not Path(file.path).is_file()}

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, request_id: str) -> bool:
        """Return whether the request was ever written."""
        return request_id in self._key_of

    def pending_in(self, request_id: str) -> Path | None:
        """Return the file whose results may still bring the reply; None if no file can."""
        key = self._key_of.get(request_id)
        if key is None or key in self._gone or request_id in self._files[key].failed:
            return None
        return Path(self._files[key].path)

    def answers_as(self, request_id: str) -> str:
        """Return the name under which the model of a written request answers; nothing if unknown."""
        return self._files[self._key_of[request_id]].answers_as

    def is_lost(self, request_id: str) -> bool:
        """Return whether the request was written into a file that is gone."""
        return self._key_of.get(request_id) in self._gone

    def pending_by_file(self) -> dict[Path, int]:
        """Return the number of pending requests of each file."""
        answered = self._store.get("reply", self._key_of, Reply)
        paths = (self.pending_in(i) for i in self._key_of if i not in answered)
        return dict(sorted(Counter(path for path in paths if path is not None).items()))

    def add(self, path: Path, ids: Sequence[str], answers_as: str = "") -> None:
        """Record that these requests, all to one model, are about to be written to `path`."""
        key = str(self._next_key)
        self._next_key += 1
        self._files[key] = BatchFile(
            path=str(path.resolve()), ids=tuple(ids), answers_as=answers_as
        )
        self._key_of |= dict.fromkeys(ids, key)
        self._store.put("batch", {key: self._files[key]})

    def fail(self, failures: Mapping[str, str]) -> int:
        """Mark requests as failed and return their number; result lines read before are ignored."""
        known_lines = {line for file in self._files.values() for line in file.failed.values()}
        new_failures: dict[str, dict[str, str]] = {}
        for request_id, line in failures.items():
            if line not in known_lines:
                new_failures.setdefault(self._key_of[request_id], {})[request_id] = line
        for key, lines in new_failures.items():
            file = self._files[key]
            self._files[key] = file.model_copy(update={"failed": file.failed | lines})
        self._store.put("batch", {key: self._files[key] for key in new_failures})
        return sum(map(len, new_failures.values()))


def write_batch_requests(
    requests: Iterable[BatchRequest],
    folder: Path,
    index: BatchIndex,
    *,
    max_requests: int = MAX_REQUESTS,
    max_bytes: int = MAX_BYTES,
) -> list[WrittenFile]:
    """Write requests into new files, one model to a file, each small enough for OpenAI."""
    written = []
    by_owner = sorted(requests, key=lambda request: request.owner)
    for owner, group in groupby(by_owner, key=lambda request: request.owner):
        for part in _split(group, max_requests, max_bytes):
            ids = [request.id for request in part]
            costs = [request.max_cost for request in part if request.max_cost is not None]
            file, path = _new_file(folder, re.sub(r"[^\w.-]+", "-", owner))
            with file:
                file.writelines(request.line for request in part)
            # Recorded before it exists: after a kill in between it is lost, not asked twice.
            index.add(path, ids, part[0].answers_as)
            Path(file.name).rename(path)
            max_cost = sum(costs) if costs else None
            written.append(WrittenFile(path, len(part), max_cost, part[0].currency))
    return written


def _split(
    requests: Iterable[BatchRequest], max_requests: int, max_bytes: int
) -> Iterator[list[BatchRequest]]:
    """Split into parts that keep to both limits."""
    part: list[BatchRequest] = []
    size = 0
    for request in requests:
        if part and (len(part) == max_requests or size + len(request.line) > max_bytes):
            yield part
            part, size = [], 0
        part.append(request)
        size += len(request.line)
    if part:
        yield part


def _new_file(folder: Path, stem: str) -> tuple[BinaryIO, Path]:
    """Open a temporary file next to a path that no other run can take; return both."""
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
    """Return the path, relative to the working directory if it is below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
