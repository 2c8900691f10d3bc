"""The servers of a run: each started when its first answer is missing, checked, and stopped at the end."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import token_urlsafe
from tempfile import mkdtemp
from typing import NamedTuple

from pydantic import SecretStr

from harness.config import EndpointSpec, ServeSpec
from harness.config.endpoint import server_endpoint
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.hashing import content_hash
from harness.core.store import Store
from harness.models.adapter_types import adapter_type, starts_in_base
from harness.models.endpoint import Ask, Endpoint, EndpointRefusedError
from harness.models.local import LocalModel, is_out_of_memory
from harness.models.model_folder import is_adapter, read_adapter_config, verified_fingerprint
from harness.models.serving.chat_format import ChatFormat, Weights, read_chat_format
from harness.models.serving.check import (
    N_TOKENS,
    PROBE_VERSION,
    PROBES,
    Probe,
    Probes,
    answer_probes,
    compare_answers,
    prompt_problem,
)
from harness.models.serving.engines import (
    Adapter,
    command_line,
    engine_environment,
    find_engine,
    with_engine_fields,
)
from harness.models.serving.process import EngineProcess, free_port

ANSWER_S = 3600.0  # an engine of one's own is slow, not lost; its end is seen at once
OTHERS_ANSWER_S = 600.0
# Parts of a LoRA, by their keys in its configuration, that vLLM leaves out or applies with another scale.
_NOT_IN_VLLM = (
    "use_dora",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "lora_bias",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
)


def describe_serving(spec: ServeSpec) -> str:
    """Describe what answers: the engine with its version and the options of answers, or the server.

    Where `check: prompts` leaves it open whose weights they are, that is said.

    Raises:
        HarnessError: the engine is not installed.
    """
    unchecked = ["its weights not compared"] if spec.check == "prompts" else []
    server = server_endpoint(spec)
    if server is not None:
        place = f"{server.host} as '{server.model}'"
        return ", ".join([f"{spec.engine} at {place}" if spec.engine else place, *unchecked])
    assert spec.engine is not None
    options = [f"{name} {value}" for name, value in spec.answer_options.items()]
    return ", ".join([f"{spec.engine} {_version(spec)}", *options, *unchecked])


def served_fingerprint(fingerprint: str, spec: ServeSpec) -> str:
    """Return a hash of what decides the answers of served weights: the weights and what answers for them.

    Raises:
        HarnessError: the engine is not installed.
    """
    if not spec.is_started:
        return content_hash(fingerprint, "served at", spec.base_url, spec.model)
    return content_hash(fingerprint, "served by", spec.engine, _version(spec), spec.answer_options)


def _version(spec: ServeSpec) -> str:
    """Return the version of an engine: the stated one, or that which is installed."""
    assert spec.engine is not None
    return spec.version or find_engine(spec.engine).version


class Server(NamedTuple):
    """A server that holds a checkpoint, and how it is asked; `process` is the engine, if started here."""

    endpoint: EndpointSpec
    serve: ServeSpec
    format: ChatFormat
    key: SecretStr | None = None
    process: EngineProcess | None = None

    def with_engine_fields(self, spec: EndpointSpec) -> EndpointSpec:
        """Return the endpoint with the fields that this engine wants beside OpenAI's."""
        return with_engine_fields(self.serve.engine, spec, self.format.stops, self.format.marks)

    def open(self, spec: EndpointSpec) -> Endpoint:
        """Return the endpoint as this engine is asked."""
        return Endpoint(self.with_engine_fields(spec), key=self.key)

    @property
    def alive(self) -> bool:
        """Return whether it can still be asked, as far as is known here."""
        return self.process is None or self.process.alive

    def require_alive(self) -> None:
        """Raise InfrastructureError with the engine's last words if it has ended."""
        if self.process is not None:
            self.process.require_alive()


