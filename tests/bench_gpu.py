"""What training and generating take on an NVIDIA GPU: `tests/gpu.sh`, which ends with a table.

Models of the three studies' shapes with random weights: SFT and DPO as the recipes have them, but in 4 bits
(NF4) and each with an adapter of its own on the random base; SFT in bfloat16 on packed rows; answers of a
checkpoint in this process, and of vLLM where `vllm` is on the PATH. Each part is a process of its own within
a limit of time: one that fails or is stopped says so in its row, and the others go on. With `--dry` the models
are tiny and the steps few, so that all of it runs without a GPU.
"""

import argparse
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.bench_generation import make_world, run_harness, run_server

BUDGET_S = 570.0
STUDIES = ("medical_llama3", "llama31_medical", "biomistral")
LAST_STUDY_PARTS = ("packed", "generate", "vllm")  # on llama31_medical's model
SENTENCE = "A cough of {} days is common. See a doctor if you get short of breath. "
NF4 = {"bits": 4, "kind": "nf4", "double": True, "compute": "bfloat16"}
BOXES_S = {
    "tests": 90,
    "prepare": 80,
    "sft": 60,
    "dpo": 90,
    "packed": 60,
    "generate": 75,
    "vllm": 200,
}
LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes")


class Scale(NamedTuple):
    """How much is run: steps of which some warm up, tokens of a row, questions and new tokens."""

    steps: int
    warm_up: int
    max_length: int | None  # None: the recipe's own
    questions: int
    new_tokens: int
    batches: tuple[int, ...]


FULL = Scale(20, 5, None, 256, 256, (32, 64, 128, 256))
DRY = Scale(3, 1, 1024, 8, 8, (4, 8))


class StepsDoneError(Exception):
    """Ends a training run after its last measured step, before anything is merged."""


# --- the parts, each in a process of its own -------------------------------------------------


def write_rows(folder: Path, rows: Iterable[dict[str, Any]]) -> None:
    (folder / "rows.json").write_text(json.dumps(list(rows)))


def prepare(study: str, folder: Path, scale: Scale, *, dry: bool) -> None:
    """Write the study's random base and recipes whose parent is that base."""
    from trainers.dry_run import shrink_recipe

    small = shrink_recipe(
        f"{study}/dpo.yaml", folder, cuda=not dry, steps=scale.steps, full_size=not dry
    )
    sft, dpo = (yaml.safe_load((folder / stage.file).read_text()) for stage in small.stages)
    for path in folder.glob("*.jsonl"):
        lengthen(path, 5 if dry else 300)
    for name, recipe in (("sft", sft), ("dpo", dpo), ("packed", sft)):
        trainer = {k: v for k, v in recipe["trainer"].items() if not k.startswith("eval_")}
        if scale.max_length:
            trainer |= {"max_length": scale.max_length, "gradient_accumulation_steps": 1}
        if name == "packed":
            trainer |= {"packing": True, "per_device_train_batch_size": 2 if dry else 8, "gradient_accumulation_steps": 1}  # fmt: skip
        own = {"parent": {"checkpoint": "base"}, "lora": recipe.get("lora", sft["lora"]), "trainer": trainer}  # fmt: skip
        bits = {} if dry or name == "packed" else {"quantisation": NF4}
        (folder / f"{name}.yaml").write_text(
            yaml.safe_dump({k: v for k, v in recipe.items() if k not in ("quantisation", "holdout")} | own | bits)
        )  # fmt: skip
    write_rows(folder, [])


