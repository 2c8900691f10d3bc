"""One run's way of asking endpoints: within a budget, and live or by batch file.

    session = EndpointSession(store, budget=budget, folder=Path("batch"))
    endpoint = open_endpoint(spec, session)

A stored reply of a batch is used before a request is sent. With a folder nothing is sent: the
requests are written there once the run has found all of them.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from harness.config import EndpointSpec
from harness.config.request import NOTHING_AGAIN, AskAgain
from harness.core.store import Store, make_writable, read_rows
from harness.models.batch_files import (
    BatchIndex,
    BatchRequest,
    display_path,
    make_batch_request,
    write_batch_requests,
)
from harness.models.endpoint import (
    AdmittedFormat,
    Ask,
    Budget,
    BudgetSpentError,
    ChatFlow,
    Ended,
    Endpoint,
    Reply,
    ResponseFormats,
    advance,
    ask_once,
)
from harness.models.endpoint.addresses import read_address
from harness.models.endpoint.client import fingerprint_endpoint
from harness.models.served import ServedCheck
from harness.models.serving.servers import Servers
from harness.types import Exchange, Record

T = TypeVar("T")

# A temporary problem: its response or verdict is neither stored nor scored.
_AWAITED = Reply(
    text=None,
    finish=None,
    refusal=None,
    input_tokens=None,
    output_tokens=None,
    seconds=0.0,
    attempts=0,
    problem="unreachable",
    detail="awaited in a batch",
)


class PendingFile(Record):
    """A batch file with requests that wait for replies, and the most that they can cost."""

    path: str
    questions: int
    new: bool
    most: float | None = None
    currency: str | None = None


class PendingRequests(Record):
    """The requests that a run waits for; `repeated` of them were in files that are gone."""

    questions: int
    files: tuple[PendingFile, ...]
    repeated: int


class PendingRepliesError(Exception):
    """Work that cannot go on before replies have come; lists them once they are written down."""

    def __init__(self, pending: PendingRequests | None = None) -> None:
        super().__init__("replies are awaited")
        self.pending = pending


class EndpointSession:
    """How one run asks its endpoints, and the `servers` that answer for its checkpoints.

    `budget` bounds the cost of live requests, and that of each batch. With a `folder` nothing is
    sent: new requests are written there. Replies of batches are in `store`, which must be open when
    an endpoint is asked; without a store every request is live. `again` is what is asked again
    although the store has it, and `served` what is known of the servers behind stored answers.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        budget: Budget | None = None,
        folder: Path | None = None,
        again: AskAgain = NOTHING_AGAIN,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.store = store
        self.servers = Servers(store, log)
        self.again = again._replace(try_repaired=folder is None)
        self.renewed: set[str] = set()  # keys of answers that this run has asked again
        self.served: dict[str, ServedCheck] = {}  # by model and server, each checked once a run
        self.judges: dict[str, ServedCheck] = {}  # by judge, each checked once a run
        self.probes: dict[str, list[Exchange]] = {}  # by model or judge: what was asked once more
        self.formats: dict[str, AdmittedFormat] = {}  # by model and server that refused a format
        self.lock = threading.Lock()  # held while a judge is checked
        self.budget = budget
        self.folder = folder
        # Judges ask from threads of their own; single operations on a dict need no lock.
        self._new: dict[str, BatchRequest] = {}
        self._written: dict[str, Path] = {}
        self._index: BatchIndex | None = None

    @property
    def by_batch(self) -> bool:
        """Return whether requests are written into files instead of being sent."""
        return self.folder is not None

    @property
    def index(self) -> BatchIndex:
        """Return the batch files that were written before this run, read once."""
        if self._index is None:
            self._index = BatchIndex(self._open_store)
        return self._index

    @property
    def has_pending(self) -> bool:
        """Return whether a reply is missing that can only come by batch."""
        return bool(self._new or self._written)

    def batched_reply(self, request: BatchRequest) -> Reply | None:
        """Return the stored reply, or a placeholder for one to come; None if it may be sent now."""
        stored_replies = self._open_store.get("reply", [request.id], Reply)
        if stored_replies:
            return stored_replies[request.id]
        file = self.index.pending_in(request.id)
        if file is not None:
            self._written[request.id] = file
        elif self.folder is not None:
            self._new[request.id] = request
        else:
            return None
        return _AWAITED

    def stored_format(self, fingerprint: str) -> AdmittedFormat | None:
        """Return the format of replies that an endpoint is asked for since it refused another."""
        if self.store is None:
            return None
        key = f"format {fingerprint}"
        return read_rows(self.store.workspace, "server", [key], AdmittedFormat).get(key)

    def keep_format(self, fingerprint: str, name: str, admitted: AdmittedFormat) -> None:
        """Remember it, for this run's report and for later runs."""
        if self.store is not None and self.stored_format(fingerprint) != admitted:
            self.store.put("server", {f"format {fingerprint}": admitted})
        self.formats[name] = admitted

    @contextmanager
    def flush_pending(self) -> Iterator[None]:
        """Run the body, stop its servers, then write down the requests whose replies are awaited.

        Raises:
            HarnessError: the folder for requests cannot be written.
            PendingRepliesError: there are such requests; lists them.
        """
        # Earlier work in the same session may have ended because of its own requests.
        self._new.clear()
        self._written.clear()
        self._index = None
        if self.folder is not None:
            make_writable(self.folder)
        try:
            with suppress(PendingRepliesError):
                yield
        finally:
            self.servers.close()
        if self.has_pending:
            raise PendingRepliesError(self.write_pending())

    def check_complete(self) -> None:
        """Stop where half of the replies are not enough, as where verdicts choose training pairs.

        Raises:
            PendingRepliesError: some are still to come.
        """
        if self.has_pending:
            raise PendingRepliesError

    def write_pending(self) -> PendingRequests:
        """Write new requests into files; return all requests that the run waits for.

        Raises:
            BudgetSpentError: they could cost more than the budget; nothing is written.
        """
        self._check_budget()
        repeated = sum(self.index.is_lost(i) for i in self._new)
        by_file = sorted(Counter(self._written.values()).items())
        files = [PendingFile(path=display_path(p), questions=n, new=False) for p, n in by_file]
        if self.folder is not None:
            for path, n, most, currency in write_batch_requests(
                self._new.values(), self.folder, self.index
            ):
                files.append(
                    PendingFile(path=str(path), questions=n, new=True, most=most, currency=currency)
                )
        return PendingRequests(
            questions=len(self._new) + len(self._written), files=tuple(files), repeated=repeated
        )

    @property
    def _open_store(self) -> Store:
        assert self.store is not None  # `open_endpoint` looks nothing up without one
        return self.store

    def _check_budget(self) -> None:
        most = sum(request.max_cost or 0.0 for request in self._new.values())
        if self.budget is not None and most > self.budget.max_cost:
            raise BudgetSpentError(
                f"This batch may cost up to {most:.4f} {self.budget.currency}, more than the limit "
                f"of {self.budget.max_cost:g}. Nothing was written."
            )


