"""Checkpoints and the data that they learn from: made when missing, verified when they exist.

The stages of a recipe graph are made one after another. Each product is kept in the workspace under
a key of everything that it was made from, so that nothing is trained twice.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.config import ChecklistMetric, RubricMetric, Source
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.core.hub import check_model_available
from harness.core.text_files import read_prompt
from harness.data.contamination import (
    TrainingText,
    find_contaminated_items,
    require_no_contamination,
    texts_of_examples,
    texts_of_labelled,
    texts_of_pairs,
    texts_of_samples,
)
from harness.data.conversions import conversion_facts, resolve_conversion
from harness.data.preference_pairs import load_given_pairs
from harness.models.gguf import require_model
from harness.models.model_folder import verified_fingerprint
from harness.training.context import RunContext, TrainedModel
from harness.training.eval_during_training import make_training_eval
from harness.training.sampling import (
    MadeBestOf,
    MadePairs,
    grade_candidates,
    refuse_remote_phi,
    sample_best_of_n,
    sample_gold_pairs,
    sample_judged_pairs,
)
from harness.types import JudgeCard, PairStatistics, Sample
from judges.factory import ProfileJudges
from judges.panel import Panel, make_named_panel, require_prompt_reader
from judges.protocol import Judge
from trainers.checkpoint import (
    checkpoint_key,
    load_manifest,
    refuse_reward_model,
    verify_checkpoint,
)
from trainers.distributed.config import check_launch
from trainers.examples import (
    data_hash,
    load_labelled,
    load_rows_to_learn,
    load_samples,
    rows_to_learn,
)
from trainers.method import RunSettings
from trainers.online_rl import PromptRow, Reward, online_hash, train_online
from trainers.pickle_import import unpickle
from trainers.recipe import (
    AdapterRecipe,
    BestOfRecipe,
    GivenPairsRecipe,
    GoldPairsRecipe,
    JudgedPairsRecipe,
    KtoRecipe,
    OnlineRecipe,
    PairsRecipe,
    PairTrainedRecipe,
    Parent,
    PreferenceRecipe,
    PretrainRecipe,
    SftRecipe,
    TrainingRecipe,
)
from trainers.recipe_graph import RecipeStage, TrainingSeed, recipe_graph


def make_checkpoint(
    recipe: TrainingRecipe,
    root: Path,
    context: RunContext,
    judges: ProfileJudges,
    *,
    out: Path | None = None,
    seed: TrainingSeed | None = None,
) -> TrainedModel:
    """Make the recipe's checkpoint and the stages that it needs, where they are missing.

    With `out` the checkpoint itself is trained anew, in that folder instead of the workspace. With a
    `seed` it is the one of that seed, and so are its parents that have several.
    """
    stages = recipe_graph(recipe, root, seed=seed)
    maker = _StageMaker(context, judges)
    maker.make(stages, out)
    return maker.models[stages[-1].key]


def make_pairs(
    recipe: PairsRecipe, root: Path, context: RunContext, judges: ProfileJudges
) -> MadePairs:
    """Make the recipe's pairs and the stages that it needs, where they are missing."""
    stages = recipe_graph(recipe, root)
    maker = _StageMaker(context, judges)
    maker.make(stages)
    return maker.pairs[stages[-1].key]


def make_best_of(
    recipe: BestOfRecipe, root: Path, context: RunContext, judges: ProfileJudges
) -> MadeBestOf:
    """Make the recipe's best answers and the stages that it needs, where they are missing."""
    stages = recipe_graph(recipe, root)
    maker = _StageMaker(context, judges)
    maker.make(stages)
    return maker.best_of[stages[-1].key]


