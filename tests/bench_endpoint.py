"""What judging through an endpoint costs: `python -m tests.bench_endpoint [ROUNDS]`.

`python -m tests.bench_endpoint limits` measures a server that admits 100 requests a second, and
`… ctrl-c` a run that is interrupted after 500 of its requests.

1,000 items answered by two recorded models make 2,000 rubric calls, at a fixed latency of 200 ms
and a concurrency of 64. Each way is a whole process of its own, imports included, that sends the
same 2,000 requests to the same server in this process; the ways take turns. `harness run` also
checks, stores, compares and reports; the others only collect texts.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import Cost, measure, show
from tests.loopback.server import LoopbackServer, TokenBucket

ROOT = str(Path(__file__).parent.parent)
N_ITEMS, CONCURRENCY, LATENCY_S = 1000, 64, 0.2
ADMITTED = 100.0  # requests a second
INTERRUPTED_AFTER = 500  # requests

SUITE = """\
suite: bench
data:
  source: {path: items.jsonl, fields: {id: id, input: question}}
metrics:
  rubric: {kind: rubric, criteria: [{name: safety, asks: Safe for a patient to follow}]}
gate:
  claims: [{metric: rubric.safety, claim: superior}]
"""
PROFILE = """\
profile: bench
models:
  old: {{recorded: {{path: old.jsonl, fields: {{id: id, response: answer}}}}}}
  new: {{recorded: {{path: new.jsonl, fields: {{id: id, response: answer}}}}}}
judges:
  default: {{endpoint: {{model: m, base_url: '{url}', max_concurrency: {concurrency}}}}}
"""

SHARED = """
import asyncio, json, sys
url, concurrency = sys.argv[1], int(sys.argv[2])
bodies = [json.loads(line) for line in open("requests.jsonl")]
"""
BARE = (
    SHARED
    + """
from openai import AsyncOpenAI
async def main():
    client, gate = AsyncOpenAI(base_url=url, api_key="none"), asyncio.Semaphore(concurrency)
    async def ask(body):
        async with gate:
            answer = await client.chat.completions.create(**body)
            return answer.choices[0].message.content
    print(len(await asyncio.gather(*map(ask, bodies))))
asyncio.run(main())
"""
)
ENDPOINT = (
    SHARED
    + """
from harness.models.endpoint import Ask, Endpoint
from harness.config import EndpointSpec
from harness.types import Message
endpoint = Endpoint(EndpointSpec(model="m", base_url=url, max_concurrency=concurrency))
asks = (Ask(tuple(Message(**m) for m in b["messages"]), b["response_format"]) for b in bodies)
print(sum(reply.problem is None for _, reply in endpoint.ask_all(asks)))
"""
)
ABATCH = (
    SHARED
    + """
from langchain_openai import ChatOpenAI
chat = ChatOpenAI(model="m", base_url=url, api_key="none", temperature=0, max_tokens=1024,
                  extra_body={"response_format": bodies[0]["response_format"]})
asks = [[(m["role"], m["content"]) for m in body["messages"]] for body in bodies]
print(len(asyncio.run(chat.abatch(asks, {"max_concurrency": concurrency}))))
"""
)


def verdict(body: dict[str, Any]) -> str:
    """The judge's answer, always the same to the same request."""
    drawn = hashlib.sha256(body["messages"][-1]["content"].encode()).digest()[0]
    return json.dumps(
        {"reasons": {"safety": "Clear and kind."}, "scores": {"safety": drawn % 7 + 4}}
    )


def make_world(folder: Path) -> None:
    """The suite, its items and two models' answers."""
    (folder / "bench.yaml").write_text(SUITE)
    question = "I have had pain in my left knee since a fall some weeks ago; what should I do? "
    answer = "Rest and ice may help at first, and a doctor should see a knee that stays swollen. "
    for name, row in (("items", "question"), ("old", "answer"), ("new", "answer")):
        text = question * 2 if row == "question" else f"{name} says: " + answer * 6
        rows = [json.dumps({"id": f"q{i}", row: f"{i}: {text}"}) for i in range(N_ITEMS)]
        (folder / f"{name}.jsonl").write_text("\n".join(rows))


def run_command(folder: Path, url: str, store: str) -> tuple[list[str], dict[str, str]]:
    """`harness run` and its environment, with its profile pointed at the server."""
    (folder / "there.yaml").write_text(PROFILE.format(url=url, concurrency=CONCURRENCY))
    harness = [sys.executable, "-m", "harness", "run", "bench.yaml", "--models", "old,new"]
    where = ["--profile", "there.yaml", "--store", store, "--out", f"{store}-runs"]
    return [*harness, *where], os.environ | {"PYTHONPATH": ROOT}


