"""Checkpoints and what they learn from: made when missing, verified when there.

A recipe names its parent, its parent names its own; each link is kept in the workspace under a
key of everything it was made from, so that nothing is trained twice.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.core.hub import check_model_available
from harness.data.contamination import (
    TrainingText,
    texts_of_examples,
    texts_of_pairs,
    texts_of_samples,
)
from harness.data.conversions import conversion_facts, resolve_conversion
from harness.data.preference_pairs import load_given_pairs
from harness.data.samples import read_prompt
from harness.models.local import make_prompt
from harness.models.weights import fingerprint_model
from harness.training.context import TrainedModel, TrainingContext
from harness.training.eval_during_training import make_training_eval
from harness.training.sampling import (
    MadeBestOf,
    MadePairs,
    grade_candidates,
    refuse_remote_phi,
    sample_best_of_n,
    sample_preference_pairs,
)
from harness.types import JudgeCard, PairStatistics, Sample
from trainers.checkpoint import (
    COMPLETE_MARK,
    MANIFEST,
    checkpoint_key,
    load_manifest,
    refuse_reward_model,
    verify_checkpoint,
)
from trainers.distributed.config import check_launch
from trainers.examples import data_hash, load_examples, load_samples
from trainers.method import RunSettings
from trainers.online_rl import PromptRow, Reward, online_hash, train_online
from trainers.pickle_import import unpickle
from trainers.recipe import (
    AdapterRecipe,
    BestOfRecipe,
    DpoRecipe,
    GivenPairsRecipe,
    JudgedPairsRecipe,
    KtoRecipe,
    OnlineRecipe,
    OrpoRecipe,
    PairsRecipe,
    PairTrainedRecipe,
    Parent,
    PretrainRecipe,
    Recipe,
    RewardRecipe,
    SftRecipe,
    SimpoRecipe,
    TrainingRecipe,
    load_recipe,
    parent_directory,
)


def make_checkpoint(
    recipe: TrainingRecipe, root: Path, workshop: TrainingContext, *, out: Path | None = None
) -> TrainedModel:
    """The recipe's checkpoint, trained unless it is there; its own parents likewise.

    `out` is another place than the workspace; it is trained anew there.
    """
    match recipe:
        case PretrainRecipe():
            return _make_base(recipe, root, workshop, out)
        case SftRecipe():
            return _make_sft(recipe, root, workshop, out)
        case OnlineRecipe():
            return _make_online(recipe, root, workshop, out)
        case DpoRecipe() | KtoRecipe() | OrpoRecipe() | SimpoRecipe() | RewardRecipe():
            return _make_on_pairs(recipe, root, workshop, out)


def _make_base(
    recipe: PretrainRecipe, root: Path, workshop: TrainingContext, out: Path | None
) -> TrainedModel:
    from trainers.pretrain import train_base

    texts = [sample for source in recipe.data for sample in load_samples(source, root)]
    key = checkpoint_key(recipe, None, data_hash(texts))
    target, is_there = _find_target(recipe, key, workshop, out)
    if not is_there:
        train_base(recipe, root, target, workshop.progress.advance)
    return _made(target, learnt=tuple(texts_of_samples(texts)))


def _make_sft(
    recipe: SftRecipe, root: Path, workshop: TrainingContext, out: Path | None
) -> TrainedModel:
    from trainers.sft import train_sft

    parent = make_parent(recipe.parent, root, workshop)
    rows, teachers = load_examples(recipe.data, root), parent.teachers
    if recipe.best_of is not None:
        chosen = make_best_of(*load_best_of_recipe(recipe.best_of, root), workshop)
        rows, teachers = rows + chosen.best.rows, (*teachers, *chosen.teachers)
    key = checkpoint_key(recipe, parent.fingerprint, data_hash(rows))
    target, is_there = _find_target(recipe, key, workshop, out)
    if not is_there:
        check_model_available(parent.directory, recipe.parent.revision)
        train_sft(
            recipe,
            parent.directory,
            target,
            rows=rows,
            progress=workshop.progress.advance,
            launch=workshop.launch,
            setting=_setting(recipe, root, workshop, conversion_facts(recipe.data, root)),
        )
    learnt = (*parent.learnt, *texts_of_examples(rows))
    return _made(target, parent.base, teachers, learnt)


def _make_online(
    recipe: OnlineRecipe, root: Path, workshop: TrainingContext, out: Path | None
) -> TrainedModel:
    parent = make_parent(recipe.parent, root, workshop)
    samples, system = load_samples(recipe.data, root), read_prompt(recipe.system, root)
    questions = [PromptRow(id=s.id, prompt=make_prompt(system, s.input)) for s in samples]
    reward, teachers = make_reward(recipe, root, samples, workshop)
    key = checkpoint_key(recipe, parent.fingerprint, online_hash(questions, reward))
    target, is_there = _find_target(recipe, key, workshop, out)
    if not is_there:
        _refuse_awaited_rewards(recipe, workshop)
        if workshop.launch is not None:
            check_launch(recipe, workshop.launch)
        train_online(
            recipe,
            parent.directory,
            target,
            questions=questions,
            reward=reward,
            progress=workshop.progress.advance,
            setting=_setting(recipe, root, workshop, conversion_facts([recipe.data], root)),
        )
    learnt = (*parent.learnt, *texts_of_samples(samples))
    return _made(target, parent.base, (*parent.teachers, *teachers), learnt)


def _make_on_pairs(
    recipe: PairTrainedRecipe, root: Path, workshop: TrainingContext, out: Path | None
) -> TrainedModel:
    from trainers.preference import train_on_pairs

    # Pairs before the parent: who judges them is known before anything is trained.
    pairs_recipe, pairs_root = load_pairs_recipe(recipe.pairs, root)
    made = make_pairs(pairs_recipe, pairs_root, workshop)
    parent = make_parent(recipe.parent, root, workshop)
    pairs = made.pairs.pairs
    key = checkpoint_key(recipe, parent.fingerprint, data_hash(pairs))
    target, is_there = _find_target(recipe, key, workshop, out)
    if not is_there:
        facts = conversion_facts([pairs_recipe.data], pairs_root)
        train_on_pairs(
            recipe,
            parent.directory,
            target,
            pairs=pairs,
            progress=workshop.progress.advance,
            launch=workshop.launch,
            setting=_setting(recipe, root, workshop, facts),
        )
    learnt = (*parent.learnt, *texts_of_pairs(pairs))
    teachers = (*parent.teachers, *made.teachers)
    return _made(target, parent.base, teachers, learnt, made.pairs.statistics)


def _setting(
    recipe: AdapterRecipe, root: Path, workshop: TrainingContext, facts: dict[str, str]
) -> RunSettings:
    """What is told of the data, who watches, and where reference log-probabilities are kept."""
    return RunSettings(facts, make_training_eval(recipe, root, workshop), workshop.references)


def make_parent(parent: Parent, root: Path, workshop: TrainingContext) -> TrainedModel:
    """What a recipe starts from; a directory with a manifest is verified first."""
    if parent.recipe is not None:
        recipe, recipe_root = load_recipe(parent.recipe, search_dir=root)
        trained = require_policy_recipe(recipe, parent.recipe)
        return make_checkpoint(trained, recipe_root, workshop)
    return existing_model(parent, root)


def require_policy_recipe(recipe: Recipe, name: str) -> TrainingRecipe:
    """The recipe, if it gives a model that answers.

    Raises:
        HarnessError: it gives data, or a reward model.
    """
    if isinstance(recipe, PairsRecipe | BestOfRecipe):
        raise HarnessError(f"{name}: makes {recipe.makes}, not a model.")
    if isinstance(recipe, RewardRecipe):
        raise HarnessError(
            f"{name}: trains a reward model, which answers nothing. Only the 'reward' of a GRPO or "
            "RLOO recipe can name it."
        )
    return recipe


# --- rewards ---------------------------------------------------------------------------------


def make_reward(
    recipe: OnlineRecipe, root: Path, samples: tuple[Sample, ...], workshop: TrainingContext
) -> tuple[Reward, tuple[JudgeCard, ...]]:
    """What rewards answers to the samples, and the judges behind it.

    Raises:
        HarnessError: the recipe is that of no reward model, or the data may not be sent to the
            judge.
    """
    source = recipe.reward
    if source.rubric is None:
        assert source.recipe is not None
        return _reward_of_model(source.recipe, root, workshop)
    rubric, judge = source.rubric, workshop.judge(source.rubric.judge)
    refuse_remote_phi(recipe.data, judge)
    by_id = {sample.id: sample for sample in samples}

    def score(questions: Sequence[PromptRow], answers: Sequence[str]) -> list[float | None]:
        asked = [(by_id[q.id], answer) for q, answer in zip(questions, answers, strict=True)]
        return grade_candidates(asked, rubric, judge, f"{judge.card.name} rewards", workshop)

    references = [(sample.id, sample.reference) for sample in samples]
    key = content_hash(rubric, judge.card.fingerprint, references)
    return Reward(score, key, f"{judge.card.name}, on a rubric"), (judge.card,)


def _refuse_awaited_rewards(recipe: OnlineRecipe, workshop: TrainingContext) -> None:
    """Every step needs its rewards at once; by batch each would wait for a file of its own."""
    rubric, by_batch = recipe.reward.rubric, workshop.session.folder is not None
    if by_batch and rubric is not None and workshop.judge(rubric.judge).card.remote:
        raise HarnessError(
            f"{recipe.recipe}: '{rubric.judge}' rewards answers while the model trains, which "
            "cannot wait for batch files. Train it without --batch."
        )


def _reward_of_model(
    name: str, root: Path, workshop: TrainingContext
) -> tuple[Reward, tuple[JudgeCard, ...]]:
    from trainers.reward import load_scores

    recipe, recipe_root = load_recipe(name, search_dir=root)
    if not isinstance(recipe, RewardRecipe):
        raise HarnessError(f"{name}: trains no reward model ('method: reward').")
    made = make_checkpoint(recipe, recipe_root, workshop)
    scores = load_scores(Path(made.directory))

    def score(questions: Sequence[PromptRow], answers: Sequence[str]) -> list[float]:
        return scores([question.prompt for question in questions], answers)

    return Reward(score, made.fingerprint, f"the reward model {recipe.recipe}"), made.teachers


# --- the best of several answers ---------------------------------------------------------------


def load_best_of_recipe(path_or_name: str, beside: Path) -> tuple[BestOfRecipe, Path]:
    """A recipe for rejection sampling.

    Raises:
        HarnessError: no such recipe, or another kind.
    """
    recipe, root = load_recipe(path_or_name, search_dir=beside)
    if not isinstance(recipe, BestOfRecipe):
        raise HarnessError(f"{path_or_name}: is no recipe of 'method: best_of'.")
    return recipe, root


def make_best_of(recipe: BestOfRecipe, root: Path, workshop: TrainingContext) -> MadeBestOf:
    """The best answers of the recipe's parent, which is trained first if it is missing."""
    return sample_best_of_n(recipe, root, make_parent(recipe.parent, root, workshop), workshop)


