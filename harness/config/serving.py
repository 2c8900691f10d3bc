"""`serve:`, an inference engine that answers for a checkpoint, and the options that a profile may set.

A profile can come with a cloned repository, and is data. What has an engine load code or another model
(`--trust-remote-code`, `--middleware`, plug-ins, parsers, templates, drafts) is none of its business: only
the options below are, with values that are no path and no import. The command line passes others.
"""

import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from pydantic import ConfigDict, Field, field_validator, model_validator

from harness.config.base import ENV_NAME, Spec
from harness.core.errors import HarnessError, did_you_mean
from harness.core.yaml_loader import field_error

EngineName = Literal["vllm", "sglang", "transformers"]
OptionValue = bool | int | float | str


class EngineOptions(NamedTuple):
    """The options of an engine that a profile may set.

    Those of the `machine` decide where and how fast is computed, and are not part of an answer's key; those
    of the `model` decide what is computed. `concurrency` is how many requests the engine is sent at once.
    """

    machine: frozenset[str]
    model: frozenset[str]
    concurrency: int


_VLLM_MACHINE = (
    "tensor-parallel-size pipeline-parallel-size data-parallel-size data-parallel-size-local "
    "data-parallel-backend distributed-executor-backend nnodes node-rank enable-expert-parallel "
    "gpu-memory-utilization kv-cache-memory-bytes max-num-seqs max-num-batched-tokens cpu-offload-gb "
    "block-size enable-prefix-caching enable-chunked-prefill enforce-eager async-scheduling "
    "disable-custom-all-reduce max-parallel-loading-workers"
)
_SGLANG_MACHINE = (
    "tensor-parallel-size tp-size tp pipeline-parallel-size pp-size data-parallel-size dp-size dp "
    "expert-parallel-size ep-size nnodes node-rank mem-fraction-static max-running-requests "
    "max-total-tokens chunked-prefill-size max-prefill-tokens schedule-conservativeness cpu-offload-gb "
    "disable-radix-cache disable-cuda-graph cuda-graph-max-bs device"
)
_TRANSFORMERS_MACHINE = (
    "device compile cb-block-size cb-num-blocks cb-max-batch-tokens cb-max-memory-percent "
    "cb-use-cuda-graph"
)
ENGINES: dict[EngineName, EngineOptions] = {
    "vllm": EngineOptions(
        machine=frozenset(_VLLM_MACHINE.split()),
        model=frozenset({"dtype", "quantization", "kv-cache-dtype", "max-model-len"}),
        concurrency=64,
    ),
    "sglang": EngineOptions(
        machine=frozenset(_SGLANG_MACHINE.split()),
        model=frozenset({"dtype", "quantization", "kv-cache-dtype", "context-length"}),
        concurrency=64,
    ),
    "transformers": EngineOptions(
        machine=frozenset(_TRANSFORMERS_MACHINE.split()),
        model=frozenset({"dtype", "quantization", "attn-implementation", "continuous-batching"}),
        concurrency=1,  # it answers one request at a time
    ),
}
_OWN_OPTIONS = (
    "host port model model-path served-model-name generation-config sampling-defaults load-format api-key "
    "enable-lora lora-modules max-loras max-lora-rank"
)
OWN_OPTIONS = frozenset(_OWN_OPTIONS.split())  # set by the harness itself
_WORD = re.compile(r"[A-Za-z0-9_-]+")  # no path, no dotted import
_SERVER_URL = re.compile(r"https?://[^/@\s]+(/\S*)?")
_SECRETS = {"token", "secret", "password", "credentials", "key"}  # as parts of an option's name
_CONTEXTS = ("max-model-len", "context-length")


def _or_a_name(schema: dict[str, Any]) -> None:
    """Make a JSON schema also admit an engine's name alone."""
    whole = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"enum": list(ENGINES)}, whole]


