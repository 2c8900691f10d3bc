"""Profiles: the models, judges and data sets behind the names in a suite, on one machine."""

import re
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, JsonValue, RootModel, field_validator, model_validator

from harness.config.base import SEED, Name, Spec, fill_seed, names_seed
from harness.config.data import Source
from harness.config.recorded import PeopleSpec, RecordedAnswers, RecordedVerdicts
from harness.core.errors import HarnessError, did_you_mean
from harness.core.yaml_loader import field_error


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


ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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


_BY_SUITE = "has no effect on a model under test, which the suite's 'generation' decodes."
_NO_EFFECT = {
    "seed": "has no effect on a model under test; write 'seed' beside 'endpoint'.",
    "max_tokens": "has no effect on a model under test; the suite's 'max_new_tokens' limits it.",
    "structured": "has no effect on a model under test, which is not asked for JSON.",
    "temperature": "has no effect on a model under test but for null, which sends none; the suite's "
    "'generation' has its temperature.",
}


class ModelSpec(Spec):
    """One model under test: exactly one of a recipe, a checkpoint, an endpoint or a record.

    A recipe is trained when its checkpoint is missing. A checkpoint is a directory, a GGUF file, or a hub
    name with a `revision`; that of an endpoint states what its server holds now. A `seed` replaces
    the suite's decoding seed, so that one model can be compared with itself.

    With `seeds` the model is a recipe trained once with each of these training seeds. Where it is not
    trained here, `{seed}` in a text stands for the seed, as in `checkpoint: runs/sft-{seed}`.
    """

    recipe: str | None = None
    checkpoint: str | None = None
    revision: str | None = None
    endpoint: EndpointSpec | None = None
    recorded: RecordedAnswers | None = None
    seed: int | None = None
    seeds: tuple[int, ...] = Field(default=(), exclude_if=lambda seeds: not seeds)

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "ModelSpec":
        kinds = (self.recipe, self.checkpoint, self.endpoint, self.recorded)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("name exactly one of 'recipe', 'checkpoint', 'endpoint' or 'recorded'")
        if self.recorded is not None and self.seed is not None:
            raise ValueError("recorded answers take no 'seed'")
        if self.revision is not None and self.checkpoint is None and self.endpoint is None:
            raise field_error("revision", "only a 'checkpoint' or an 'endpoint' has a revision.")
        return self

    @model_validator(mode="after")
    def _seeds_give_several_models(self) -> "ModelSpec":
        if not self.seeds:
            return self
        if len(set(self.seeds)) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise field_error("seeds", "name two different training seeds or more.")
        if self.recipe is None and not names_seed(self):
            raise field_error(
                "seeds",
                f"every seed would be the same model. Write {SEED} where the seeds differ, such as "
                f"'checkpoint: runs/sft-{SEED}' or 'where: {{seed: \"{SEED}\"}}' of recorded answers.",
            )
        return self

    def of_seed(self, seed: int) -> "ModelSpec":
        """Return the model of one training seed, whose number stands for `{seed}` in every text."""
        return fill_seed(self.model_copy(update={"seeds": ()}), seed)

    @model_validator(mode="after")
    def _has_no_key_without_effect(self) -> "ModelSpec":
        endpoint = self.endpoint
        if endpoint is None:
            return self
        for key in ("top_p", "top_k", "seed", "max_tokens", "structured", "temperature"):
            sent = key == "temperature" and endpoint.temperature is None
            if key in endpoint.model_fields_set and not sent:
                raise field_error(f"endpoint.{key}", _NO_EFFECT.get(key, _BY_SUITE))
        if None not in (self.revision, endpoint.revision) and self.revision != endpoint.revision:
            raise field_error("revision", "states another revision than the endpoint's own.")
        return self

    @property
    def served(self) -> EndpointSpec | None:
        """Return the endpoint with the model's revision; None for another kind of model."""
        if self.endpoint is None or self.revision is None:
            return self.endpoint
        return self.endpoint.model_copy(update={"revision": self.revision})


class LocalJudge(Spec):
    """A language model on this machine as judge: a directory, a GGUF file, or a hub name with `revision`."""

    checkpoint: str
    revision: str | None = None
    max_tokens: int = Field(default=512, ge=1)


class Jury(Spec):
    """Several judges of the profile as one: the mean of their scores, the majority's label.

    There is a verdict where at least `min_votes` members give one; by default more than half.
    """

    members: tuple[Name, ...] = Field(min_length=2)
    min_votes: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _members_can_give_the_votes(self) -> "Jury":
        if len(set(self.members)) < len(self.members):
            raise ValueError("a member is named twice; give a metric 'repeats' instead")
        if self.votes_needed > len(self.members):
            raise ValueError(f"{self.votes_needed} votes of {len(self.members)} members")
        return self

    @property
    def votes_needed(self) -> int:
        """Return how many members must give a verdict for the jury to have one."""
        return self.min_votes or len(self.members) // 2 + 1


class PluginJudge(RootModel[Name]):
    """A judge that an installed package registers under this name (`harness.judges`)."""

    model_config = ConfigDict(frozen=True, strict=True)


