"""The training loop: stage after stage, each gated, until one is certified and promoted.

    start → [train → gate] → [train → gate] → certify → promoted, or not

A stage trains its recipes, takes the best of them on the development items, and goes on only if
that one passes the stage's gate against the model before it. What comes out last is certified once
on items that nothing was chosen on, against the checkpoint that stands. Everything is kept by
content, so that the same command goes on after a kill wherever it was.
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
from harness.types import Record, RunResult, Verdict
from harness.types.training import Ancestor, Look, Promotion
from judges.factory import load_judges
from trainers.checkpoint import trace_manifests, versions
from trainers.recipe import find_recipe, load_recipe
from trainers.recipe_graph import recipe_graph, require_policy_recipe


class StageResult(Record):
    """How one stage ended: who was tried, who was chosen, and what its gate said."""

    stage: str
    baseline: str
    tried: dict[str, float | None]
    chosen: str
    verdict: Verdict
    sentence: str
    report: str


class LoopResult(Record):
    """How a loop ended. `promotion` is what stands now, if it came from this loop."""

    loop: str
    stages: tuple[StageResult, ...]
    verdict: Verdict
    sentence: str
    promotion: Promotion | None = None


class _Model(NamedTuple):
    """A model of the loop: its name in reports, what it is, and its checkpoint's folder."""

    name: str
    spec: ModelSpec
    made: TrainedModel | None = None


def run_loop(path_or_name: str, context: RunContext, *, out: Path) -> LoopResult:
    """Train, gate, and promote what is certified.

    Raises:
        PendingRepliesError: the loop cannot go on before replies have come by batch.
        HarnessError: a mistake in the loop, a suite or a recipe, or certified items that a stage
            was gated on.
        InfrastructureError: the world failed; what was done is kept.
    """
    loop, root = load_loop(path_or_name)
    run = _LoopRun(loop, root, context, out)
    run.check()
    current, done = run.start(), []
    for stage in loop.stages:
        current, result = run.pass_stage(stage, current)
        done.append(result)
        if result.verdict != "pass":
            return _stopped(loop, done)
    finished = run.certify(current, done)
    if loop.losers == "delete":
        run.delete_losers()
    return finished


def describe_loop(done: LoopResult) -> Iterator[str]:
    """Describe in lines how a loop ended."""
    for stage in done.stages:
        others = {name: mean for name, mean in stage.tried.items() if name != stage.chosen}
        over = f", chosen over {', '.join(others)}" if others else ""
        yield f"{stage.stage}: {stage.chosen} against {stage.baseline}{over}: {stage.verdict}"
        yield f"  {stage.sentence}"
        yield f"  {stage.report}"
    if done.promotion is None:
        yield f"not promoted: {done.sentence}"
        return
    promotion = done.promotion
    yield f"{promotion.name}.{promotion.number}: {done.sentence}"
    yield f"  certified against {promotion.beaten}: look {promotion.look}, alpha {promotion.alpha:.4f}"
    yield f"  {promotion.report}"
    yield f"  {promotion.checkpoint}"


