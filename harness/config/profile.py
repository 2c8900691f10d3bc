"""Profiles: the models, judges and data sets behind the names in a suite, on one machine."""

from collections.abc import Sequence
from typing import Literal

from pydantic import ConfigDict, Field, RootModel, model_validator

from harness.config.base import SEED, Name, Spec, fill_seed, names_seed
from harness.config.data import Source
from harness.config.endpoint import EndpointSpec, server_endpoint
from harness.config.recorded import PeopleSpec, RecordedAnswers, RecordedVerdicts
from harness.config.retrieval import RetrievalSpec
from harness.config.serving import ServeSpec, serve_by, with_typed_options
from harness.core.errors import HarnessError, did_you_mean
from harness.core.yaml_loader import field_error

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

    With `serve` an inference engine answers for the recipe's model or the checkpoint. With `retrieval`
    passages of a corpus stand before each question.

    With `seeds` the model is a recipe trained once with each of these training seeds. Where it is not
    trained here, `{seed}` in a text stands for the seed, as in `checkpoint: runs/sft-{seed}`.
    """

    recipe: str | None = None
    checkpoint: str | None = None
    revision: str | None = None
    endpoint: EndpointSpec | None = None
    recorded: RecordedAnswers | None = None
    serve: ServeSpec | None = Field(default=None, exclude_if=lambda serve: serve is None)
    retrieval: RetrievalSpec | None = Field(default=None, exclude_if=lambda found: found is None)
    seed: int | None = None
    seeds: tuple[int, ...] = Field(default=(), exclude_if=lambda seeds: not seeds)

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "ModelSpec":
        kinds = (self.recipe, self.checkpoint, self.endpoint, self.recorded)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("name exactly one of 'recipe', 'checkpoint', 'endpoint' or 'recorded'")
        if self.recorded is not None and self.seed is not None:
            raise ValueError("recorded answers take no 'seed'")
        if self.recorded is not None and self.retrieval is not None:
            raise field_error(
                "retrieval", "recorded answers were given; nothing is found for them."
            )
        if self.revision is not None and self.checkpoint is None and self.endpoint is None:
            raise field_error("revision", "only a 'checkpoint' or an 'endpoint' has a revision.")
        if self.serve is not None and not self.is_local:
            raise field_error("serve", "only a 'recipe' or a 'checkpoint' is served.")
        return self

    @property
    def is_local(self) -> bool:
        """Return whether the model's weights are here, or made here."""
        return self.recipe is not None or self.checkpoint is not None

    @property
    def asked(self) -> EndpointSpec | None:
        """Return the address that is asked: an endpoint's, or that of a server which holds a checkpoint."""
        return self.endpoint or server_endpoint(self.serve)

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
        serve = self.serve
        if serve is not None and not serve.is_started:
            serve = fill_seed(serve, seed)
        # Options that were typed are no file's, and are not read as one again.
        one = fill_seed(self.model_copy(update={"seeds": (), "serve": None}), seed)
        return one.model_copy(update={"serve": serve})

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
    """A language model on this machine as judge: a directory, a GGUF file, or a hub name with `revision`.

    With `serve` an inference engine answers for it.
    """

    checkpoint: str
    revision: str | None = None
    max_tokens: int = Field(default=512, ge=1)
    serve: ServeSpec | None = Field(default=None, exclude_if=lambda serve: serve is None)


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
    def asked(self) -> EndpointSpec | None:
        """Return the address that is asked: an endpoint's, or that of a server which holds a checkpoint."""
        return self.endpoint or server_endpoint(self.local.serve if self.local else None)

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
            case str():
                return True
            case LocalJudge(serve=serve):
                server = server_endpoint(serve)
                return server is None or not server.elsewhere
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

    def served_by(self, engine: str | None, options: Sequence[str]) -> "Profile":
        """Return the profile as `--serve` and `--serve-option` change it.

        Without `--serve` the options go to the engines that the profile names.

        Raises:
            HarnessError: no such engine, an option that the harness sets, or nothing for it to change.
        """
        if engine is None and not options:
            return self

        def change(serve: ServeSpec | None) -> ServeSpec | None:
            if serve is None:
                return None if engine is None else serve_by(engine, options)
            return serve if not serve.is_started else with_typed_options(serve, options)

        models = {
            name: model.model_copy(update={"serve": change(model.serve)})
            for name, model in self.models.items()
            if model.is_local
        }
        local = {name: judge.local for name, judge in self.judges.items() if judge.local}
        judges = {
            name: self.judges[name].model_copy(
                update={"local": judge.model_copy(update={"serve": change(judge.serve)})}
            )
            for name, judge in local.items()
        }
        served = [model.serve for model in models.values()]
        served += [judge.local.serve for judge in judges.values() if judge.local]
        if not any(served):
            missing = "nothing here has a 'serve'; add --serve ENGINE"
            raise HarnessError(
                f"profile '{self.profile}': "
                + (
                    missing
                    if engine is None
                    else "--serve: no model or judge of it is on this machine"
                )
            )
        return self.model_copy(
            update={"models": self.models | models, "judges": self.judges | judges}
        )

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