def lengthen(path: Path, n_sentences: int) -> None:
    """Make every answer longer than any max_length, so that no token of a batch is padding."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for number, row in enumerate(rows):
        for name in ("reference", "chosen", "rejected"):
            if name in row:
                row[name] += " " + SENTENCE.format(number) * n_sentences
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


class StepClock:
    """Writes the row of a training run after each step behind the warm-up, and ends it after the last."""

    def __init__(self, name: str, folder: Path, scale: Scale) -> None:
        from trainers.recipe import load_recipe

        recipe, _ = load_recipe(str(folder / f"{name}.yaml"))
        self.recipe: Any = recipe
        self.folder, self.scale, self.start = folder, scale, 0.0

    def log(self, line: str) -> None:
        print(line)

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        if stage != self.recipe.method or done < self.scale.warm_up:
            return
        if done == self.scale.warm_up:
            self.start = time.monotonic()
            return
        seconds = (time.monotonic() - self.start) / (done - self.scale.warm_up)
        row = {"settings": describe(self.recipe), "tokens_per_s": tokens_in_step(self.recipe) / seconds,
               "gib": peak_gib(), "note": f"{done} of {self.scale.steps} steps"}  # fmt: skip
        write_rows(self.folder, [row])
        if done == self.scale.steps:
            raise StepsDoneError


def train(name: str, folder: Path, scale: Scale) -> None:
    from harness.training.commands import train_recipe
    from harness.training.context import make_context

    if name == "packed":
        _write_short_rows(folder, scale)
    clock = StepClock(name, folder, scale)
    context = make_context(folder / f"store-{name}", clock)
    try:
        train_recipe(str(folder / f"{name}.yaml"), "tiny", context)
    except StepsDoneError:
        return
    raise AssertionError("the training ended before its last step was measured")


def _write_short_rows(folder: Path, scale: Scale) -> None:
    """Write rows of many lengths, enough to fill every packed row of all steps."""
    recipe = yaml.safe_load((folder / "packed.yaml").read_text())
    n_tokens = scale.steps * 8 * recipe["trainer"]["max_length"]
    rows = [
        {"id": f"row-{i}", "input": f"Is a cough of {i} days bad?", "reference": SENTENCE.format(i) * (1 + i % 20)}
        for i in range(n_tokens // 100)
    ]  # fmt: skip
    (folder / "short.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {"id": "id", "input": "input", "reference": "reference"}
    recipe["data"] = [{"path": "short.jsonl", "fields": fields}]
    (folder / "packed.yaml").write_text(yaml.safe_dump(recipe))


def tokens_in_step(recipe: Any) -> int:
    names = ("per_device_train_batch_size", "gradient_accumulation_steps", "max_length")
    size, accumulated, length = (int(str(recipe.trainer[name])) for name in names)
    return size * accumulated * length * int(recipe.sequences)


def describe(recipe: Any) -> str:
    options, bits = recipe.trainer, "NF4" if recipe.quantisation else "bf16"
    targets = recipe.lora.target_modules
    shape = f"{options['per_device_train_batch_size']} x {options['gradient_accumulation_steps']} rows of {options['max_length']}"  # fmt: skip
    packed = ", packed" if options.get("packing") else ""
    names = targets if isinstance(targets, str) else "+".join(targets)
    return f"{bits}, LoRA r={recipe.lora.r} on {names}, {shape}{packed}, {options.get('optim', 'adamw_torch_fused')}"


def peak_gib() -> float | None:
    import torch

    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else None


def generate(folder: Path, scale: Scale) -> None:
    """Measure answers of the random base in this process, by the rows of a batch."""
    from harness.config import Generation
    from harness.models.local import LocalModel, make_prompt

    model = LocalModel.load(folder / "base")
    prompts = [make_prompt("You are a caring medical assistant. Answer in plain words.", f"Is a cough of {i} days bad?")
               for i in range(scale.questions)]  # fmt: skip
    greedy = Generation(max_new_tokens=scale.new_tokens)
    model.answer(prompts[:2], Generation(max_new_tokens=4), seeds=[0, 0])
    rows = []
    for size in scale.batches:
        start, asked = time.monotonic(), prompts[: 2 * size]
        parts = [asked[i : i + size] for i in range(0, len(asked), size)]
        answers = [answer for part in parts for answer in model.answer(part, greedy, seeds=[0] * len(part))]  # fmt: skip
        n_tokens = sum(answer.n_tokens or 0 for answer in answers)
        rows.append({"settings": f"{model.model.dtype}, {size} in a batch, {scale.new_tokens} new tokens".replace("torch.", ""),
                     "tokens_per_s": n_tokens / (time.monotonic() - start), "gib": peak_gib()})  # fmt: skip
        write_rows(folder, rows)


def ask_vllm(folder: Path, scale: Scale) -> None:
    """Measure the same of vLLM's own server, and of a run that starts one."""
    program = shutil.which("vllm")
    if program is None:
        sys.exit("vllm is not on the PATH")
    (folder / "world").mkdir()
    world = make_world(folder / "world", str(folder / "base"), scale.questions, scale.new_tokens)
    n_tokens = len(world.questions) * scale.new_tokens  # random weights end no turn
    cost = run_server(world, [program, "serve"], at_once=128)
    settings = f"`vllm serve`, 128 at once, {scale.new_tokens} new tokens"
    note = f"started in {cost.whole_wall - cost.wall:.0f} s"
    rows = [{"settings": settings, "tokens_per_s": n_tokens / cost.wall, "note": note}]
    write_rows(folder, rows)
    whole = run_harness(world, "--serve", "vllm").whole_wall
    settings = "`harness run --serve vllm`, its start, checks and report included"
    note = f"{whole:.0f} s in all"
    write_rows(folder, [*rows, {"settings": settings, "tokens_per_s": n_tokens / whole, "note": note}])  # fmt: skip