class _LoopRun:
    """One pass through a loop: the files behind it, and where everything is kept."""

    def __init__(self, loop: Loop, root: Path, context: RunContext, out: Path) -> None:
        self._loop = loop
        self._root = root
        self._profile, self._profile_root = load_profile(loop.profile, search_dir=root)
        self._context = context
        self._out = out
        self._registry = Registry(context.store.workspace)
        self._made: list[TrainedModel] = []

    def check(self) -> None:
        """Find what is wrong before anything is trained.

        Raises:
            HarnessError: a suite without a gate, a column or a model that is not there, or items
                of the certification among those of a stage's gate.
        """
        self._profile.find_model(self._loop.start)
        certified = self._items_of(self._loop.certify)
        for stage in self._loop.stages:
            for recipe in stage.recipes:
                loaded, recipe_root = load_recipe(recipe, search_dir=self._root)
                recipe_graph(require_policy_recipe(loaded, recipe), recipe_root)
            shared = certified & self._items_of(stage.gate)
            if shared:
                raise HarnessError(
                    f"{self._loop.certify}: {len(shared)} of its items are also in {stage.gate}, the "
                    f"gate of stage '{stage.name}'. Certify on items that nothing was chosen on."
                )

    def start(self) -> _Model:
        """Return the model that the first stage is compared with."""
        return _Model(self._loop.start, self._profile.find_model(self._loop.start))

    def pass_stage(self, stage: Stage, current: _Model) -> tuple[_Model, StageResult]:
        """Train the stage's recipes and put the best of them to its gate."""
        self._context.progress.log(f"stage {stage.name}")
        candidates = [self._train(recipe) for recipe in stage.recipes]
        scores: dict[str, float | None] = {model.name: None for model in candidates}
        if len(candidates) > 1:
            assert stage.select is not None
            scores = self._scores(stage.gate, stage.select, current, candidates)
        chosen = max(candidates, key=lambda model: scores[model.name] or 0.0)
        result, folder = self._run(stage.gate, [current, chosen])
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
        assert candidate.made is not None
        name, history = self._loop.promote, self._registry.history(self._loop.promote)
        if history and history[-1].fingerprint == candidate.made.fingerprint:
            return LoopResult(
                loop=self._loop.loop,
                stages=tuple(stages),
                verdict="pass",
                sentence=f"{candidate.name} stands for '{name}' already.",
                promotion=history[-1],
            )
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
        """Remove the checkpoints of this loop that nothing promoted stands on."""
        needed = {
            fingerprint
            for name in self._registry.names()
            for promotion in self._registry.history(name)
            for fingerprint in (promotion.fingerprint, *(a.fingerprint for a in promotion.lineage))
        }
        for made in self._made:
            folder = Path(made.directory)
            if made.fingerprint not in needed and folder.is_relative_to(
                self._context.store.workspace
            ):
                shutil.rmtree(folder, ignore_errors=True)

    # --- parts ---------------------------------------------------------------------------

    def _train(self, recipe_name: str) -> _Model:
        recipe, recipe_root = load_recipe(recipe_name, search_dir=self._root)
        judges = load_judges(self._profile, self._profile_root, self._context.session)
        with self._context.open():
            trained = require_policy_recipe(recipe, recipe_name)
            made = make_checkpoint(trained, recipe_root, self._context, judges)
        self._made.append(made)
        path = find_recipe(recipe_name, search_dir=self._root)
        return _Model(recipe.recipe, ModelSpec(recipe=str(path)), made)

    def _scores(
        self, suite: str, column: str, current: _Model, candidates: Sequence[_Model]
    ) -> dict[str, float | None]:
        """Return each candidate's own mean on the column that the best is chosen by."""
        result, _ = self._run(suite, [current, *candidates])
        means = {
            score.model: score.mean.estimate for score in result.scores if score.metric == column
        }
        wins = {
            c.candidate: c.difference.estimate for c in result.comparisons if c.metric == column
        }
        found = means or wins
        if not found:
            measured = list(dict.fromkeys(c.metric for c in result.comparisons))
            raise HarnessError(
                f"{suite}: '{column}' is not measured. {did_you_mean(column, measured)}"
            )
        return {model.name: found.get(model.name) for model in candidates}

    def _run(
        self, suite: str, models: Sequence[_Model], *, alpha: float | None = None
    ) -> FinishedRun:
        request = self._request(suite, models)
        if alpha is not None and request.suite.gate is not None:
            gate = request.suite.gate.model_copy(update={"alpha": alpha})
            request = request._replace(suite=request.suite.model_copy(update={"gate": gate}))
        return run_suite(request, self._context, out=self._out)

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
            raise HarnessError(f"{suite}: has no gate, so that nothing could pass it.")
        return gate

    def _items_of(self, suite: str) -> set[str]:
        """Return the questions of a suite with a gate, as normalised words for comparison."""
        self._gate_of(suite)
        plan = make_plan(self._request(suite, [self.start()]), {})
        return {
            " ".join(sample.input.casefold().split())
            for task in plan.tasks
            for sample in task.samples
        }

    def _begin_look(self, candidate: _Model, baseline: str, gate: Gate) -> int:
        assert candidate.made is not None
        look = Look(
            items_hash=content_hash(sorted(self._items_of(self._loop.certify))),
            candidate=candidate.made.fingerprint,
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
        assert candidate.made is not None
        assert result.decision is not None
        return Promotion(
            name=self._loop.promote,
            number=len(self._registry.history(self._loop.promote)) + 1,
            checkpoint=candidate.made.directory,
            fingerprint=candidate.made.fingerprint,
            beaten=baseline.name,
            certified_by=self._loop.certify,
            alpha=alpha,
            look=look,
            run_id=result.run_id,
            report=str(folder / "report.html"),
            sentence=result.decision.sentence,
            lineage=tuple(trace_lineage(Path(candidate.made.directory))),
            versions=versions(),
            when=now(),
        )


def trace_lineage(checkpoint: Path) -> Iterator[Ancestor]:
    """Trace the checkpoint, what it was trained from, and so on to a model not made here."""
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


def _stopped(loop: Loop, stages: Sequence[StageResult]) -> LoopResult:
    last = stages[-1]
    return LoopResult(
        loop=loop.loop,
        stages=tuple(stages),
        verdict=last.verdict,
        sentence=f"stopped at stage '{last.stage}'; what stands for '{loop.promote}' stays. "
        f"{last.sentence}",
    )