class _StageMaker:
    """Makes the stages of a recipe graph, and holds their products by the stages' keys."""

    def __init__(self, context: RunContext, judges: ProfileJudges) -> None:
        self._context = context
        self._judges = judges
        self.models: dict[str, TrainedModel] = {}
        self.pairs: dict[str, MadePairs] = {}
        self.best_of: dict[str, MadeBestOf] = {}

    def make(self, stages: Sequence[RecipeStage], out: Path | None = None) -> None:
        """Make the stages in their order; `out` is the folder of the last one's checkpoint."""
        # Find a panel that could not choose pairs, or a judge that could not grade, before anything is trained.
        for stage in stages:
            if isinstance(stage.recipe, JudgedPairsRecipe):
                self._panel_of(stage.recipe)
            elif isinstance(stage.recipe, BestOfRecipe):
                self._judge_of(stage.recipe.recipe, stage.recipe.grade)
        # Make each stage from the products of those before it.
        for stage in stages:
            match stage.recipe:
                case BestOfRecipe() as recipe:
                    self.best_of[stage.key] = self._sample_best_of(recipe, stage)
                case GivenPairsRecipe() | GoldPairsRecipe() | JudgedPairsRecipe() as recipe:
                    self.pairs[stage.key] = self._make_pairs(recipe, stage)
                case recipe:
                    folder = out if stage is stages[-1] else None
                    self.models[stage.key] = self._make_model(recipe, stage, folder)

    def _start_of(self, stage: RecipeStage, parent: Parent) -> TrainedModel:
        """Return the model that a stage starts or samples from; an existing one is verified."""
        if stage.parent is not None:
            return self.models[stage.parent.key]
        return existing_model(parent, stage.root)

    # --- checkpoints -------------------------------------------------------------------------

    def _make_model(
        self, recipe: TrainingRecipe, stage: RecipeStage, out: Path | None
    ) -> TrainedModel:
        match recipe:
            case PretrainRecipe():
                return self._make_base(recipe, stage.root, out)
            case SftRecipe():
                return self._make_sft(recipe, stage, out)
            case OnlineRecipe():
                return self._make_online(recipe, stage, out)
            case PreferenceRecipe():
                return self._make_on_pairs(recipe, stage, out)

    def _make_base(self, recipe: PretrainRecipe, root: Path, out: Path | None) -> TrainedModel:
        from trainers.pretrain import train_base

        texts = [sample for source in recipe.data for sample in load_samples(source, root)]
        key = checkpoint_key(recipe, None, data_hash(texts))
        target, exists = self._find_target(recipe, key, out)
        training_texts = tuple(texts_of_samples(texts))
        if not exists:
            self._keep_items_apart(recipe, training_texts)
            train_base(recipe, root, target, self._context.progress.advance)
        return _trained_model(target, training_texts=training_texts)

    def _make_sft(self, recipe: SftRecipe, stage: RecipeStage, out: Path | None) -> TrainedModel:
        from trainers.sft import train_sft

        # The rows to learn from, the best of sampled answers among them.
        parent = self._start_of(stage, recipe.parent)
        rows, teachers = load_rows_to_learn(recipe, stage.root), parent.teachers
        if stage.best_of is not None:
            chosen = self.best_of[stage.best_of.key]
            rows, teachers = rows + chosen.best.rows, (*teachers, *chosen.teachers)
        # The checkpoint, trained where it is missing.
        key = checkpoint_key(recipe, parent.fingerprint, data_hash(rows))
        target, exists = self._find_target(recipe, key, out)
        training_texts = (*parent.training_texts, *texts_of_examples(rows))
        if not exists:
            self._keep_items_apart(recipe, training_texts)
            check_model_available(parent.directory, recipe.parent.revision)
            facts = conversion_facts(recipe.data, stage.root)
            train_sft(
                recipe,
                parent.directory,
                target,
                rows=rows,
                progress=self._context.progress.advance,
                launch=self._context.launch,
                settings=self._settings(recipe, stage.root, facts),
            )
        return _trained_model(target, parent.base, teachers, training_texts)

    def _make_online(
        self, recipe: OnlineRecipe, stage: RecipeStage, out: Path | None
    ) -> TrainedModel:
        # The prompts and their reward.
        parent = self._start_of(stage, recipe.parent)
        samples = tuple(
            rows_to_learn(recipe, load_samples(recipe.data, stage.root, recipe.reward.graded_by))
        )
        system = read_prompt(recipe.system, stage.root)
        prompts = [PromptRow(id=s.id, prompt=s.chat(system)) for s in samples]
        reward, teachers = self._make_reward(recipe, stage, samples)
        # The checkpoint, trained where it is missing.
        key = checkpoint_key(recipe, parent.fingerprint, online_hash(prompts, reward))
        target, exists = self._find_target(recipe, key, out)
        training_texts = (*parent.training_texts, *texts_of_samples(samples))
        if not exists:
            self._keep_items_apart(recipe, training_texts)
            self._refuse_batched_rewards(recipe)
            if self._context.launch is not None:
                check_launch(recipe, self._context.launch)
            facts = conversion_facts([recipe.data], stage.root)
            train_online(
                recipe,
                parent.directory,
                target,
                prompts=prompts,
                reward=reward,
                progress=self._context.progress.advance,
                settings=self._settings(recipe, stage.root, facts),
            )
        return _trained_model(target, parent.base, (*parent.teachers, *teachers), training_texts)

    def _make_on_pairs(
        self, recipe: PairTrainedRecipe, stage: RecipeStage, out: Path | None
    ) -> TrainedModel:
        from trainers.preference import train_on_pairs

        if recipe.labelled_source is not None:
            return self._make_on_labelled(recipe, recipe.labelled_source, stage, out)
        assert stage.pairs is not None
        made, parent = self.pairs[stage.pairs.key], self._start_of(stage, recipe.parent)
        pairs = rows_to_learn(recipe, made.pairs.pairs)
        key = checkpoint_key(recipe, parent.fingerprint, data_hash(pairs))
        target, exists = self._find_target(recipe, key, out)
        training_texts = (*parent.training_texts, *texts_of_pairs(pairs))
        if not exists:
            self._keep_items_apart(recipe, training_texts)
            source = stage.pairs.recipe
            assert isinstance(source, PairsRecipe)
            facts = conversion_facts([source.data], stage.pairs.root)
            train_on_pairs(
                recipe,
                parent.directory,
                target,
                pairs=pairs,
                progress=self._context.progress.advance,
                launch=self._context.launch,
                settings=self._settings(recipe, stage.root, facts),
            )
        teachers = (*parent.teachers, *made.teachers)
        return _trained_model(target, parent.base, teachers, training_texts, made.pairs.statistics)

    def _make_on_labelled(
        self, recipe: PairTrainedRecipe, source: Source, stage: RecipeStage, out: Path | None
    ) -> TrainedModel:
        from trainers.preference import train_on_labelled

        assert isinstance(recipe, KtoRecipe)
        parent = self._start_of(stage, recipe.parent)
        answers = rows_to_learn(recipe, load_labelled(source, stage.root))
        key = checkpoint_key(recipe, parent.fingerprint, data_hash(answers))
        target, exists = self._find_target(recipe, key, out)
        training_texts = (*parent.training_texts, *texts_of_labelled(answers))
        if not exists:
            self._keep_items_apart(recipe, training_texts)
            facts = conversion_facts([source], stage.root)
            train_on_labelled(
                recipe,
                parent.directory,
                target,
                answers=answers,
                progress=self._context.progress.advance,
                launch=self._context.launch,
                settings=self._settings(recipe, stage.root, facts),
            )
        return _trained_model(target, parent.base, parent.teachers, training_texts)

    def _keep_items_apart(self, recipe: TrainingRecipe, texts: tuple[TrainingText, ...]) -> None:
        """Refuse to train on the items of the run that the checkpoint is for.

        Raises:
            HarnessError: some are among the texts.
        """
        learnt = {recipe.recipe: TrainedModel("", "", training_texts=texts)}
        require_no_contamination(find_contaminated_items(self._context.kept_apart, learnt))

    def _settings(self, recipe: AdapterRecipe, root: Path, facts: dict[str, str]) -> RunSettings:
        evaluation = make_training_eval(recipe, root, self._judges, self._context.store)
        return RunSettings(facts, evaluation, self._context.references)

    def _find_target(self, recipe: TrainingRecipe, key: str, out: Path | None) -> "_Target":
        """Return `out`, where training is always anew, or the checkpoint's folder in the workspace.

        Raises:
            HarnessError: the checkpoint in the workspace is damaged.
        """
        if out is not None:
            return _Target(out, exists=False)
        folder = self._context.checkpoints / f"{recipe.recipe}-{key[:12]}"
        if not folder.is_dir():
            self._context.begin_making(folder)
            self._context.session.servers.close()  # training needs their memory
            return _Target(folder, exists=False)
        return _Target(folder, bool(verify_checkpoint(folder).fingerprint))

    # --- rewards -----------------------------------------------------------------------------

    def _make_reward(
        self, recipe: OnlineRecipe, stage: RecipeStage, samples: tuple[Sample, ...]
    ) -> tuple[Reward, tuple[JudgeCard, ...]]:
        """Return the reward of answers to the samples, and the judges behind it.

        Raises:
            HarnessError: the data may not be sent to the judge.
        """
        if stage.reward is not None:
            model = self.models[stage.reward.key]
            return _reward_of_model(model, stage.reward.recipe.recipe), model.teachers
        metric = recipe.reward.graded_by
        assert metric is not None
        judge = self._judge_of(recipe.recipe, metric)
        refuse_remote_phi(recipe.data, judge)
        by_id = {sample.id: sample for sample in samples}

        def score(prompts: Sequence[PromptRow], answers: Sequence[str]) -> list[float | None]:
            candidates = [(by_id[p.id], answer) for p, answer in zip(prompts, answers, strict=True)]
            title = f"{judge.card.name} rewards"
            return grade_candidates(candidates, metric, judge, title, self._context)

        references = [(sample.id, sample.reference) for sample in samples]
        criteria = [sample.criteria for sample in samples if sample.criteria]
        key = content_hash(metric, judge.card.fingerprint, references, *criteria)
        return Reward(score, key, f"{judge.card.name}, on a {metric.kind}"), (judge.card,)

    def _refuse_batched_rewards(self, recipe: OnlineRecipe) -> None:
        """Refuse a batch file for rewards: every step needs its own before the next can begin."""
        metric = recipe.reward.graded_by
        if (
            self._context.session.by_batch
            and metric is not None
            and self._judges.find(metric.judge).card.remote
        ):
            raise HarnessError(
                f"{recipe.recipe}: '{metric.judge}' rewards answers while the model trains, which "
                "cannot wait for batch files. Train it without --batch."
            )

    # --- sampled data ------------------------------------------------------------------------

    def _make_pairs(self, recipe: PairsRecipe, stage: RecipeStage) -> MadePairs:
        """Return the recipe's pairs; given pairs stay in their own file."""
        match recipe:
            case GivenPairsRecipe():
                source = resolve_conversion(recipe.data, stage.root)
                pairs = load_given_pairs(source, stage.root, recipe.filters)
                return MadePairs(recipe.data.label, pairs, ())
            case GoldPairsRecipe():
                parent = self._start_of(stage, recipe.parent)
                return sample_gold_pairs(recipe, stage.root, parent, self._context)
            case JudgedPairsRecipe():
                parent = self._start_of(stage, recipe.parent)
                panel = self._panel_of(recipe)
                return sample_judged_pairs(recipe, stage.root, parent, panel, self._context)

    def _panel_of(self, recipe: JudgedPairsRecipe) -> Panel:
        prefer = recipe.prefer
        require_prompt_reader(
            f"recipe '{recipe.recipe}'", prefer, prefer.judge, self._judges.profile
        )
        return make_named_panel(prefer.judge, self._judges, repeats=prefer.repeats)

    def _judge_of(self, recipe: str, metric: RubricMetric | ChecklistMetric) -> Judge:
        require_prompt_reader(f"recipe '{recipe}'", metric, metric.judge, self._judges.profile)
        return self._judges.find(metric.judge)

    def _sample_best_of(self, recipe: BestOfRecipe, stage: RecipeStage) -> MadeBestOf:
        parent = self._start_of(stage, recipe.parent)
        judge = self._judge_of(recipe.recipe, recipe.grade)
        return sample_best_of_n(recipe, stage.root, parent, judge, self._context)