class Servers:
    """The servers of one run. One engine runs at a time, unless a profile leaves it running.

    Adapters of one base that are known before their server starts share it, where the engine can.
    """

    def __init__(self, store: Store | None, log: Callable[[str], None] = lambda line: None) -> None:
        self._store = store
        self._log = log
        self._lock = threading.Lock()
        self._known: dict[str, list[Weights]] = {}  # by server: the weights that it will hold
        self._running: dict[str, tuple[ServeSpec, EngineProcess, SecretStr]] = {}
        self._checked: dict[str, str] = {}  # by server and weights: what the check has seen

    def announce(self, weights: Weights, spec: ServeSpec) -> None:
        """Say that the weights will be asked for, so that a server can start with all that it is to hold.

        Raises:
            HarnessError: an adapter, for an engine that is started on whole models only.
        """
        if spec.is_started and is_adapter(Path(weights.source)):
            _require_servable(Path(weights.source), spec)
        if spec.engine == "sglang" and spec.is_started and is_adapter(Path(weights.source)):
            raise HarnessError(
                f"{weights.source}: is an adapter, which is served here by vllm and transformers only. Merge it "
                "(`harness merge`), or name one of those."
            )
        known = self._known.setdefault(_server_key(weights, spec), [])
        if weights not in known:
            known.append(weights)

    def open(self, weights: Weights, spec: ServeSpec) -> Server:
        """Return a checked server that holds the weights; its engine is started where none runs.

        Raises:
            HarnessError: the server holds other weights or another chat template, or the engine is not
                installed.
            InfrastructureError: the engine ended, or was not ready in time; with its last words.
        """
        self.announce(weights, spec)
        with self._lock:
            chat_format = read_chat_format(weights)
            server_key = _server_key(weights, spec)
            key, process = None, None
            if spec.is_started:
                if server_key not in self._running or not self._running[server_key][1].alive:
                    self._start(server_key, spec)
                _, process, key = self._running[server_key]
            server = Server(_endpoint(weights, spec, process), spec, chat_format, key, process)
            if f"{server_key} {weights.fingerprint}" not in self._checked:
                try:
                    seen = self._check(server, weights)
                except BaseException:
                    self._stop(server_key)
                    raise
                self._checked[f"{server_key} {weights.fingerprint}"] = seen
                self._log(f"{describe_serving(spec)} holds {weights.source}: {seen}")
            return server

    def check_again(self, weights: Weights, spec: ServeSpec) -> None:
        """Check a server of others once more, behind the answers that it gave.

        Raises:
            HarnessError, InfrastructureError: as `open`.
        """
        with self._lock:
            self._check(
                Server(_endpoint(weights, spec, None), spec, read_chat_format(weights)), weights
            )

    def close(self) -> None:
        """Stop all engines; servers of others run on."""
        for server_key in list(self._running):
            self._stop(server_key)

    def _start(self, server_key: str, spec: ServeSpec) -> None:
        """Stop the engine that ran, and start one with all weights that are known for it."""
        for other, (other_spec, _, _) in list(self._running.items()):
            if other == server_key or not other_spec.keep_running:
                self._stop(other)
        for weights in self._known[server_key]:
            _require_unchanged(weights)
            if spec.check == "answers":
                self._probes(weights)  # before the engine takes the memory
        key = SecretStr(token_urlsafe(24))
        process = self._launch(server_key, spec, key)
        self._running[server_key] = spec, process, key
        try:
            process.wait_healthy(spec.start_timeout_s)
        except BaseException:
            self._stop(server_key)
            raise

    def _launch(self, server_key: str, spec: ServeSpec, key: SecretStr) -> EngineProcess:
        """Start the engine's process on the folder of its base, with its adapters.

        Raises:
            HarnessError: it is not installed, or in another version than is stated.
        """
        assert spec.engine is not None
        engine, port = find_engine(spec.engine), free_port()
        if spec.version not in (None, engine.version):
            raise HarnessError(
                f"serve: {spec.engine}: version {spec.version} is stated, and {engine.version} is installed, "
                "whose answers are others. State that one, or none."
            )
        known, shares = self._known[server_key], spec.engine == "vllm"
        adapters = [_adapter(one) for one in known if shares and is_adapter(Path(one.source))]
        folder = known[0].base if shares else known[0].folder
        base = next((one for one in known if one.folder == folder), None)
        name = _served_name(base, spec) if base else Path(folder).name
        self._log(f"starting {spec.engine} {engine.version} on {folder}")
        return EngineProcess(
            f"{spec.engine} {engine.version}, serving {folder}",
            command_line(engine, spec, folder, name, port, adapters),
            engine_environment({"VLLM_API_KEY": key.get_secret_value()}),
            port,
            self._log_folder() / f"{spec.engine}-{Path(folder).name}-{server_key[:8]}.log",
        )

    def _stop(self, server_key: str) -> None:
        running = self._running.pop(server_key, None)
        if running is not None:
            running[1].stop()

    def _log_folder(self) -> Path:
        return self._store.workspace / "servers" if self._store else Path(mkdtemp("-servers"))

    # --- the check ---------------------------------------------------------------------------

    def _check(self, server: Server, weights: Weights) -> str:
        """Check that the server holds the weights and their chat template; return what was seen.

        Raises:
            HarnessError: it holds others.
            InfrastructureError: it does not answer.
        """
        who = f"{describe_serving(server.serve)}, asked for {weights.source}"
        by_answers = server.serve.check == "answers"
        probes = self._probes(weights) if by_answers else _unanswered(server.format)
        asked = [n for n, probe in enumerate(probes) if probe.ends or not by_answers]
        endpoint = server.open(
            server.endpoint.model_copy(update={"max_tokens": N_TOKENS if by_answers else 1})
        )
        try:
            replies = dict(endpoint.ask_all([Ask(PROBES[n]) for n in asked]))
        except EndpointRefusedError as error:
            server.require_alive()
            words = server.process.last_words() if server.process else ""
            raise InfrastructureError(f"{error} {words}".strip()) from None
        in_order = [replies[n] for n in range(len(asked))]
        for n, reply in zip(asked, in_order, strict=True):
            if reply.problem not in (None, "length", "empty"):
                server.require_alive()
                raise InfrastructureError(f"{who}: {reply.problem}: {reply.detail or ''}")
            problem = prompt_problem(reply.input_tokens, probes[n].prompt_tokens)
            if problem:
                raise HarnessError(f"{who}: {problem}.")
        if not by_answers:
            return "its prompts have the right number of tokens; its weights were not compared"
        compared = compare_answers([probes[n] for n in asked], in_order)
        if compared.problem:
            raise HarnessError(f"{who}: {compared.problem}.")
        return compared.seen

    def _probes(self, weights: Weights) -> Sequence[Probe]:
        """Return this process's answers to the probes, computed once for a checkpoint and a workspace."""
        key = f"probes {PROBE_VERSION} {weights.fingerprint}"
        stored = self._store.get("server", [key], Probes) if self._store else {}
        if key not in stored:
            stored[key] = _compute_probes(weights)
            if self._store:
                self._store.put("server", {key: stored[key]})
        return stored[key].probes


