"""Text on promoted checkpoints and on loops that train, gate and certify them."""

from collections.abc import Iterator, Sequence

from harness.types.training import LoopResult, Promotion, StageResult


def describe_loop(result: LoopResult) -> Iterator[str]:
    """Describe the stages of a loop, and the promotion or why there is none."""
    for stage in result.stages:
        yield from _describe_stage(stage)
    if result.promotion is None:
        yield f"not promoted: {result.sentence}"
        return
    promotion = result.promotion
    yield f"{promotion.name}.{promotion.number}: {result.sentence}"
    yield f"  certified against {promotion.beaten}: look {promotion.look}, alpha {promotion.alpha:.4f}"
    yield f"  {promotion.report}"
    yield f"  {promotion.checkpoint}"


def describe_promotions(promotions: Sequence[Promotion]) -> Iterator[str]:
    """Describe the current promotion of each name, one line each."""
    if not promotions:
        yield "No checkpoint has been promoted yet. `harness loop` promotes the ones it certifies."
    for p in promotions:
        yield f"{p.name}.{p.number}  {p.lineage[0].recipe}  {p.when}  {p.checkpoint}"


def describe_promotion(promotion: Promotion) -> Iterator[str]:
    """Describe one promotion with its certification and lineage."""
    p = promotion
    yield f"{p.name}.{p.number}  {p.when}"
    yield f"  {p.sentence}"
    yield f"  certified by {p.certified_by} against {p.beaten}: look {p.look}, alpha {p.alpha:.4f}"
    yield f"  report {p.report}"
    for ancestor in p.lineage:
        yield f"  {ancestor.recipe} ({ancestor.method}, {ancestor.fingerprint[:12]})  {ancestor.source}"


def _describe_stage(stage: StageResult) -> Iterator[str]:
    rejected = [name for name in stage.tried if name != stage.chosen]
    selection = f", chosen over {', '.join(rejected)}" if rejected else ""
    yield f"{stage.stage}: {stage.chosen} against {stage.baseline}{selection}: {stage.verdict}"
    yield f"  {stage.sentence}"
    yield f"  {stage.report}"
