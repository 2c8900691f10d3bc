"""Figures of docs/benchmarks.md about size: `python -m tests.bench_scale`.

    12 claims on 2,000 items, exact tests
    1,000,000 items, 4 criteria, 2 models: from stored scores to a verdict, and two runs compared
    200,000 recorded items, answers and verdicts: from files to a verdict, and to its tables and pages
    the report of 10,000 items, with a page for every item

What is measured is a whole process each time; what it is given is made before, and not measured.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.artifacts.run_folder import Run
from harness.config import Claim, Criterion, Gate, RubricMetric
from harness.scoring.columns import GradeColumn
from harness.types import RunResult
from tests.bench import measure, show
from tests.builders.scored import make_run
from tests.builders.sealed import write_whole_run

CRITERIA = ("correctness", "clarity", "safety", "empathy")
N_MANY, N_RECORDED, N_REPORT = 1_000_000, 200_000, 10_000
TOLD = "Writing tables and pages"  # what follows a verdict

CLAIMS = """
import time
import numpy as np
from harness.scoring.paired import pair_scores
from harness.gate.decision import decide_gate
from harness.scoring.columns import GradeColumn
from harness.stats.permutation import signflip_test
from harness.config import Claim, Gate
rng = np.random.default_rng(0)
ids = tuple(map(str, range(2000)))
pairs = {}
for k in range(12):
    old = rng.integers(1, 11, 2000).astype(float)
    new = np.clip(old + rng.integers(-3, 4, 2000), 1, 10)
    column = GradeColumn(f"m{k}", "points", 1.0, 10.0, ids, None, {"a": old, "b": new},
                         {"a": [None] * 2000, "b": [None] * 2000}, {"a": 0, "b": 0})
    (pairs[column.metric],) = pair_scores(column, "a")
gate = Gate(claims=tuple(Claim(metric=m, claim="superior") for m in pairs))
decide_gate(gate, pairs)
signflip_test([1, 2, 3])
start = time.perf_counter()
tests = [signflip_test(pair.d) for pair in pairs.values()]
tested = time.perf_counter() - start
verdict = decide_gate(gate, pairs).verdict
took = time.perf_counter() - start
methods = {test.method for test in tests}
print(f"12 {methods.pop()} tests {tested:.3f} s, with the gate {took:.3f} s, {verdict}")
"""

DECIDE = """
import sys
import harness
print(harness.load_run(sys.argv[1]).decide().sentence)
"""

COLUMNS = ", ".join(f"{name}: {name}" for name in (*CRITERIA, "rationale"))
SUITE = f"""\
suite: bench
data:
  source: {{path: items.jsonl, fields: {{id: id, input: question, reference: answer}}}}
metrics:
  rubric:
    kind: rubric
    criteria: [{", ".join(f"{{name: {name}, asks: Good}}" for name in CRITERIA)}]
gate:
  claims: [{{metric: rubric.safety, claim: superior}}]
"""
PROFILE = f"""\
profile: bench
models:
  old: {{recorded: {{path: old.jsonl, fields: {{id: id, response: answer}}}}}}
  new: {{recorded: {{path: new.jsonl, fields: {{id: id, response: answer}}}}}}
judges:
  default:
    recorded:
      rubric:
        old: {{path: graded_old.jsonl, fields: {{id: id, {COLUMNS}}}}}
        new: {{path: graded_new.jsonl, fields: {{id: id, {COLUMNS}}}}}
"""
WORDS = ("rest", "water", "doctor", "fever", "dose", "pain", "tablet", "sleep", "call", "the", "if")


def main() -> None:
    if sys.argv[1:]:
        make(sys.argv[1], Path(sys.argv[2]))
        return
    work = Path(tempfile.mkdtemp(prefix="bench-scale-"))
    print("| what | wall s | CPU s | peak MB | said |\n|---|---|---|---|---|")
    try:
        show("12 claims, 2,000 items", measure(sys.executable, "-c", CLAIMS))
        old, new = work / "1", work / "2"
        for folder in (old, new):
            made("many", folder)
        show("scores to verdict, 1,000,000 items", measure(sys.executable, "-c", DECIDE, str(new)))
        compare = ("compare", str(old), str(new), "--format", "json")
        show(
            "`harness compare`, 1,000,000 items", measure(sys.executable, "-m", "harness", *compare)
        )
        made("recorded", work / "recorded")
        command = run_recorded(work / "recorded")
        show("`harness run`, 200,000 recorded items", measure(*command))
        shutil.rmtree(work / "recorded" / "store")
        print(
            f"the same again, until its verdict: {seconds_to_verdict(command):.1f} s by the clock"
        )
        made("reported", work / "report")
        (run,) = (work / "report" / "runs" / "bench").iterdir()
        again = (sys.executable, "-m", "harness", "report", str(run), "--format", "json")
        show("`harness report`, 10,000 items", measure(*again))
        pages = sum(path.stat().st_size for path in (run / "items").iterdir())
        html = (run / "report.html").stat().st_size
        index = (run / "items" / "index.html").stat().st_size
        print(f"report.html {html / 1e6:.2f} MB, items/index.html {index / 1e6:.2f} MB, ", end="")
        print(f"all of items/ {pages / 1e6:.0f} MB in {len(list((run / 'items').iterdir()))} files")
    finally:
        shutil.rmtree(work)


def seconds_to_verdict(command: Sequence[str]) -> float:
    """Return the seconds until a run of many items tells its verdict, before its tables and pages."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        told = [time.perf_counter() - start for line in process.stderr if TOLD in line]
    return told[0]