# --- pairs -----------------------------------------------------------------------------------


def load_pairs_recipe(path_or_name: str, beside: Path) -> tuple[PairsRecipe, Path]:
    """A recipe that makes pairs.

    Raises:
        HarnessError: no such recipe, or one that trains.
    """
    recipe, root = load_recipe(path_or_name, search_dir=beside)
    if not isinstance(recipe, PairsRecipe):
        raise HarnessError(f"{path_or_name}: trains a checkpoint; it makes no preference pairs.")
    return recipe, root


def make_pairs(recipe: PairsRecipe, root: Path, workshop: TrainingContext) -> MadePairs:
    """The recipe's pairs, built unless they are there; given ones stay in their own file."""
    if isinstance(recipe, GivenPairsRecipe):
        given = load_given_pairs(resolve_conversion(recipe.data, root), root, recipe.filters)
        return MadePairs(recipe.data.label, given, ())
    if isinstance(recipe, JudgedPairsRecipe):
        workshop.panel(recipe.prefer.judge, recipe.prefer.repeats)  # or its error, before any work
    return sample_preference_pairs(
        recipe, root, make_parent(recipe.parent, root, workshop), workshop
    )


# --- what is there ---------------------------------------------------------------------------


def existing_model(parent: Parent, root: Path) -> TrainedModel:
    """A checkpoint or a hub model that is there; one of ours is verified, a pickle is converted.

    Raises:
        HarnessError: it is damaged, a reward model, or a hub model without a revision.
    """
    source = parent_directory(parent, root)
    if not Path(source).is_dir() and parent.revision is None:
        raise HarnessError(
            f"{source}: is no directory here. For a hub model also give its 'revision', "
            "so that it cannot change unseen."
        )
    if parent.unpickle:
        source = str(unpickle(source, parent.revision))
    fingerprint = _fingerprint(source, parent.revision)
    refuse_reward_model(source)
    return TrainedModel(source, fingerprint, Path(source).name)


