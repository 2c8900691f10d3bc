"""Runs as `harness run` leaves them: with the hash of their plan, the run's id, and those of their tables."""

from pathlib import Path

from harness.artifacts.integrity import TABLES
from harness.artifacts.results_json import dump_result
from harness.artifacts.run_folder import Run
from harness.artifacts.scores import write_scores
from harness.core.hashing import content_hash, file_hash
from harness.gate.decision import decide_gate
from harness.scoring.paired import gated_pairs
from harness.types import RunResult


def sealed(result: RunResult) -> RunResult:
    """The result with the hash that its plan has and the id that its run has."""
    plan = result.plan.model_copy(update={"hash": result.plan.content_hash()})
    run_id = content_hash(plan.hash, result.fingerprints)[:12]
    return result.model_copy(update={"plan": plan, "run_id": run_id})


def decided(run: Run) -> RunResult:
    """The run's result with the verdict of its gate on its scores."""
    plan = run.result.plan
    pairs = gated_pairs(run.columns, plan)
    decision = decide_gate(plan.gate, pairs) if plan.gate else None
    return run.result.model_copy(update={"decision": decision})


def write_whole_run(run: Run, folder: Path, *, hashes: bool = True) -> Path:
    """Write the run's scores, and its result as sealed; without hashes as earlier versions did."""
    folder.mkdir(parents=True, exist_ok=True)
    write_scores(run.columns, folder)
    found = (name for name in TABLES if (folder / name).is_file())
    tables = {name: file_hash(folder / name) for name in found} if hashes else {}
    result = sealed(decided(run)).model_copy(update={"tables": tables})
    (folder / "results.json").write_bytes(dump_result(result))
    return folder