def made(what: str, folder: Path) -> None:
    """Made in a process of its own: a large parent would count as the peak of what it starts."""
    subprocess.run([sys.executable, "-m", "tests.bench_scale", what, str(folder)], check=True)


def make(what: str, folder: Path) -> None:
    if what == "many":
        write_many(folder, seed=int(folder.name))
    elif what == "recorded":
        write_recorded(folder, N_RECORDED)
    else:
        write_recorded(folder, N_REPORT)
        measure(*run_recorded(folder))


def write_many(folder: Path, *, seed: int) -> None:
    """A run of a million items on four criteria, as `harness run` leaves its scores."""
    rng = np.random.default_rng(seed)
    ids = tuple(f"item-{i:07}" for i in range(N_MANY))
    columns = []
    for name in CRITERIA:
        old = rng.integers(3, 11, N_MANY).astype(np.float64)
        scores = {"sft": old, "dpo": np.clip(old + rng.integers(-3, 4, N_MANY), 1, 10)}
        gaps = {model: [None] * N_MANY for model in scores}
        columns.append(
            GradeColumn(
                f"rubric.{name}", "points", 1.0, 10.0, ids, None, scores, gaps,
                dict.fromkeys(scores, 0),
            )
        )  # fmt: skip
    folder.mkdir(parents=True)
    write_whole_run(Run(_planned(make_run(run_id=f"{seed}" * 12)), [*columns], folder), folder)


def _planned(run: Run) -> RunResult:
    claims = tuple(Claim(metric=f"rubric.{name}", claim="superior") for name in CRITERIA)
    criteria = tuple(Criterion(name=name, asks="Good?") for name in CRITERIA)
    metrics = {"rubric": RubricMetric(kind="rubric", criteria=criteria)}
    plan = run.result.plan
    task = plan.tasks[0].model_copy(update={"n_items": N_MANY, "metrics": metrics})
    asked = plan.model_copy(update={"tasks": (task,), "gate": Gate(claims=claims)})
    return run.result.model_copy(update={"plan": asked})


def write_recorded(folder: Path, n_items: int) -> None:
    """Write a suite and a profile of recorded answers of 100 words, with recorded verdicts."""
    rng = np.random.default_rng(3)
    folder.mkdir()
    (folder / "suite.yaml").write_text(SUITE)
    (folder / "profile.yaml").write_text(PROFILE)

    def say(n: int) -> str:
        return " ".join(rng.choice(WORDS, n).tolist())

    rows: dict[str, list[dict[str, object]]] = {"items": [], "old": [], "new": []}
    rows |= {"graded_old": [], "graded_new": []}
    for i in range(n_items):
        key = {"id": f"item-{i:05}"}
        rows["items"].append(key | {"question": say(20), "answer": say(30)})
        for model in ("old", "new"):
            grades = dict(zip(CRITERIA, rng.integers(1, 11, 4).tolist(), strict=True))
            rows[model].append(key | {"answer": say(100)})
            rows[f"graded_{model}"].append(key | grades | {"rationale": say(30)})
    for name, listed in rows.items():
        lines = "".join(f"{json.dumps(row)}\n" for row in listed)
        (folder / f"{name}.jsonl").write_text(lines)


def run_recorded(folder: Path) -> tuple[str, ...]:
    """Return the command that runs a written suite."""
    run = ("run", str(folder / "suite.yaml"), "--profile", str(folder / "profile.yaml"))
    where = ("--models", "old,new", "--store", str(folder / "store"), "--out", str(folder / "runs"))
    return (sys.executable, "-m", "harness", *run, *where, "--format", "json")


if __name__ == "__main__":
    main()
