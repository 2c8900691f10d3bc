"""A chat model behind an OpenAI-compatible endpoint, and its prices."""

from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator

from harness.config.base import ENV_NAME, Spec
from harness.config.serving import ServeSpec


class Prices(Spec):
    """The prices of an endpoint for a million tokens, in `currency`."""

    input: float = Field(ge=0.0)
    output: float = Field(ge=0.0)
    currency: str = "USD"

    def cost(self, input_tokens: float, output_tokens: float) -> float:
        """Return the cost of so many tokens."""
        return (self.input * input_tokens + self.output * output_tokens) / 1e6


# What a request's body is made of already, or what would make another kind of reply of it.
BODY_FIELDS = frozenset(
    {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k"}
    | {"seed", "response_format", "store", "stream", "n", "tools", "tool_choice", "functions"}
)


class EndpointSpec(Spec):
    """A chat model behind an OpenAI-compatible endpoint. Each key's description is in its schema."""

    model: str = Field(min_length=1, description="The model's name at the endpoint.")
    base_url: str | None = Field(
        default=None,
        description="Where the endpoint's paths start, such as http://localhost:8000/v1. "
        "Without it: OpenAI's own.",
    )
    api_key_env: str | None = Field(
        default=None,
        description="The name of the environment variable that holds the key, which is sent to this "
        "endpoint only. Without it no key is sent; for OpenAI's own it is OPENAI_API_KEY.",
    )
    temperature: float | None = Field(
        default=0.0,
        ge=0.0,
        description="Sampling temperature of a judge. null: not sent, for reasoning models that "
        "refuse it. A model under test takes only null here, and otherwise the suite's.",
    )
    top_p: float | None = Field(
        default=None, gt=0.0, le=1.0, description="Nucleus sampling of a judge."
    )
    top_k: int | None = Field(default=None, ge=1, description="Top-k sampling of a judge.")
    seed: int | None = Field(default=None, description="Sampling seed of a judge.")
    max_tokens: int = Field(
        default=1024, ge=1, description="The most tokens of a judge's reply, thoughts included."
    )
    max_concurrency: int = Field(
        default=64, ge=1, description="The most requests at a time; fewer where it answers 429."
    )
    timeout_s: float = Field(
        default=120.0, gt=0.0, description="Seconds for a call with all its retries."
    )
    structured: Literal["json_schema", "json_object", "text"] = Field(
        default="json_schema",
        description="How a judge is asked for JSON: by schema, as any JSON, or in words only. "
        "Verdicts are read equally strictly.",
    )
    redact: bool = Field(
        default=False,
        description="Blot out identifiers in all texts of the items that are sent, best effort.",
    )
    price_per_million: Prices | None = Field(
        default=None, description="Prices of a million tokens, for `plan` and `--max-cost`."
    )
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] | None = Field(
        default=None,
        exclude_if=lambda key: key is None,
        description="The name under which the endpoint takes the token limit. Without it: "
        "max_completion_tokens for OpenAI and Azure, max_tokens elsewhere.",
    )
    extra_body: dict[str, JsonValue] = Field(
        default={},
        exclude_if=lambda body: not body,
        description="Further fields of the request's body, such as reasoning_effort or "
        "chat_template_kwargs; part of the fingerprint.",
    )
    allow_plain_http: bool = Field(
        default=False,
        exclude_if=lambda allowed: not allowed,
        description="Allow http:// to another machine than this one: a host of your own on a "
        "network that you trust, since everything can be read on the way.",
    )
    revision: str | None = Field(
        default=None,
        exclude_if=lambda revision: revision is None,
        description="What the server holds behind the model's name now, in your words. Another "
        "revision is another model, with answers or verdicts of its own.",
    )

    answers_as: str | None = Field(
        default=None,
        exclude_if=lambda name: name is None,
        description="The model's name in replies, where a gateway gives another one than was asked; a name "
        "of another family of models is refused otherwise.",
    )

    @field_validator("api_key_env")
    @classmethod
    def _names_a_variable(cls, name: str | None) -> str | None:
        # The text is not repeated: it may be a key.
        if name is not None and not ENV_NAME.fullmatch(name):
            raise ValueError(
                "is no name of an environment variable. A key never stands in a file: put it into a "
                "variable, and write that variable's name here"
            )
        return name

    @field_validator("extra_body")
    @classmethod
    def _adds_only(cls, body: dict[str, JsonValue]) -> dict[str, JsonValue]:
        taken = sorted(body.keys() & BODY_FIELDS)
        if taken:
            raise ValueError(f"'{taken[0]}' has a key of its own, or is set by the harness")
        return body

    @property
    def template_options(self) -> dict[str, JsonValue]:
        """Return the variables of the server's chat template that `extra_body` sets."""
        stated = self.extra_body.get("chat_template_kwargs")
        return stated if isinstance(stated, dict) else {}

    @property
    def host(self) -> str:
        """Return the host that requests are sent to, with its port."""
        return urlsplit(self.base_url or "https://api.openai.com").netloc

    @property
    def elsewhere(self) -> bool:
        """Return whether the endpoint is on another machine."""
        name = urlsplit(self.base_url or "https://api.openai.com").hostname or ""
        if name == "localhost":
            return False
        try:
            return not ip_address(name).is_loopback
        except ValueError:
            return True  # a name that merely begins like an address


def server_endpoint(serve: ServeSpec | None) -> EndpointSpec | None:
    """Return the endpoint of a server that somebody else runs; None for an engine started here."""
    if serve is None or serve.base_url is None:
        return None
    return EndpointSpec(
        model=serve.model or "",
        base_url=serve.base_url,
        api_key_env=serve.api_key_env,
        allow_plain_http=serve.allow_plain_http,
        max_concurrency=serve.max_concurrency,
    )