class BatchEndpoint:
    """An endpoint whose replies may have come by batch; otherwise like `Endpoint`."""

    def __init__(self, spec: EndpointSpec, session: EndpointSession) -> None:
        """Check the address, and the key only if anything will be sent."""
        self._spec = spec
        self._session = session
        self._address = read_address(spec.base_url, allow_plain_http=spec.allow_plain_http)
        if session.budget:
            session.budget.check_prices(spec.price_per_million, spec.model)
        self._endpoint = None if session.by_batch else Endpoint(spec, budget=session.budget)
        self.host = self._address.host
        self.fingerprint = fingerprint_endpoint(spec, self._address)

    @cached_property
    def formats(self) -> ResponseFormats:
        """Return how the endpoint takes to be asked for JSON; the store knows what it once refused."""
        formats = self._endpoint.formats if self._endpoint else ResponseFormats()
        formats.admitted = self._session.stored_format(self.fingerprint)
        self._note_format(formats)
        return formats

    def _note_format(self, formats: ResponseFormats) -> None:
        name = f"{self._spec.model} at {self.host}"
        if formats.admitted and self._session.formats.get(name) != formats.admitted:
            self._session.keep_format(self.fingerprint, name, formats.admitted)

    def list_models(self) -> bytes | None:
        """Return the server's list of models; None without an answer, or where nothing is sent."""
        return None if self._endpoint is None else self._endpoint.list_models()

    def ask_all(self, asks: Iterable[Ask]) -> Iterator[tuple[int, Reply]]:
        """Return the replies to the requests with their numbers, as `run_flows`."""
        return self.run_flows(map(ask_once, asks))

    def run_flows(self, flows: Iterable[ChatFlow[T]]) -> Iterator[tuple[int, T]]:
        """Run the flows with stored replies where there are any; yield their results.

        Raises:
            EndpointRefusedError, BudgetSpentError: as `Endpoint`.
        """
        if self._endpoint is None:
            for number, flow in enumerate(map(self._use_batched_replies, flows)):
                end = advance(flow, None)
                assert isinstance(end, Ended)  # every request has a reply, or a placeholder
                yield number, end.result
            return
        if self._session.index:
            flows = map(self._use_batched_replies, flows)
        formats = self.formats
        for result in self._endpoint.run_flows(flows):
            self._note_format(formats)  # before the result is stored: its key depends on it
            yield result

    def _use_batched_replies(self, flow: ChatFlow[T]) -> ChatFlow[T]:
        """Pass on only those requests of the flow that have no reply by batch."""
        step = advance(flow, None)
        while isinstance(step, Ask):
            asked = self.formats.limit(step)
            request = make_batch_request(self._spec, self._address, asked)
            reply = self._session.batched_reply(request)
            step = advance(flow, (yield step) if reply is None else reply)
        return step.result


def open_endpoint(spec: EndpointSpec, session: EndpointSession) -> Endpoint | BatchEndpoint:
    """Return the endpoint as the session asks it.

    Raises:
        HarnessError: a base URL that nothing may be sent to, no key, or mixed currencies.
    """
    if session.store is None:
        return Endpoint(spec, budget=session.budget)
    return BatchEndpoint(spec, session)
