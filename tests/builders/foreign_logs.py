"""Records of other evaluation tools, written as those tools write them."""

import json
from pathlib import Path
from typing import Any

from harness.interop.importing import ImportedStudy, import_records

Row = dict[str, Any]


def lm_eval_row(i: int, **changes: object) -> Row:
    return {
        "doc_id": i,
        "doc": {"question": f"{i}?"},
        "target": str(i),
        "arguments": {"gen_args_0": {"arg_0": f"Q: {i}?\nA:", "arg_1": {"until": ["\n"]}}},
        "resps": [[f"It is {i}."]],
        "filtered_resps": [str(i)],
        "filter": "none",
        "metrics": ["exact_match"],
        "doc_hash": f"hash-{i}",
        "exact_match": float(i % 2),
    } | changes


def ranked_row(
    likelihoods: list[float | str],
    *,
    contexts: list[str] | None = None,
    ends: list[str] | None = None,
    **changes: object,
) -> Row:
    """Choices that lm-eval ranked, ' a', ' b', … after the same context unless others are given."""
    n = len(likelihoods)
    contexts, ends = contexts or ["Sky?"] * n, ends or [f" {letter}" for letter in "abcdef"[:n]]
    asked = zip(contexts, ends, strict=True)
    arguments = {f"gen_args_{k}": {"arg_0": c, "arg_1": e} for k, (c, e) in enumerate(asked)}
    resps = [[[str(number), "False"]] for number in likelihoods]
    row = {"arguments": arguments, "resps": resps, "metrics": ["acc"], "acc": 1.0, "target": "0"}
    return lm_eval_row(0, **row) | changes


def output_row(i: int, generator: str, **changes: object) -> Row:
    row = {"instruction": f"Say {i}", "output": f"{generator} {i}", "generator": generator}
    return row | {"dataset": "helpful_base"} | changes


def annotation_row(i: int, preference: float | None, **changes: object) -> Row:
    return {
        "instruction": f"Say {i}",
        "output_1": f"ref {i}",
        "generator_1": "ref",
        "output_2": f"new/1 {i}",
        "generator_2": "new/1",
        "annotator": "gpt4",
        "preference": preference,
    } | changes


def inspect_sample(i: int, value: object = "C", **changes: object) -> Row:
    return {
        "id": i,
        "epoch": 1,
        "input": [{"role": "system", "content": "s"}, {"role": "user", "content": f"{i}?"}],
        "target": str(i),
        "output": {"choices": [{"message": {"content": [{"type": "text", "text": f"{i}!"}]}}]},
        "scores": {"match": {"value": value, "explanation": "because"}},
    } | changes


def inspect_log(model: str, **changes: object) -> Row:
    samples = [inspect_sample(i, "C" if i % 2 else "I") for i in range(1, 5)]
    return {
        "version": 2, "status": "success", "eval": {"model": model}, "samples": samples
    } | changes  # fmt: skip


def mt_bench_question(i: int, **changes: object) -> Row:
    return {"question_id": i, "category": "math", "turns": [f"First {i}?", f"Then {i}?"]} | changes


def mt_bench_answer(i: int, model: str, **changes: object) -> Row:
    turns = [f"{model} first {i}", f"{model} then {i}"]
    choices = [{"index": 0, "turns": turns}]
    return {"question_id": i, "answer_id": "x", "model_id": model, "choices": choices} | changes


def rating_row(i: int, model: str, score: object, turn: int = 1, **changes: object) -> Row:
    """A rating of MT-Bench; the prompt quotes the question and the answer as its templates do."""
    one = (
        f"[Question]\nFirst {i}?\n\n[The Start of Assistant's Answer]\n{model} first {i}\n"
        "[The End of Assistant's Answer]"
    )
    two = (
        "<|The Start of Assistant A's Conversation with User|>\n\n"
        f"### User:\nFirst {i}?\n\n### Assistant A:\n{model} first {i}\n\n"
        f"### User:\nThen {i}?\n\n### Assistant A:\n{model} then {i}\n\n"
        "<|The End of Assistant A's Conversation with User|>"
    )
    return {
        "question_id": i,
        "model": model,
        "judge": ["gpt-4", "single-v1"],
        "user_prompt": one if turn == 1 else two,
        "judgment": f"Rating: [[{score}]]",
        "score": score,
        "turn": turn,
        "tstamp": 1.0,
    } | changes