class _Target(NamedTuple):
    """The folder of a checkpoint, and whether it exists there, undamaged."""

    folder: Path
    exists: bool


def _trained_model(
    target: Path,
    base: str = "",
    teachers: tuple[JudgeCard, ...] = (),
    training_texts: tuple[TrainingText, ...] = (),
    pairs: PairStatistics | None = None,
) -> TrainedModel:
    return TrainedModel(
        str(target), load_manifest(target).fingerprint, base, teachers, training_texts, pairs
    )


def _reward_of_model(model: TrainedModel, recipe_name: str) -> Reward:
    from trainers.reward import load_reward_scorer

    scores = load_reward_scorer(Path(model.directory))

    def score(prompts: Sequence[PromptRow], answers: Sequence[str]) -> list[float]:
        return scores([prompt.prompt for prompt in prompts], answers)

    return Reward(score, model.fingerprint, f"the reward model {recipe_name}")


# --- existing models ---------------------------------------------------------------------------


def existing_model(parent: Parent, root: Path) -> TrainedModel:
    """Return a model that exists: verify a checkpoint of the harness, convert a pickle.

    Raises:
        HarnessError: it is damaged, a reward model, or a hub model without a revision.
    """
    assert parent.checkpoint is not None
    source = require_model(parent.checkpoint, parent.revision, root)
    if parent.unpickle:
        source = str(unpickle(source, parent.revision))
    fingerprint = verified_fingerprint(source, revision=parent.revision)
    refuse_reward_model(source)
    return TrainedModel(source, fingerprint, Path(source).name)