JudgeSource = (
    Literal["consumer_health"]
    | EndpointSpec
    | LocalJudge
    | dict[Name, dict[Name, RecordedVerdicts]]
    | PluginJudge
    | Jury
    | PeopleSpec
)
"""What gives a judge's verdicts, one type for each kind of judge."""


class JudgeSpec(Spec):
    """One judge: offline rules, an endpoint, a local model, recorded verdicts, a plug-in, people, or a jury.

    Recorded verdicts are by metric and model, each with its file. A `plugin` is the name under which an
    installed package registers a judge.

    `title` is its name in reports, and `note` a remark there. `calibrated_by` names the human
    labels that it must agree with where a gate has a `judge_licence`. `then` names the judge that a run
    asks, once, where this one's verdict cannot be read.
    """

    offline: Literal["consumer_health"] | None = None
    endpoint: EndpointSpec | None = None
    local: LocalJudge | None = None
    recorded: dict[Name, dict[Name, RecordedVerdicts]] | None = None
    plugin: PluginJudge | None = None
    jury: Jury | None = None
    people: PeopleSpec | None = None
    calibrated_by: PeopleSpec | None = None
    then: Name | None = None
    title: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "JudgeSpec":
        if len(self._sources) != 1:
            raise ValueError(
                "name exactly one of 'offline', 'endpoint', 'local', 'recorded', 'plugin', 'jury' or 'people'"
            )
        if self.people is not None and self.calibrated_by is not None:
            raise ValueError("'people' are not calibrated, judges are; leave 'calibrated_by' out")
        if self.then is not None and not self.is_language_model:
            raise ValueError(
                "'then' goes with an 'endpoint' or a 'local' judge: others reply in no words"
            )
        return self

    @property
    def is_language_model(self) -> bool:
        """Return whether a language model judges, by itself."""
        return isinstance(self.source, EndpointSpec | LocalJudge)

    @property
    def source(self) -> JudgeSource:
        """Return the stated kind of judge, to be matched by its type."""
        (source,) = self._sources
        return source

    @property
    def is_single(self) -> bool:
        """Return whether this is one judge that can be asked: a jury and people are several."""
        return not isinstance(self.source, Jury | PeopleSpec)

    @property
    def is_on_this_machine(self) -> bool:
        """Return whether the judge can be asked without cost and without another machine.

        What a plug-in does with a text is not known here.
        """
        match self.source:
            case str() | LocalJudge():
                return True
            case EndpointSpec() | dict() | PluginJudge() | Jury() | PeopleSpec():
                return False

    @property
    def _sources(self) -> list[JudgeSource]:
        kinds = (self.offline, self.endpoint, self.local, self.recorded, self.plugin, self.jury)
        return [kind for kind in (*kinds, self.people) if kind is not None]


class Profile(Spec):
    """The models, judges and data sets of a machine; `note` is shown at the top of every report."""

    profile: Name
    note: str = ""
    data: dict[Name, Source] = Field(default={})
    models: dict[Name, ModelSpec] = Field(min_length=1)
    judges: dict[Name, JudgeSpec] = Field(default={})

    @model_validator(mode="after")
    def _juries_have_judges(self) -> "Profile":
        single = [name for name, judge in self.judges.items() if judge.is_single]
        for name, judge in self.judges.items():
            for number, member in enumerate(judge.jury.members if judge.jury else ()):
                if member not in single:
                    raise field_error(
                        f"judges.{name}.jury.members.{number}",
                        f"'{member}' is no single judge here. {did_you_mean(member, single)}",
                    )
        return self

    @model_validator(mode="after")
    def _seconds_can_be_asked(self) -> "Profile":
        able = [n for n, judge in self.judges.items() if judge.is_language_model and not judge.then]
        for name, judge in self.judges.items():
            if judge.then is not None and judge.then not in able:
                raise field_error(
                    f"judges.{name}.then",
                    f"'{judge.then}' is no language model without a 'then' of its own here. "
                    f"{did_you_mean(judge.then, able)}",
                )
            for member in judge.jury.members if judge.jury else ():
                if self.judges[member].then is not None:
                    raise field_error(
                        f"judges.{name}.jury",
                        f"'{member}' has a 'then', and a vote would be one of two judges.",
                    )
        return self

    def members_of(self, judge: str) -> tuple[str, ...]:
        """Return the single judges behind a judge's name: a jury's members, or the judge itself.

        Raises:
            HarnessError: there is no such judge; suggests one.
        """
        jury = self.find_judge(judge).jury
        return jury.members if jury else (judge,)

    def find_model(self, name: str) -> ModelSpec:
        """Return the model of that name.

        Raises:
            HarnessError: there is none; suggests one.
        """
        if name not in self.models:
            hint = did_you_mean(name, self.models)
            raise HarnessError(f"profile '{self.profile}' has no model '{name}'. {hint}")
        return self.models[name]

    def find_judge(self, name: str) -> JudgeSpec:
        """Return the judge of that name.

        Raises:
            HarnessError: there is none; suggests one.
        """
        if name not in self.judges:
            hint = did_you_mean(name, self.judges)
            raise HarnessError(f"profile '{self.profile}' has no judge '{name}'. {hint}")
        return self.judges[name]