def pair_prompt(question: str, first: str, second: str) -> str:
    return (
        f"<|User Prompt|>\n{question}\n\n<|The Start of Assistant A's Answer|>\n{first}\n"
        "<|The End of Assistant A's Answer|>\n\n<|The Start of Assistant B's Answer|>\n"
        f"{second}\n<|The End of Assistant B's Answer|>"
    )


def pair_row(i: int, first: str, second: str, **changes: object) -> Row:
    """A judgement of MT-Bench on model_1 and model_2."""
    return {
        "question_id": i,
        "model_1": "new",
        "model_2": "old",
        "g1_winner": first,
        "g2_winner": second,
        "judge": ["gpt-4", "pair-v2"],
        "g1_user_prompt": pair_prompt(f"First {i}?", f"new {i}", f"old {i}"),
        "g1_judgment": "one way",
        "g2_user_prompt": pair_prompt(f"First {i}?", f"old {i}", f"new {i}"),
        "g2_judgment": "the other way",
        "turn": 1,
    } | changes


def arena_row(i: int, first: str | None, second: str | None, **changes: object) -> Row:
    """A judgement of Arena-Hard: the baseline stands first in the first game."""
    shown = [(f"base {i}", f"new {i}"), (f"new {i}", f"base {i}")]
    games = [
        {"user_prompt": pair_prompt(f"Do {i}", a, b), "judgment": f"[[{score}]]", "score": score}
        for (a, b), score in zip(shown, (first, second), strict=True)
    ]
    return {"question_id": f"q{i}", "model": "new", "judge": "gpt-4", "games": games} | changes


def all_results(scores: list[float], **changes: object) -> Row:
    """A result of simple-evals."""
    pages = [
        f"<h3>Results</h3><p>Correct Answer: {i} &amp; {i}</p><p>Extracted Answer: {i}</p>"
        f"<p>Score: {score}</p>"
        for i, score in enumerate(scores)
    ]
    convos = [
        [{"role": "user", "content": f"{i}?"}, {"role": "assistant", "content": f"it is {i}"}]
        for i in range(len(scores))
    ]
    return {
        "score": sum(scores) / len(scores), "metrics": {}, "htmls": pages, "convos": convos
    } | {"metadata": {"example_level_metadata": [None] * len(scores)}} | changes  # fmt: skip


def promptfoo_row(i: int, provider: str, *, passed: bool = True, **changes: object) -> Row:
    return {
        "promptIdx": 0,
        "testIdx": i,
        "testCase": {"vars": {"question": f"{i}?"}, "assert": [{"type": "equals", "value": "4"}]},
        "promptId": "p",
        "provider": {"id": provider, "label": ""},
        "prompt": {"raw": f"Answer: {i}?", "label": "Answer: {{question}}"},
        "vars": {"question": f"{i}?"},
        "response": {"output": f"{provider} {i}"},
        "failureReason": 0 if passed else 1,
        "success": passed,
        "score": float(passed),
        "namedScores": {"tone": 0.5},
        "gradingResult": {"pass": passed, "score": float(passed), "reason": "compared"},
    } | changes


def promptfoo_file(rows: list[Row]) -> Row:
    return {"evalId": "e", "results": {"version": 3, "results": rows, "stats": {}}, "config": {}}


# --- files -----------------------------------------------------------------------------------


def save(path: Path, data: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = isinstance(data, list) and path.suffix == ".jsonl"
    text = "".join(f"{json.dumps(row)}\n" for row in data) if lines else json.dumps(data)
    path.write_text(text)
    return str(path)


def rows_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def import_lm_eval(folder: Path, old: list[Row], new: list[Row]) -> ImportedStudy:
    """Import two models' samples into `folder`/study."""
    files = [
        save(folder / "org__old" / "samples_task_1.jsonl", old),
        save(folder / "org__new" / "samples_task_1.jsonl", new),
    ]
    return import_records(files, folder / "study")


def import_logs(folder: Path, **logs: object) -> ImportedStudy:
    """Import files of .json, each under its keyword's name, into `folder`/study."""
    files = [save(folder / f"{name}.json", log) for name, log in logs.items()]
    return import_records(files, folder / "study")


def answers_of(folder: Path, model: str) -> dict[str, str | None]:
    return {
        r["id"]: r["response"] for r in rows_of(folder / "study" / "answers" / f"{model}.jsonl")
    }


def scores_of(folder: Path, model: str, name: str) -> dict[str, float | None]:
    return {r["id"]: r[name] for r in rows_of(folder / "study" / "scores" / f"{model}.jsonl")}
