"""The models of a request, made ready to answer."""

from pathlib import Path
from typing import NamedTuple

from harness.config import ModelSpec
from harness.config.request import Request
from harness.core.hashing import content_hash
from harness.data.contamination import TrainingText
from harness.data.recorded import RecordedModel, recorded_fingerprint
from harness.models.generate import CheckpointModel, EndpointModel, Model
from harness.training.checkpoints import existing_model, make_checkpoint
from harness.training.context import RunContext
from harness.types import CheckpointCard, JudgeCard
from judges.factory import ProfileJudges
from trainers.checkpoint import MANIFEST, load_manifest, make_card
from trainers.recipe import Parent, load_recipe
from trainers.recipe_graph import require_policy_recipe


class Prepared(NamedTuple):
    """A model ready to answer; `teachers` are the judges that chose or rewarded what it learnt.

    `base` is the name of the model that it is, or that its training started from, and
    `training_texts` are all texts that it learnt since.
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
    if spec.recorded is not None:
        recorded = RecordedModel(name, spec.recorded, root)
        fingerprint = recorded_fingerprint(recorded)
        return Prepared(recorded, fingerprint, card=None, teachers=(), base=name)
    if spec.endpoint is not None:
        asked = EndpointModel(name, spec.endpoint, context.session, spec.seed)
        redacted = ["redacted"] if spec.endpoint.redact else []
        fingerprint = content_hash(spec.endpoint.model, spec.endpoint.base_url, *redacted)
        return Prepared(asked, fingerprint, card=None, teachers=(), base=spec.endpoint.model)
    if spec.recipe is not None:
        recipe, recipe_root = load_recipe(spec.recipe)
        trained = require_policy_recipe(recipe, f"model '{name}': {spec.recipe}")
        made = make_checkpoint(trained, recipe_root, context, judges)
    else:
        made = existing_model(Parent(checkpoint=spec.checkpoint, revision=spec.revision), root)
    model = CheckpointModel(name, made.directory, made.fingerprint, spec.revision, spec.seed)
    own = _card(made.directory, name)
    if own is not None and made.pairs is not None:
        own = own.model_copy(update={"pairs": made.pairs})
    return Prepared(model, made.fingerprint, own, made.teachers, made.base, made.training_texts)


def _card(directory: str, name: str) -> CheckpointCard | None:
    if not (Path(directory) / MANIFEST).is_file():
        return None
    return make_card(load_manifest(Path(directory)), name)