def run_tests(folder: Path, *, dry: bool) -> None:
    """Run the tests of decoding and of adapters that take the GPU where there is one, or need one."""
    files = ["tests/models/test_decoding.py", "tests/trainers/test_adapters_on_gpu.py"]
    chosen = [*files, *(["-k", "sliding or gpu"] if dry else [])]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *chosen]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or [done.stderr[-200:]]
    write_rows(folder, [{"settings": " ".join(chosen), "note": lines[-1]}])
    sys.exit(done.returncode)


def run_part(part: str, study: str, folder: Path, *, dry: bool) -> None:
    scale = DRY if dry else FULL
    match part:
        case "tests":
            run_tests(folder, dry=dry)
        case "prepare":
            prepare(study, folder, scale, dry=dry)
        case "generate":
            generate(folder, scale)
        case "vllm":
            ask_vllm(folder, scale)
        case _:
            train(part, folder, scale)


# --- all parts -------------------------------------------------------------------------------


def measure(
    part: str, study: str, folder: Path, *, dry: bool, limit_s: float
) -> list[dict[str, Any]]:
    """Run a part in a process group of its own; return its rows, the last one with what went wrong."""
    (folder / "rows.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.bench_gpu", "--part", part, "--study", study, "--folder", str(folder)]  # fmt: skip
    log = folder / f"{part}.log"
    problem = f"no time was left (limit {BUDGET_S:.0f} s)" if limit_s <= 0 else ""
    if not problem:
        with log.open("wb") as output:
            process = subprocess.Popen([*command, *(["--dry"] if dry else [])], stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
            try:
                problem = _last_line(log) if process.wait(limit_s) else ""
            except subprocess.TimeoutExpired:
                problem = f"stopped after {limit_s:.0f} s"
            finally:
                _end_group(process)
    file = folder / "rows.json"
    rows = json.loads(file.read_text()) if file.is_file() else []
    if problem and not rows:
        rows = [{}]
    for row in rows[-1:] if problem else []:
        row["note"] = "; ".join(filter(None, (row.get("note"), problem)))
    return [{"what": f"{study} {part}".strip(), **row} for row in rows]


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "ended without a word"


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """End what a part may have left running, such as a server."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def measure_all(*, dry: bool) -> list[dict[str, Any]]:
    """Run all parts within the budget, a study's model on disk at a time."""
    deadline, rows = time.monotonic() + BUDGET_S, []
    for study in ("", *(STUDIES[1:] if dry else STUDIES)):
        parts = ["tests"] if not study else ["prepare", "sft", "dpo"]
        parts += LAST_STUDY_PARTS if study == "llama31_medical" else []
        with tempfile.TemporaryDirectory() as folder:
            for part in parts:
                left = deadline - time.monotonic()
                limit = left if dry else min(BOXES_S[part], left)
                rows += measure(part, study, Path(folder), dry=dry, limit_s=limit)
                print(f"{study} {part}: {deadline - time.monotonic():.0f} s left", file=sys.stderr)
    return rows


def table(rows: Iterable[dict[str, Any]], *, dry: bool) -> str:
    import torch

    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    day = datetime.datetime.now(datetime.UTC).date()
    kind = "a dry run on tiny models" if dry else "models of the studies' shapes, random weights"
    lines = [f"`tests/gpu.sh`, {day}, {card}, {versions}; {kind}:", "",
             "| what | settings | tokens/s | peak GiB | |", "|---|---|---|---|---|"]  # fmt: skip
    for row in rows:
        speed = f"{row['tokens_per_s']:,.0f}" if "tokens_per_s" in row else "-"
        peak = f"{row['gib']:.1f}" if row.get("gib") is not None else "-"
        note = str(row.get("note", "")).replace("|", "/")
        lines.append(f"| {row['what']} | {row.get('settings', '')} | {speed} | {peak} | {note} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything and print the table, or run one part."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dry", action="store_true", help="tiny models, without a GPU")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    for hidden in ("--part", "--study", "--folder"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        run_part(asked.part, asked.study, Path(asked.folder), dry=asked.dry)
        return
    written = table(measure_all(dry=asked.dry), dry=asked.dry)
    print(written)
    if asked.out:
        asked.out.write_text(written)


if __name__ == "__main__":
    main()
