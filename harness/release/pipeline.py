"""The training loop: gated training stages, then certification and promotion.

    start → [train → gate] → [train → gate] → certify → promoted, or not

A stage trains its recipes, selects the best of them on the development items, and continues only if
it passes the stage's gate against the previous model. The last model is certified once, on items that
nothing was selected on, against the currently promoted checkpoint. All work is stored by content, so
that the same command continues where it was killed.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.config import Gate, ModelSpec, load_profile, load_suite
from harness.config.pipeline import Loop, Stage, load_loop
from harness.config.request import Request
from harness.core.errors import HarnessError, did_you_mean
from harness.core.hashing import content_hash
from harness.planning.plan import make_plan
from harness.release.registry import Registry, alpha_of_look, now
from harness.runs.run import FinishedRun, run_suite
from harness.training.checkpoints import make_checkpoint
from harness.training.context import RunContext, TrainedModel
from harness.types import RunResult
from harness.types.training import Ancestor, Look, LoopResult, Promotion, StageResult
from judges.factory import load_judges
from trainers.checkpoint import trace_manifests, versions
from trainers.recipe import find_recipe, load_recipe
from trainers.recipe_graph import recipe_graph, require_policy_recipe


class _Model(NamedTuple):
    """A model of the loop: its name in reports, its specification, and its trained checkpoint."""

    name: str
    spec: ModelSpec
    trained: TrainedModel | None = None


def run_loop(path_or_name: str, context: RunContext, *, out: Path) -> LoopResult:
    """Train, gate, certify and promote.

    Raises:
        PendingRepliesError: the loop cannot continue before batch replies have arrived.
        HarnessError: a mistake in the loop, a suite or a recipe, or items of the certification that
            are also in the gate of a stage.
        InfrastructureError: a service, disk or process failed; finished work is kept.
    """
    loop, root = load_loop(path_or_name)
    run = _LoopRun(loop, root, context, out)
    run.check()
    current, results = run.start(), list[StageResult]()
    for stage in loop.stages:
        current, result = run.run_stage(stage, current)
        results.append(result)
        if result.verdict != "pass":
            return _stopped_result(loop, results)
    finished = run.certify(current, results)
    if loop.losers == "delete":
        run.delete_losers()
    return finished


class _LoopRun:
    """One execution of a loop, with its files, context and registry."""

    def __init__(self, loop: Loop, root: Path, context: RunContext, out: Path) -> None:
        self._loop = loop
        self._root = root
        self._profile, self._profile_root = load_profile(loop.profile, search_dir=root)
        self._context = context
        self._out = out
        self._registry = Registry(context.store.workspace)
        self._trained: list[TrainedModel] = []

    def check(self) -> None:
        """Find mistakes before anything is trained.

        Raises:
            HarnessError: a suite without a gate, a missing column or model, or items of the
                certification that are also in the gate of a stage.
        """
        if self._profile.find_model(self._loop.start).seeds:
            raise HarnessError(
                f"start: '{self._loop.start}' has several training seeds, and a loop promotes one checkpoint. "
                "Name a model without 'seeds'."
            )
        certified = self._items_of(self._loop.certify)
        for stage in self._loop.stages:
            for recipe in stage.recipes:
                loaded, recipe_root = load_recipe(recipe, search_dir=self._root)
                recipe_graph(require_policy_recipe(loaded, recipe), recipe_root)
            shared = certified & self._items_of(stage.gate)
            if shared:
                raise HarnessError(
                    f"{self._loop.certify}: {len(shared)} of its items are also in {stage.gate}, the "
                    f"gate of stage '{stage.name}'. Certify on items that no stage selects on."
                )

    def start(self) -> _Model:
        """Return the model that the first stage is compared with."""
        return _Model(self._loop.start, self._profile.find_model(self._loop.start))

    def run_stage(self, stage: Stage, current: _Model) -> tuple[_Model, StageResult]:
        """Train the stage's recipes, and test the best of them at its gate."""
        self._context.progress.log(f"stage {stage.name}")
        candidates = [self._train(recipe) for recipe in stage.recipes]
        scores: dict[str, float | None] = {model.name: None for model in candidates}
        if len(candidates) > 1:
            assert stage.select is not None
            scores = self._scores(stage.gate, stage.select, current, candidates)
        chosen = max(candidates, key=lambda model: scores[model.name] or 0.0)
        # The best of several, by scores on the same items: Bonferroni over their number.
        alpha = self._gate_of(stage.gate).alpha / len(candidates)
        result, folder = self._run(stage.gate, [current, chosen], alpha=alpha)
        assert result.decision is not None
        return chosen, StageResult(
            stage=stage.name,
            baseline=current.name,
            tried=scores,
            chosen=chosen.name,
            verdict=result.decision.verdict,
            sentence=result.decision.sentence,
            report=str(folder / "report.html"),
        )

    def certify(self, candidate: _Model, stages: Sequence[StageResult]) -> LoopResult:
        """Take one look at the held-out items, and promote the candidate if it passes."""
        # 1. Nothing to do for a checkpoint that is already promoted.
        assert candidate.trained is not None
        name, history = self._loop.promote, self._registry.history(self._loop.promote)
        if history and history[-1].fingerprint == candidate.trained.fingerprint:
            return LoopResult(
                loop=self._loop.loop,
                stages=tuple(stages),
                verdict="pass",
                sentence=f"{candidate.name} is already promoted to '{name}'.",
                promotion=history[-1],
            )
        # 2. Compare it with the current promotion, at this look's share of alpha.
        baseline = self.start()
        if history:
            spec = ModelSpec(checkpoint=str(Path(history[-1].checkpoint).resolve()))
            baseline = _Model(f"{name}.{history[-1].number}", spec)
        gate = self._gate_of(self._loop.certify)
        look = self._begin_look(candidate, history[-1].fingerprint if history else "", gate)
        alpha = alpha_of_look(gate.alpha, look)
        self._context.progress.log(f"certify {candidate.name}: look {look}, alpha {alpha:.4f}")
        result, folder = self._run(self._loop.certify, [baseline, candidate], alpha=alpha)
        assert result.decision is not None
        # 3. Promote it if it passes.
        promotion = None
        if result.decision.verdict == "pass":
            promotion = self._promotion(candidate, baseline, result, folder, alpha, look)
            self._registry.promote(promotion)
        return LoopResult(
            loop=self._loop.loop,
            stages=tuple(stages),
            verdict=result.decision.verdict,
            sentence=result.decision.sentence,
            promotion=promotion,
        )

    def delete_losers(self) -> None:
        """Delete the checkpoints of this loop that no promotion needs, also not as an ancestor."""
        needed = {
            fingerprint
            for name in self._registry.names()
            for promotion in self._registry.history(name)
            for fingerprint in (promotion.fingerprint, *(a.fingerprint for a in promotion.lineage))
        }
        for trained in self._trained:
            folder = Path(trained.directory)
            if trained.fingerprint not in needed and folder.is_relative_to(
                self._context.store.workspace
            ):
                shutil.rmtree(folder, ignore_errors=True)

    # --- parts ---------------------------------------------------------------------------

    def _train(self, recipe_name: str) -> _Model:
        recipe, recipe_root = load_recipe(recipe_name, search_dir=self._root)
        judges = load_judges(self._profile, self._profile_root, self._context.session)
        with self._context.open():
            policy_recipe = require_policy_recipe(recipe, recipe_name)
            trained = make_checkpoint(policy_recipe, recipe_root, self._context, judges)
        self._trained.append(trained)
        path = find_recipe(recipe_name, search_dir=self._root)
        return _Model(recipe.recipe, ModelSpec(recipe=str(path)), trained)

    def _scores(
        self, suite: str, column: str, current: _Model, candidates: Sequence[_Model]
    ) -> dict[str, float | None]:
        """Return each candidate's mean (or win rate) on the column that the best is selected by."""
        result, _ = self._run(suite, [current, *candidates])
        means = {
            score.model: score.mean.estimate for score in result.scores if score.metric == column
        }
        wins = {
            c.candidate: c.difference.estimate for c in result.comparisons if c.metric == column
        }
        scores = means or wins
        if not scores:
            measured = list(dict.fromkeys(c.metric for c in result.comparisons))
            raise HarnessError(
                f"{suite}: '{column}' is not measured. {did_you_mean(column, measured)}"
            )
        return {model.name: scores.get(model.name) for model in candidates}

    def _run(
        self, suite: str, models: Sequence[_Model], *, alpha: float | None = None
    ) -> FinishedRun:
        request = self._request(suite, models)
        if alpha is not None and request.suite.gate is not None:
            gate = request.suite.gate.model_copy(update={"alpha": alpha})
            request = request._replace(suite=request.suite.model_copy(update={"gate": gate}))
        return run_suite(request, self._context, out=self._out, counted=False)

    def _request(self, suite: str, models: Sequence[_Model]) -> Request:
        loaded, suite_root = load_suite(suite, search_dir=self._root)
        specs = {model.name: model.spec for model in models}
        profile = self._profile.model_copy(update={"models": self._profile.models | specs})
        return Request(
            loaded,
            suite_root,
            profile,
            self._profile_root,
            tuple(specs),
            by_batch=self._context.session.by_batch,
        )

    def _gate_of(self, suite: str) -> Gate:
        gate = load_suite(suite, search_dir=self._root)[0].gate
        if gate is None:
            raise HarnessError(f"{suite}: has no gate, but a loop needs one. Add a 'gate' to it.")
        return gate

    def _items_of(self, suite: str) -> set[str]:
        """Return the questions of a suite, in lower case with single spaces, for comparison."""
        self._gate_of(suite)
        plan = make_plan(self._request(suite, [self.start()]), {})
        return {
            " ".join(sample.transcript.casefold().split())
            for task in plan.tasks
            for sample in task.samples
        }

    def _begin_look(self, candidate: _Model, baseline: str, gate: Gate) -> int:
        assert candidate.trained is not None
        look = Look(
            items_hash=content_hash(sorted(self._items_of(self._loop.certify))),
            candidate=candidate.trained.fingerprint,
            baseline=baseline,
            claims=content_hash(gate.claims),
            when=now(),
        )
        with self._context.store:
            return self._registry.begin_look(self._loop.promote, look)

    def _promotion(
        self,
        candidate: _Model,
        baseline: _Model,
        result: RunResult,
        folder: Path,
        alpha: float,
        look: int,
    ) -> Promotion:
        assert candidate.trained is not None
        assert result.decision is not None
        return Promotion(
            name=self._loop.promote,
            number=len(self._registry.history(self._loop.promote)) + 1,
            checkpoint=candidate.trained.directory,
            fingerprint=candidate.trained.fingerprint,
            beaten=baseline.name,
            certified_by=self._loop.certify,
            alpha=alpha,
            look=look,
            run_id=result.run_id,
            report=str(folder / "report.html"),
            sentence=result.decision.sentence,
            lineage=tuple(trace_lineage(Path(candidate.trained.directory))),
            versions=versions(),
            when=now(),
        )


def trace_lineage(checkpoint: Path) -> Iterator[Ancestor]:
    """Yield the checkpoint and its ancestors, back to a model that was not trained here."""
    source = str(checkpoint)
    for manifest in trace_manifests(checkpoint):
        yield Ancestor(
            recipe=manifest.recipe,
            method=manifest.method,
            fingerprint=manifest.fingerprint,
            data_hash=manifest.data_hash,
            source=source,
        )
        source = manifest.parent.source if manifest.parent else ""


def _stopped_result(loop: Loop, stages: Sequence[StageResult]) -> LoopResult:
    last = stages[-1]
    return LoopResult(
        loop=loop.loop,
        stages=tuple(stages),
        verdict=last.verdict,
        sentence=f"stopped at stage '{last.stage}'; the current promotion to '{loop.promote}' is "
        "unchanged. "
        f"{last.sentence}",
    )
