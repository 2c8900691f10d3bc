"""What generating costs on this machine: `python -m tests.bench_generation [MODEL:ITEMS:TOKENS …]`.

The same questions to the same model, decoded greedily, by `harness run` (its own batches), by
`transformers.pipeline` (8 in a batch), by lm-eval 0.4.13's model `hf` (8 and 32 in a batch, if `HARNESS_LM_EVAL`
names the Python of an environment with it) and by `transformers serve` (8 requests at once), each a process of
its own, in turns, every second turn backwards. Medians of seconds of CPU, as others use the machine: those of
generating, with tokenising, and those of the whole process, imports and loading included.
Without arguments the model is the shipped one of 1.4 million weights. `… parts [MODEL:ITEMS:TOKENS …]` measures
instead what each part of `harness/models/decoding.py` saves, by leaving it out.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import yaml

from harness.config import Generation
from harness.core.paths import bundle_root
from tests.builders.files import write_rows
from tests.builders.lm_eval import LM_EVAL

ROUNDS, AT_ONCE, START_S = 3, 8, 120
SERVE = (str(Path(sys.executable).with_name("transformers")), "serve", "--device", "cpu")
TINY = f"{bundle_root() / 'trainers' / 'tiny_base'}:144:128"
CLOCK = """
import json, sys, time
spent, answers = [0.0, 0.0], {}
def timed(work):
    def ask(*args, **options):
        cpu, wall = time.process_time(), time.monotonic()
        found = work(*args, **options)
        spent[0] += time.process_time() - cpu
        spent[1] += time.monotonic() - wall
        return found
    return ask
"""
HARNESS = """
from harness.cli import app
from harness.models.local import LocalModel
work = timed(LocalModel.answer)
def answer(self, prompts, generation, *, seeds):
    found = work(self, prompts, generation, seeds=seeds)
    answers.update((prompt[-1].content, one.text) for prompt, one in zip(prompts, found))
    return found
LocalModel.answer = answer
try:
    app(standalone_mode=False)
except SystemExit as ended:
    assert not ended.code, ended.code
"""
PIPELINE = """
folder, rows, system, n_new, batch = sys.argv[1:]
import transformers
pipe = transformers.pipeline("text-generation", model=folder, device="cpu", batch_size=int(batch))
pipe.tokenizer.padding_side = "left"
questions = [json.loads(line)["question"] for line in open(rows)]
chats = [[{"role": "system", "content": system}, {"role": "user", "content": q}] for q in questions]
found = timed(pipe)(chats, max_new_tokens=int(n_new), do_sample=False)
answers = {q: one[0]["generated_text"][-1]["content"] for q, one in zip(questions, found)}
"""
HF = """
folder, tasks, system, batch = sys.argv[1:]
import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
HFLM.generate_until = timed(HFLM.generate_until)
done = lm_eval.simple_evaluate(
    model="hf", model_args={"pretrained": folder}, device="cpu", batch_size=int(batch), tasks=["questions"],
    task_manager=TaskManager(include_path=tasks), apply_chat_template=True, system_instruction=system)
