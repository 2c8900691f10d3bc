"""Preparation of the requested models: trained if missing, and ready to answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from harness.config import ModelSpec
from harness.config.request import Request
from harness.core.hashing import content_hash
from harness.core.store import Store
from harness.data.contamination import TrainingText
from harness.data.recorded import RecordedModel, recorded_fingerprint
from harness.models.gguf import require_model
from harness.models.model_folder import MANIFEST
from harness.models.model_kinds import CheckpointModel, EndpointModel, Model, serve_checkpoint
from harness.models.retrieved import with_retrieval
from harness.models.seeds import SeededModel, models_of
from harness.models.stored_answers import n_renewals
from harness.retrieval.retriever import Retriever, find_retriever
from harness.training.checkpoints import existing_model, make_checkpoint
from harness.training.context import RunContext, TrainedModel
from harness.types import CheckpointCard, JudgeCard
from harness.types.samples import seed_suffix
from judges.factory import ProfileJudges
from trainers.checkpoint import load_manifest, make_card
from trainers.recipe import Parent, TrainingRecipe, load_recipe
from trainers.recipe_graph import (
    TrainingSeed,
    recipe_graph,
    require_policy_recipe,
    require_servable,
    seeded_recipes,
)


class Prepared(NamedTuple):
    """A model ready to answer.

    `cards` are those of its checkpoints, one for each training seed. `teachers` are the judges that
    selected or rewarded its training data. `base` is the name of the model itself, or of the one that its
    training started from; `training_texts` are all texts it was trained on since.
    """

    model: Model | SeededModel
    fingerprint: str
    cards: tuple[CheckpointCard, ...]
    teachers: tuple[JudgeCard, ...]
    base: str
    training_texts: tuple[TrainingText, ...] = ()


def prepare_models(
    request: Request,
    context: RunContext,
    judges: ProfileJudges,
    made: Mapping[str, Prepared] | None = None,
) -> dict[str, Prepared]:
    """Prepare every model of the request, in its order, training what is missing.

    Models that are `made` are taken as they are.

    Raises:
        HarnessError: a checkpoint that is incomplete or was changed, or a recipe with a mistake.
    """
    root, prepared = request.profile_root, {}
    made = made or {}
    others = {n: spec for n, spec in request.profile.models.items() if n not in made}
    of_others = request.profile.model_copy(update={"models": others})
    recipes = seeded_recipes(of_others) if any(name in others for name in request.seeded) else {}
    # Find and read all first: a mistake would else be found when the models before it are trained.
    for name, spec in ((name, request.profile.models[name]) for name in request.models):
        if spec.checkpoint is not None and not spec.seeds:
            require_model(spec.checkpoint, spec.revision, root)
        elif spec.recipe is not None and name not in made:
            _read_recipe(name, spec, spec.recipe)
    for name in request.models:
        if name in made:
            prepared[name] = made[name]
            continue
        spec = request.profile.models[name]
        retriever = find_retriever(spec, request.profile, root)
        if not spec.seeds:
            prepared[name] = _prepare(name, spec, root, context, judges, retriever)
            continue
        by_seed = {}
        for seed in spec.seeds:
            own, one = name + seed_suffix(seed), spec.of_seed(seed)
            training = TrainingSeed(seed, recipes)
            by_seed[seed] = _prepare(own, one, root, context, judges, retriever, training)
        prepared[name] = join_seeds(name, by_seed)
    return prepared


def join_seeds(name: str, by_seed: Mapping[int, Prepared]) -> Prepared:
    """Return one recipe's models as one, which has all that theirs have."""
    several = by_seed.values()
    models = {seed: models_of(one.model)[0] for seed, one in by_seed.items()}
    return Prepared(
        model=SeededModel(name, models),
        fingerprint=content_hash([one.fingerprint for one in several]),
        cards=tuple(card for one in several for card in one.cards),
        teachers=tuple(dict.fromkeys(judge for one in several for judge in one.teachers)),
        base=next(one.base for one in several),
        training_texts=tuple(dict.fromkeys(text for one in several for text in one.training_texts)),
    )