def _fingerprint(source: str, revision: str | None) -> str:
    """A directory of ours is verified; another one, or a hub model, is fingerprinted."""
    directory = Path(source)
    if (directory / MANIFEST).is_file() or (directory / COMPLETE_MARK).is_file():
        return verify_checkpoint(directory).fingerprint
    return fingerprint_model(source, revision=revision)


class _Target(NamedTuple):
    """Where a checkpoint goes, and whether it lies there already, whole."""

    folder: Path
    is_there: bool


def _find_target(
    recipe: TrainingRecipe, key: str, workshop: TrainingContext, out: Path | None
) -> _Target:
    """In `out` it is made anew; in the workspace once, under a name that tells which one it is.

    Raises:
        HarnessError: it lies there, and is damaged.
    """
    if out is not None:
        return _Target(out, is_there=False)
    folder = workshop.checkpoints / f"{recipe.recipe}-{key[:12]}"
    return _Target(folder, is_there=folder.is_dir() and bool(verify_checkpoint(folder).fingerprint))


def _made(
    target: Path,
    base: str = "",
    teachers: tuple[JudgeCard, ...] = (),
    learnt: tuple[TrainingText, ...] = (),
    pairs: PairStatistics | None = None,
) -> TrainedModel:
    return TrainedModel(
        str(target), load_manifest(target).fingerprint, base, teachers, learnt, pairs
    )