answers = {one["doc"]["question"]: one["resps"][0][0] for one in done["samples"]["questions"]}
"""
REPORT = "\nprint(json.dumps([*spent, answers]))\n"


class World(NamedTuple):
    """A model, its questions as a suite and as a task of lm-eval, and the most new tokens."""

    folder: Path
    model: str
    system: str
    questions: list[str]
    n_new: int


class Cost(NamedTuple):
    """Seconds of CPU and of the clock for generating, and for the whole process."""

    cpu: float
    wall: float
    whole_cpu: float
    whole_wall: float
    answers: dict[str, str]


def make_world(folder: Path, model: str, n_items: int, n_new: int) -> World:
    """Write the first questions of the shipped suite, the suite and the task."""
    data = bundle_root() / "suites" / "data" / "consumer_health.jsonl"
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["split"] == "evaluation"][:n_items]
    system = (data.parents[1] / "prompts" / "medical_assistant.md").read_text().strip()
    write_rows(folder / "rows.jsonl", rows)
    (folder / "system.md").write_text(system)
    fields = {"id": "id", "input": "question", "reference": "answer"}
    suite = {"suite": "questions", "data": {"source": {"path": "rows.jsonl", "fields": fields}},
             "generation": {"system": "system.md", "max_new_tokens": n_new}, "metrics": {"exact": {"kind": "match", "by": "exact"}}}  # fmt: skip
    task = {"task": "questions", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}},
            "test_split": "test", "output_type": "generate_until", "doc_to_text": "{{question}}", "doc_to_target": "{{answer}}",
            "generation_kwargs": {"until": [], "max_gen_toks": n_new, "do_sample": False}, "metric_list": [{"metric": "exact_match"}]}  # fmt: skip
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    (folder / "tasks").mkdir()
    (folder / "tasks" / "questions.yaml").write_text(yaml.safe_dump(task))
    return World(folder, model, system, [row["question"] for row in rows], n_new)


def run_harness(world: World, *options: str) -> Cost:
    with tempfile.TemporaryDirectory(dir=world.folder) as out:
        profile = {"profile": "bench", "data": {}, "models": {"m": {"checkpoint": world.model}}}
        Path(out, "profile.yaml").write_text(yaml.safe_dump(profile))
        return measure(sys.executable, HARNESS, "run", str(world.folder / "suite.yaml"), "--models", "m",
                       "--profile", f"{out}/profile.yaml", "--store", f"{out}/store", "--out", f"{out}/runs", *options)  # fmt: skip


def run_pipeline(world: World) -> Cost:
    rows = str(world.folder / "rows.jsonl")
    return measure(sys.executable, PIPELINE, world.model, rows, world.system, str(world.n_new), str(AT_ONCE))  # fmt: skip


def run_hf(world: World, batch: int) -> Cost:
    tasks = str(world.folder / "tasks")
    return measure(LM_EVAL, HF, world.model, tasks, world.system, str(batch))


def environment() -> dict[str, str]:
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    return os.environ | quiet


def measure(python: str, script: str, *args: str) -> Cost:
    """Run a script that reports its seconds of generating, and add those of its whole process."""
    start, before = time.monotonic(), os.times()
    command = (python, "-c", CLOCK + script + REPORT, *args)
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, encoding="utf-8", check=False
    )
    after = os.times()
    if done.returncode:
        sys.exit(done.stderr[-4000:])
    cpu, wall, answers = json.loads(done.stdout.splitlines()[-1])
    whole = sum(after[2:4]) - sum(before[2:4])
    return Cost(cpu, wall, whole, time.monotonic() - start, answers)


def run_server(
    world: World, command: Sequence[str] = SERVE, *, at_once: int = AT_ONCE, start_s: int = START_S
) -> Cost:
    """Ask a server for all answers; the CPU is its own, without that of asking."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.monotonic()
    server = subprocess.Popen(
        [*command, world.model, "--host", "127.0.0.1", "--port", str(port)],
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_until_healthy(server, port, start_s)
        cpu, wall = _cpu_seconds(server.pid), time.monotonic()
        with ThreadPoolExecutor(at_once) as pool:
            texts = list(pool.map(partial(_ask, port, world), world.questions))
        whole, end = _cpu_seconds(server.pid), time.monotonic()
    finally:
        server.terminate()
        server.wait()
    answers = dict(zip(world.questions, texts, strict=True))
    return Cost(whole - cpu, end - wall, whole, end - start, answers)


def _wait_until_healthy(server: "subprocess.Popen[bytes]", port: int, start_s: int) -> None:
    deadline = time.monotonic() + start_s
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if _request(port, "GET", "/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.2)
    sys.exit(
        f"{server.args[:2]} did not start; transformers serve needs fastapi, uvicorn and openai"
    )


def _ask(port: int, world: World, question: str) -> str:
    turns = [{"role": "system", "content": world.system}, {"role": "user", "content": question}]
    body = {"model": world.model, "messages": turns, "max_tokens": world.n_new, "temperature": 0}
    status, text = _request(port, "POST", "/v1/chat/completions", json.dumps(body))
    assert status == 200, text
    return str(json.loads(text)["choices"][0]["message"]["content"])


def _request(port: int, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def _cpu_seconds(process: int) -> float:
    """Return the seconds of CPU of a running process, which Linux alone tells."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def all_ways() -> dict[str, Callable[[World], Cost]]:
    """Return the ways by their names, ours first."""
    ways: dict[str, Callable[[World], Cost]] = {
        "`harness run`": run_harness,
        "`pipeline`, 8 in a batch": run_pipeline,
    }
    if LM_EVAL:
        ways |= {f"lm-eval, {n} in a batch": partial(run_hf, batch=n) for n in (8, 32)}
    return ways | {"`transformers serve`, 8 at once": run_server}


def compare(world: World, ways: Mapping[str, Callable[[World], Cost]]) -> None:
    """Print a row for each way: medians, and ours against each as ratios."""
    from transformers import AutoTokenizer

    found: dict[str, list[Cost]] = {way: [] for way in ways}
    for turn in range(ROUNDS):
        for way in [*ways][:: 1 if turn % 2 == 0 else -1]:
            found[way].append(ways[way](world))
            print(f"turn {turn + 1}, {way}: {found[way][-1][:4]}", file=sys.stderr, flush=True)
    tokenizer = AutoTokenizer.from_pretrained(world.model)
    print("| | tokens / CPU s | ours to it | whole job, CPU s | its to ours | wall s | its to ours | answers as ours |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    ours = found["`harness run`"]
    middle = lambda costs, name: median(getattr(cost, name) for cost in costs)  # noqa: E731
    for way, costs in found.items():
        n_tokens = sum(len(tokenizer(text)["input_ids"]) for text in costs[0].answers.values())
        same = sum(costs[0].answers[q].strip() == ours[0].answers[q].strip() for q in world.questions)  # fmt: skip
        cpu, whole, wall = (middle(costs, name) for name in ("cpu", "whole_cpu", "whole_wall"))
        print(
            f"| {way} | {n_tokens / cpu:,.0f} | {cpu / middle(ours, 'cpu'):.2f} | {whole:.1f} | "
            f"{whole / middle(ours, 'whole_cpu'):.2f} | {wall:.1f} | {wall / middle(ours, 'whole_wall'):.2f} | "
            f"{same} of {len(world.questions)} |",
            flush=True,
        )


def compare_parts(world: World) -> None:
    """Print the seconds of CPU of generating with one part left out, and as a share of those with all."""
    from transformers import DynamicCache

    from harness.models import decoding

    def copying(model: Any, capacity: int) -> Any:
        return DynamicCache(config=model.config)

    parts: dict[str, dict[str, Any]] = {
        "all": {},
        "each prompt is read whole": {"LEAST_SHARED": 2**31},
        "keys and values are copied at every step": {"make_cache": copying},
        "ended rows stay": {"LEAVING_SHARE": 2.0},
        "none of them: transformers as it is": {"make_cache": lambda model, capacity: None},
    }
    ways = {(name, 64): changes for name, changes in parts.items()} | {("all", 32): {}}
    found: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    model, prompts = _load(world)
    for turn in range(ROUNDS):
        for way in [*ways][:: 1 if turn % 2 == 0 else -1]:
            before = {name: getattr(decoding, name) for name in ways[way]}
            vars(decoding).update(ways[way])
            found[way].append(_cpu_of_answers(world, model, prompts, way[1]))
            vars(decoding).update(before)
    print("| left out | rows in a batch | CPU s | of all |\n|---|---|---|---|")
    for (name, size), seconds in found.items():
        share = median(seconds) / median(found["all", 64])
        print(f"| {'' if name == 'all' else name} | {size} | {median(seconds):.2f} | {share:.2f} |")


def _load(world: World) -> tuple[Any, list[Any]]:
    from harness.models.local import LocalModel, make_prompt

    model = LocalModel.load(world.model)
    prompts = [make_prompt(world.system, question) for question in world.questions]
    lengths = model.prompt_lengths(prompts, Generation())
    model.answer(prompts[:2], Generation(max_new_tokens=4), seeds=[0, 0])
    return model, [prompt for _, prompt in sorted(zip(lengths, prompts, strict=True), key=lambda pair: pair[0])]  # fmt: skip


def _cpu_of_answers(world: World, model: Any, prompts: list[Any], size: int) -> float:
    start = time.process_time()
    for i in range(0, len(prompts), size):
        batch = prompts[i : i + size]
        model.answer(batch, Generation(max_new_tokens=world.n_new), seeds=[0] * len(batch))
    return time.process_time() - start


def main() -> None:
    """Compare the ways, or the parts, with each model that is named as FOLDER:ITEMS:TOKENS."""
    asked = sys.argv[1:]
    parts = asked[:1] == ["parts"]
    for named in [name for name in asked if name != "parts"] or [TINY]:
        model, n_items, n_new = named.rsplit(":", 2)
        with tempfile.TemporaryDirectory() as folder:
            print(f"\n{Path(model).name}: {n_items} questions, at most {n_new} new tokens\n")
            world = make_world(Path(folder), model, int(n_items), int(n_new))
            compare_parts(world) if parts else compare(world, all_ways())


if __name__ == "__main__":
    main()