def _compute_probes(weights: Weights) -> Probes:
    """Load the weights, answer the probes, and let the weights go.

    Raises:
        HarnessError: they do not fit into this process's memory.
    """
    try:
        return answer_probes(LocalModel.load(weights.source, revision=weights.revision))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise HarnessError(
            f"{weights.source}: does not fit into the memory of this process, which compares a few answers "
            "with the server's. 'check: prompts' in its 'serve' compares its prompts alone."
        ) from None
    finally:
        _free_memory()


def _require_unchanged(weights: Weights) -> None:
    """Raise if the weights are not those whose fingerprint the run states."""
    now = verified_fingerprint(weights.source, revision=weights.revision)
    if now != weights.fingerprint:
        raise HarnessError(f"{weights.source}: changed since this run began. Run it again.")


def _free_memory() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _unanswered(chat_format: ChatFormat) -> list[Probe]:
    """Return the probes with the lengths of their prompts alone."""
    lengths = [len(chat_format.encode(prompt)) for prompt in PROBES]
    return [Probe(prompt_tokens=n, text="", ends=(), margins=()) for n in lengths]


def _server_key(weights: Weights, spec: ServeSpec) -> str:
    """Return a name of the server that holds the weights: adapters of one base share theirs in vLLM."""
    place = weights.base if spec.engine == "vllm" else weights.source
    return content_hash(place, spec.model_dump(mode="json"))


def _served_name(weights: Weights, spec: ServeSpec) -> str:
    """Return the model's name at a server: transformers knows a folder by its path."""
    if spec.engine == "transformers":
        return weights.folder
    return f"{Path(weights.source).name}-{weights.fingerprint[:8]}"


def _require_servable(adapter: Path, spec: ServeSpec) -> None:
    """Refuse an adapter that an engine would not load, or would load as another one.

    Raises:
        HarnessError: it is no LoRA, or one with a part that the engine does not apply.
    """
    config = read_adapter_config(adapter)
    kind = adapter_type(config, adapter)
    if config["peft_type"] != "LORA":
        remedy = "Merge it (`harness merge`)" if kind.merges else "Leave 'serve' out"
        raise HarnessError(
            f"{adapter}: is an adapter of {kind.title}, and engines hold LoRA adapters only. {remedy}."
        )
    if starts_in_base(config):
        raise HarnessError(
            f"{adapter}: its start ('{config['init_lora_weights']}') is taken out of its base, which engines do not "
            "do: they would answer as another model. Merge it (`harness merge`)."
        )
    part = next((key for key in _NOT_IN_VLLM if config.get(key)), None)
    if spec.engine == "vllm" and part is not None:
        raise HarnessError(
            f"{adapter}: is a LoRA with {part}, which vllm does not apply. Merge it (`harness merge`)."
        )


def _adapter(weights: Weights) -> Adapter:
    rank = int(read_adapter_config(Path(weights.source)).get("r", 8))
    return Adapter(f"{Path(weights.source).name}-{weights.fingerprint[:8]}", weights.folder, rank)


def _endpoint(weights: Weights, spec: ServeSpec, process: EngineProcess | None) -> EndpointSpec:
    server = server_endpoint(spec)
    if server is not None:
        return server.model_copy(update={"timeout_s": OTHERS_ANSWER_S})
    assert process is not None
    return EndpointSpec(
        model=_served_name(weights, spec),
        base_url=f"http://127.0.0.1:{process.port}/v1",
        max_concurrency=spec.max_concurrency,
        timeout_s=ANSWER_S,
    )
