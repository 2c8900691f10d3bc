"""How often a judge of `kind: grounded` is right, on statements whose label is known by construction.

    python -m tests.bench_support                 the offline rules, on 100 items with four statements each
    python -m tests.bench_support 15 CHECKPOINT   a language model on this machine, on fewer

The statements are made of PubMedQA's abstracts (`tests/builders/planted_support.py`), below HARNESS_DATA_DIR. "Found" is an
unsupported statement that the judge says is not supported.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.config import GroundedMetric, JudgeSpec, LocalJudge
from harness.config.checklist import MET
from harness.stats.proportions import wilson_interval
from harness.types import GivenPassage, GradeRequest, Outcome, Sample
from judges import make_judge
from judges.checklist import requests_on_criteria
from judges.protocol import Judge
from tests.builders.planted_support import PlantedStatement, make_statements

METRIC = GroundedMetric(kind="grounded")
SEED = 7


def make_request(planted: PlantedStatement) -> GradeRequest:
    """Return the request about a statement, as a run makes it."""
    passage = GivenPassage(id="a#1", document="a", rank=1, score=1.0, text=planted.passage)
    request = GradeRequest(
        sample=Sample(id=planted.item, input=planted.question, row=0),
        metric_name="grounded",
        metric=METRIC,
        model="m",
        answer=planted.statement,
    )
    asked = next(iter(requests_on_criteria(replace(request, passages=(passage,)))))
    assert isinstance(asked, GradeRequest)
    assert asked.part is not None
    return replace(asked, part=asked.part._replace(statement=planted.statement))


def measure(judge: Judge, planted: Sequence[PlantedStatement]) -> dict[str, tuple[int, int]]:
    """Return counts of successes and trials: precision and recall on unsupported statements, and by kind."""
    outcomes: dict[int, Outcome] = dict(judge.judge(map(make_request, planted)))
    says_no = [(outcomes[i].values or {}).get(MET) == 0.0 for i in range(len(planted))]
    has_verdict = [outcomes[i].values is not None for i in range(len(planted))]
    found = sum(no and not p.supported for no, p in zip(says_no, planted, strict=True))
    counts = {
        "verdicts": (sum(has_verdict), len(planted)),
        "precision": (found, sum(says_no)),
        "recall": (found, sum(not p.supported for p in planted)),
    }
    for kind in dict.fromkeys(p.kind for p in planted):
        right = [
            verdict and no != p.supported
            for verdict, no, p in zip(has_verdict, says_no, planted, strict=True)
            if p.kind == kind
        ]
        counts[kind] = (sum(right), len(right))
    return counts


def main() -> None:
    """Print precision and recall, and the share of right verdicts for each kind of statement."""
    n_items = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    spec = JudgeSpec(offline="consumer_health")
    if len(sys.argv) > 2:
        spec = JudgeSpec(local=LocalJudge(checkpoint=sys.argv[2], max_tokens=96))
    judge = make_judge("judge", spec, Path())
    data = Path(os.environ["HARNESS_DATA_DIR"], "pubmedqa", "ori_pqal.json")
    planted = make_statements(data, n_items=n_items, seed=SEED)
    began = time.monotonic()
    counts = measure(judge, planted)
    print(f"{judge.card.name}: {len(planted)} statements, {time.monotonic() - began:.1f} s")
    for name, (right, n) in counts.items():
        low, high = wilson_interval(right, n) if n else (0.0, 1.0)
        share = f"{right / n:.2f} ({low:.2f} to {high:.2f})" if n else "none"
        print(f"{name:10s} {right:4d} of {n:4d}  {share}")


if __name__ == "__main__":
    main()
