"""The offline rule of support on statements about PubMedQA's abstracts, whose labels are known by construction."""

import os
from pathlib import Path

import pytest

from judges import OfflineJudge
from tests.bench_support import SEED, make_request, measure
from tests.builders.planted_support import make_statements

DATA = os.environ.get("HARNESS_DATA_DIR")


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="HARNESS_DATA_DIR is not set")
def test_the_rule_is_as_often_right_as_the_documentation_says() -> None:
    planted = make_statements(Path(DATA or "", "pubmedqa", "ori_pqal.json"), n_items=100, seed=SEED)
    outcomes = dict(OfflineJudge().judge(map(make_request, planted)))
    counts = measure([outcomes[i] for i in range(len(planted))], planted)
    assert counts == {
        "verdicts": (400, 400),
        "precision": (156, 157),
        "recall": (156, 200),
        "verbatim": (100, 100),
        "reworded": (99, 100),
        "foreign": (54, 54),
        "number": (62, 65),
        "negation": (40, 46),
        "direction": (0, 35),
    }