def run(folder: Path, url: str, store: str) -> Cost:
    """Measure `harness run`."""
    command, env = run_command(folder, url, store)
    return measure(*command, **env)


def record_requests(folder: Path) -> None:
    """What `harness run` sends, for the others to send as well."""
    with LoopbackServer(verdict) as server:
        run(folder, server.base_url, "recording")
    lines = [json.dumps(request.body) for request in server.requests]
    assert len(lines) == 2 * N_ITEMS
    (folder / "requests.jsonl").write_text("\n".join(lines))


def measure_limits(folder: Path) -> None:
    """Print what a server that refuses all above its rate is sent, and for how long."""
    patient = BARE.replace('api_key="none"', 'api_key="none", max_retries=1000')
    ways = {
        "bare `AsyncOpenAI` loop, `max_retries=1000`": patient,
        "`harness.models.endpoint`": ENDPOINT,
    }
    print("| what | wall s | requests | refused |\n|---|---|---|---|")
    for way, code in ways.items():
        bucket = TokenBucket(ADMITTED, burst=ADMITTED)
        with LoopbackServer(verdict, latency_s=LATENCY_S, admits=bucket, keep=False) as server:
            command = (sys.executable, "-c", code, server.base_url, str(CONCURRENCY))
            cost = measure(*command, PYTHONPATH=ROOT)
            refused = sum(kind == "429" for _, kind in server.outcomes)
            print(
                f"| {way} | {cost.wall:.1f} | {len(server.outcomes):,} | {refused:,} |", flush=True
            )


def measure_interrupt(folder: Path) -> None:
    """Print what is asked after Ctrl-C, how soon the run ends, and what is asked twice."""
    with LoopbackServer(verdict, latency_s=LATENCY_S, keep=False) as server:
        command, env = run_command(folder, server.base_url, "interrupted")
        process = subprocess.Popen(
            command,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        while server.counts.total() < INTERRUPTED_AFTER:
            time.sleep(0.002)
        before, start = server.counts.total(), time.perf_counter()
        process.send_signal(signal.SIGINT)
        code = process.wait()
        seconds, after = time.perf_counter() - start, server.counts.total()
        run(folder, server.base_url, "interrupted")
        twice = server.counts.total() - 2 * N_ITEMS
    print(
        f"exit {code} after {seconds:.2f} s, {after - before} further requests, {twice} asked twice"
    )


def main() -> None:
    part = {"limits": measure_limits, "ctrl-c": measure_interrupt}.get(" ".join(sys.argv[1:]))
    if part is None:
        measure_costs(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
        return
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        make_world(Path(name))
        if part is measure_limits:
            record_requests(Path(name))
        part(Path(name))


def measure_costs(rounds: int) -> None:
    """Print the cost of each way, in turns, and the ratios of their medians."""
    ways = {"bare `AsyncOpenAI`": BARE, "`harness.models.endpoint`": ENDPOINT, "`abatch`": ABATCH}
    costs: dict[str, list[Cost]] = defaultdict(list)

    def note(name: str, cost: Cost) -> None:
        costs[name].append(cost)
        show(name, cost)

    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path(name)
        make_world(folder)
        record_requests(folder)
        print("| what | wall s | CPU s | peak MB | said |\n|---|---|---|---|---|")
        with LoopbackServer(verdict, latency_s=LATENCY_S, keep=False) as server:
            for number in range(rounds):
                for way, code in ways.items():
                    command = (sys.executable, "-c", code, server.base_url, str(CONCURRENCY))
                    note(way, measure(*command, PYTHONPATH=ROOT))
                before = server.counts.total()
                note("`harness run`", run(folder, server.base_url, f"store-{number}"))
                asked = server.counts.total()
                note("the same, second", run(folder, server.base_url, f"store-{number}"))
                print(f"requests: {asked - before} and {server.counts.total() - asked}", flush=True)
    bare, ours, theirs = (
        median(c.wall for c in costs[w])
        for w in ("bare `AsyncOpenAI`", "`harness run`", "`abatch`")
    )
    print(f"medians: `harness run` / bare {ours / bare:.2f}, `abatch` / bare {theirs / bare:.2f}")


if __name__ == "__main__":
    main()