def _prepare(
    name: str,
    spec: ModelSpec,
    root: Path,
    context: RunContext,
    judges: ProfileJudges,
    retriever: Retriever | None,
    seed: TrainingSeed | None = None,
) -> Prepared:
    # Recorded answers, or a model behind an endpoint.
    if spec.recorded is not None:
        recorded = RecordedModel(name, spec.recorded, root)
        fingerprint = recorded_fingerprint(recorded)
        return Prepared(recorded, fingerprint, cards=(), teachers=(), base=name)
    found = ["retrieval", retriever.card.fingerprint] if retriever else []
    if spec.served is not None:
        endpoint_model = EndpointModel(name, spec.served, context.session, spec.seed, retriever)
        more = ["redacted"] if spec.served.redact else []
        more += ["revision", spec.served.revision] if spec.served.revision else []
        fingerprint = content_hash(spec.served.model, spec.served.base_url, *more, *found)
        return Prepared(endpoint_model, fingerprint, cards=(), teachers=(), base=spec.served.model)
    # A checkpoint, trained from a recipe or given.
    if spec.recipe is not None:
        recipe, recipe_root = _read_recipe(name, spec, spec.recipe)
        trained = make_checkpoint(recipe, recipe_root, context, judges, seed=seed)
    else:
        trained = existing_model(Parent(checkpoint=spec.checkpoint, revision=spec.revision), root)
    return prepare_trained(name, spec, trained, context, retriever)


def _read_recipe(name: str, spec: ModelSpec, file: str) -> tuple[TrainingRecipe, Path]:
    """Return a model's recipe with its folder; all that it starts from is read too."""
    recipe, folder = load_recipe(file)
    policy_recipe = require_policy_recipe(recipe, f"model '{name}': {file}")
    stages = recipe_graph(policy_recipe, folder)
    require_servable(stages[-1], spec.serve, f"model '{name}'")
    for stage in stages:
        parent = getattr(stage.recipe, "parent", None)
        if parent is not None and parent.checkpoint is not None:
            require_model(parent.checkpoint, parent.revision, stage.root)
    return policy_recipe, folder


def prepare_trained(
    name: str,
    spec: ModelSpec,
    trained: TrainedModel,
    context: RunContext,
    retriever: Retriever | None = None,
) -> Prepared:
    """Return a checkpoint as a model that is ready to answer."""
    weights = CheckpointModel(
        name, trained.directory, trained.fingerprint, spec.revision, spec.seed, retriever
    )
    checkpoint_card = _load_card(trained.directory, name)
    if checkpoint_card is not None and trained.pairs is not None:
        checkpoint_card = checkpoint_card.model_copy(update={"pairs": trained.pairs})
    return Prepared(
        serve_checkpoint(weights, spec.serve, context.session),
        with_retrieval(trained.fingerprint, retriever),
        () if checkpoint_card is None else (checkpoint_card,),
        trained.teachers,
        trained.base,
        trained.training_texts,
    )


def _load_card(directory: str, name: str) -> CheckpointCard | None:
    if not (Path(directory) / MANIFEST).is_file():
        return None
    return make_card(load_manifest(Path(directory)), name)


def with_renewals(models: Mapping[str, Prepared], store: Store) -> dict[str, Prepared]:
    """Return the models with other fingerprints where their answers were asked anew.

    A run on the new answers is another run than the one on the old, and replaces no report of it.
    """
    renewed = {}
    for name, prepared in models.items():
        n = sum(n_renewals(model, store) for model in models_of(prepared.model))
        fingerprint = (
            content_hash(prepared.fingerprint, "renewed", n) if n else prepared.fingerprint
        )
        renewed[name] = prepared._replace(fingerprint=fingerprint)
    return renewed
