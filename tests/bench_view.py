"""Figures of docs/benchmarks.md about `harness view`: `python -m tests.bench_view`.

A workspace of 200 runs of 500 items. One is a real run of recorded answers; the others are varied from it (another date,
suite, judge, items, estimates) and have its tables and pages. The server is the command in a process of its own, asked
over its socket; each page 20 times, after the first.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path
from statistics import median

from harness.view.workspace import Workspace
from tests.builders.view_workspaces import run_once, write_workspace

N_RUNS, N_ITEMS, N_TIMES = 200, 500, 20


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="bench-view-"))
    try:
        start = time.perf_counter()
        write_workspace(work / "runs", run_once(work / "real", N_ITEMS), N_RUNS)
        size = sum(p.stat().st_size for p in (work / "runs").rglob("*") if p.is_file())
        made = time.perf_counter() - start
        print(f"made {N_RUNS} runs of {N_ITEMS} items, {size / 1e6:.0f} MB, in {made:.1f} s")
        measure_pages(work / "runs")
    finally:
        shutil.rmtree(work)


def measure_pages(out: Path) -> None:
    entries = Workspace(out).runs()
    command = (sys.executable, "-m", "harness", "view", str(out), "--no-browser")
    start = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = server.stderr.readline() + server.stderr.readline()
        print(f"from the command to its link: {time.perf_counter() - start:.2f} s")
        try:
            link = re.findall(r"http://\S+", said)[0]
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
            opener.open(link).read()
            base = link.partition("/enter/")[0]
            print("\n| page | first ms | median ms | slowest ms | kB |\n|---|---|---|---|---|")
            for name, path in pages_of(entries).items():
                show(name, lambda path=path: opener.open(base + path).read())  # type: ignore[misc]
            print(f"\nmemory of the server: {peak_mb(server.pid):.0f} MB at most")
        finally:
            server.terminate()


def pages_of(entries: list) -> dict[str, str]:  # type: ignore[type-arg]
    address = "/run/{0.suite}/{0.name}".format
    eight = "&".join(f"run={entry.suite}/{entry.name}" for entry in entries[:8])
    return {
        "all runs, the first 50": "/",
        "all runs, the last 50": "/?page=4",
        "the runs of a suite with a verdict": "/?suite=daily&verdict=pass",
        "a run, its tables verified": address(entries[0]),
        "claims over time, 50 runs": "/trends?suite=daily",
        "eight runs side by side": f"/compare?{eight}",
        "runs under way": "/progress",
    }


def show(name: str, ask: Callable[[], bytes]) -> None:
    times, size = [], 0
    for _ in range(N_TIMES + 1):
        start = time.perf_counter()
        size = len(ask())
        times.append(1e3 * (time.perf_counter() - start))
    first, *later = times
    print(f"| {name} | {first:.0f} | {median(later):.0f} | {max(later):.0f} | {size / 1e3:.0f} |")


def peak_mb(pid: int) -> float:
    """The largest resident set of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kb,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kb) / 1024


if __name__ == "__main__":
    main()
