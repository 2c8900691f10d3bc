"""`make bench`: the figures of docs/benchmarks.md, each a whole process on this machine.

Seconds differ from machine to machine and from run to run; read them as orders of magnitude, and
ratios within one run as what they are.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROUGE = """
import sys
from pathlib import Path
from harness.data.samples import make_samples
from harness.data.tables import load_rows
from harness.config import RougeMetric, Source
from harness.types import GradeRequest
from judges import RougeJudge
source = Source(path=sys.argv[1])
fields = {"id": "File", "input": "CHQ", "reference": "Summary"}
rows = load_rows(source, Path("/"))
samples = make_samples(rows, {"input": "CHQ", "reference": "Summary"}, None)
metric = RougeMetric(kind="rouge")
asked = [GradeRequest(sample=s, metric_name="rouge", metric=metric, model="m", answer=s.input) for s in samples]
done = [outcome.values for _, outcome in RougeJudge().judge(asked)]
print(len(done), "items:", *(f"{sum(v[k] for v in done) / len(done):.6f}" for k in ("rouge1_f1", "rouge2_f1", "rougeL_f1")))
"""

SIGNFLIP = """
import time, numpy as np
from harness.stats.permutation import signflip_test
def seconds(d):
    start = time.process_time(); signflip_test(d); return time.process_time() - start
seconds(np.arange(9.0))
for n in (500, 100_000):
    d = np.random.default_rng(0).integers(-9, 10, n).astype(float)
    a, b = seconds(d), seconds(d + np.pi * 1e-3)
    print(f"{n:,} items: exact {a * 1e3:.1f} ms, 9,999 resamples {b * 1e3:.0f} ms, ratio {b / a:.0f}", end="; ")
"""


class Cost(NamedTuple):
    wall: float
    cpu: float
    peak_mb: float
    last_line: str


def measure(*command: str, **env: str) -> Cost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with subprocess.Popen(
        command, env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        output, peak = "", 0.0
        assert process.stdout is not None
        output = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        peak = usage.ru_maxrss / 1024
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = output.strip().splitlines()
    return Cost(time.perf_counter() - start, cpu, peak, lines[-1] if lines else "")


def show(name: str, cost: Cost) -> None:
    print(
        f"| {name} | {cost.wall:.2f} | {cost.cpu:.2f} | {cost.peak_mb:.0f} | {cost.last_line} |",
        flush=True,
    )


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="bench-"))
    data = os.environ.get("HARNESS_DATA_DIR")
    harness = (sys.executable, "-m", "harness")
    where = ("--store", str(work / "store"), "--out", str(work / "runs"), "--format", "json")
    run = (*harness, "run", "medical_rubric", "--models", "sft,dpo", *where)
    print("| what | wall s | CPU s | peak MB | said |\n|---|---|---|---|---|")
    try:
        show("`harness --help`", measure(*harness, "--help"))
        show("sign-flip test, 500 items", measure(sys.executable, "-c", SIGNFLIP))
        if data:
            recorded = ("--profile", "medical_llama3_recorded")
            show("recorded Medical Llama-3 study", measure(*run, *recorded, HARNESS_DATA_DIR=data))
            book = next(Path(data, "MeQSum").glob("*.xlsx")).resolve()
            show("ROUGE on MeQSum", measure(sys.executable, "-c", ROUGE, str(book)))
        show("`harness run medical_rubric --models sft,dpo`, first", measure(*run))
        show("the same, second", measure(*run))
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
