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
from harness.models.generate import CheckpointModel, EndpointModel, Model, n_renewals
from harness.models.model_folder import MANIFEST
from harness.training.checkpoints import existing_model, make_checkpoint
from harness.training.context import RunContext
from harness.types import CheckpointCard, JudgeCard
from judges.factory import ProfileJudges
from trainers.checkpoint import load_manifest, make_card
from trainers.recipe import Parent, load_recipe
from trainers.recipe_graph import require_policy_recipe


class Prepared(NamedTuple):
    """A model ready to answer.

    `teachers` are the judges that selected or rewarded its training data. `base` is the name of the
    model itself, or of the one that its training started from; `training_texts` are all texts it was
    trained on since.
    """

    model: Model
    fingerprint: str
    card: CheckpointCard | None
    teachers: tuple[JudgeCard, ...]
    base: str
    training_texts: tuple[TrainingText, ...] = ()


def prepare_models(
    request: Request, context: RunContext, judges: ProfileJudges
) -> dict[str, Prepared]:
    """Prepare every model of the request, in its order, training what is missing.

    Raises:
        HarnessError: a checkpoint that is incomplete or was changed, or a recipe with a mistake.
    """
    return {
        name: _prepare(name, request.profile.models[name], request.profile_root, context, judges)
        for name in request.models
    }


def _prepare(
    name: str, spec: ModelSpec, root: Path, context: RunContext, judges: ProfileJudges
) -> Prepared:
    # Recorded answers, or a model behind an endpoint.
    if spec.recorded is not None:
        recorded = RecordedModel(name, spec.recorded, root)
        fingerprint = recorded_fingerprint(recorded)
        return Prepared(recorded, fingerprint, card=None, teachers=(), base=name)
    if spec.served is not None:
        endpoint_model = EndpointModel(name, spec.served, context.session, spec.seed)
        more = ["redacted"] if spec.served.redact else []
        more += ["revision", spec.served.revision] if spec.served.revision else []
        fingerprint = content_hash(spec.served.model, spec.served.base_url, *more)
        return Prepared(endpoint_model, fingerprint, card=None, teachers=(), base=spec.served.model)
    # A checkpoint, trained from a recipe or given.
    if spec.recipe is not None:
        recipe, recipe_root = load_recipe(spec.recipe)
        policy_recipe = require_policy_recipe(recipe, f"model '{name}': {spec.recipe}")
        trained = make_checkpoint(policy_recipe, recipe_root, context, judges)
    else:
        trained = existing_model(Parent(checkpoint=spec.checkpoint, revision=spec.revision), root)
    model = CheckpointModel(name, trained.directory, trained.fingerprint, spec.revision, spec.seed)
    checkpoint_card = _load_card(trained.directory, name)
    if checkpoint_card is not None and trained.pairs is not None:
        checkpoint_card = checkpoint_card.model_copy(update={"pairs": trained.pairs})
    return Prepared(
        model,
        trained.fingerprint,
        checkpoint_card,
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
        n = n_renewals(prepared.model, store)
        fingerprint = (
            content_hash(prepared.fingerprint, "renewed", n) if n else prepared.fingerprint
        )
        renewed[name] = prepared._replace(fingerprint=fingerprint)
    return renewed