class ServeSpec(Spec):
    """What answers for a checkpoint: an `engine` that the harness starts, or a server at a `base_url`.

    `options` are the engine's own, without their dashes in front. A server that somebody else runs is
    named as an endpoint is; `model` is the checkpoint's name there, and its `engine` says what it takes
    beside OpenAI's fields. With a `version` the engine is one of other machines, which answer batch files
    (`--batch`); one that is started here must have it. `check: prompts` leaves out the comparison with this
    process's own answers, for weights that it cannot load.
    """

    model_config = ConfigDict(json_schema_extra=_or_a_name)

    engine: EngineName | None = None
    version: str | None = Field(default=None, min_length=1)
    options: dict[str, OptionValue] = Field(default={})
    start_timeout_s: float = Field(default=900.0, gt=0.0)
    keep_running: bool = Field(
        default=False,
        description="Leave the engine running while another one works; the machine has memory for both.",
    )
    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    allow_plain_http: bool = False
    concurrency: int | None = Field(default=None, ge=1)
    check: Literal["answers", "prompts"] = "answers"

    @model_validator(mode="before")
    @classmethod
    def _may_be_a_name(cls, written: Any) -> Any:
        return {"engine": written} if isinstance(written, str) else written

    @model_validator(mode="after")
    def _one_kind(self) -> "ServeSpec":
        if self.engine is None and self.base_url is None:
            raise ValueError(
                "name an 'engine', which the harness starts, or the 'base_url' of a server that runs"
            )
        of_other, belongs = (
            (("model", "api_key_env", "allow_plain_http"), "belongs to a 'base_url'.")
            if self.is_started
            else (
                ("options", "version", "start_timeout_s", "keep_running"),
                "belongs to an engine that the harness starts, and a 'base_url' names a server that runs.",
            )
        )
        for key in of_other:
            if key in self.model_fields_set:
                raise field_error(key, belongs)
        if self.base_url is not None and self.model is None:
            raise field_error("model", "name the model as the server calls it.")
        return self

    @model_validator(mode="after")
    def _options_are_data(self) -> "ServeSpec":
        for name, value in self.options.items():
            assert self.engine is not None
            problem = option_problem(self.engine, name, value)
            if problem:
                raise field_error(f"options.{name}", problem)
        return self

    @field_validator("base_url")
    @classmethod
    def _names_a_host(cls, url: str | None) -> str | None:
        if url is not None and not _SERVER_URL.fullmatch(url):
            raise ValueError(  # not repeated: may hold a password
                "is no URL of a server, such as http://gpu1:8000/v1, without a user name or password"
            )
        return url

    @field_validator("api_key_env")
    @classmethod
    def _names_a_variable(cls, name: str | None) -> str | None:
        if name is not None and not ENV_NAME.fullmatch(name):
            raise ValueError("is no name of an environment variable")  # not repeated: may be a key
        return name

    @property
    def is_started(self) -> bool:
        """Return whether the harness starts the engine; otherwise somebody else runs a server."""
        return self.base_url is None

    @property
    def answer_options(self) -> dict[str, OptionValue]:
        """Return the options that decide what is computed, and so belong to an answer's key."""
        if self.engine is None or not self.is_started:
            return {}
        machine = ENGINES[self.engine].machine
        return {name: self.options[name] for name in sorted(self.options) if name not in machine}

    @property
    def max_context(self) -> int | None:
        """Return the limit of tokens that the options set on prompt and answer together."""
        limits = (self.options.get(name) for name in _CONTEXTS)
        return next((limit for limit in limits if type(limit) is int), None)

    @property
    def max_concurrency(self) -> int:
        """Return how many requests are sent at once."""
        return self.concurrency or (ENGINES[self.engine].concurrency if self.engine else 64)


def option_problem(engine: EngineName, name: str, value: OptionValue) -> str | None:
    """Return why a profile may not set the option; None where it may."""
    options = ENGINES[engine]
    allowed = options.machine | options.model
    if name in OWN_OPTIONS:
        return "is set by the harness."
    if name not in allowed:
        return (
            f"is no option that a profile may set for {engine}, since others can load code or another model. "
            f"{did_you_mean(name, allowed)} If it is needed, type it: --serve-option {name}=VALUE"
        )
    if isinstance(value, str) and not _WORD.fullmatch(value):
        return "takes a word or a number here, and no path."
    return None


def serve_by(name: str, typed: Iterable[str]) -> ServeSpec:
    """Return what `--serve NAME` asks for, with the engine's options typed beside it.

    Raises:
        HarnessError: no such engine, or an option that the harness sets itself.
    """
    if name not in ENGINES:
        raise HarnessError(f"--serve {name}: no engine of that name. {did_you_mean(name, ENGINES)}")
    return with_typed_options(ServeSpec(engine=name), typed)


def with_typed_options(spec: ServeSpec, typed: Iterable[str]) -> ServeSpec:
    """Return the engine with options that the user typed, of any name: they are no file's.

    Raises:
        HarnessError: an option that the harness sets itself, or one without a name.
    """
    options = dict(spec.options)
    for text in typed:
        name, _, value = text.removeprefix("--").partition("=")
        name = name.strip().replace("_", "-")  # vLLM takes both
        if any(
            own.startswith(name) for own in OWN_OPTIONS
        ):  # engines also take the beginning of a name
            why = "is set by the harness" if name else "write NAME=VALUE"
            raise HarnessError(f"--serve-option {name or text}: {why}.")
        if _SECRETS.intersection(name.split("-")):
            raise HarnessError(
                f"--serve-option {name}: is a secret, and options stand in plans and reports. Engines are started "
                "offline on files of this machine, and need none."
            )
        options[name] = _read_value(value)
    return spec.model_copy(update={"options": options})


def _read_value(text: str) -> OptionValue:
    """Read a typed value; an option without one is a switch."""
    if text in ("", "true"):
        return True
    return int(text) if text.isdecimal() else text
