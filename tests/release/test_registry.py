"""Promoted checkpoints, and what each look at held-out items may spend."""

from pathlib import Path

import numpy as np
import pytest

from harness.config import Claim, Gate
from harness.core.errors import HarnessError
from harness.gate.decision import decide_gate
from harness.release.registry import Registry, alpha_of_look, now
from harness.scoring.paired import PairedScores
from harness.types.training import Ancestor, Look, Promotion
from reports.promotions import describe_promotion, describe_promotions

N_WORLDS = 400  # of twenty checkpoints each


def look(candidate: str, *, items: str = "items", claims: str = "claims") -> Look:
    return Look(items_hash=items, candidate=candidate, baseline="old", claims=claims, when=now())


def promotion(number: int = 1) -> Promotion:
    return Promotion(
        name="assistant",
        number=number,
        checkpoint="/checkpoints/dpo",
        fingerprint=f"f{number}",
        beaten="base",
        certified_by="certify.yaml",
        alpha=0.03,
        look=1,
        run_id="run",
        report="report.html",
        sentence="dpo against base: pass.",
        lineage=(
            Ancestor(recipe="dpo", method="dpo", fingerprint="f1", data_hash="d", source="/dpo"),
            Ancestor(recipe="sft", method="sft", fingerprint="f0", data_hash="d", source="/sft"),
        ),
        versions={"trl": "1"},
        when="2026-01-01",
    )


def test_every_look_at_the_same_items_is_counted(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert [registry.begin_look("a", look(c)) for c in ("one", "two", "three")] == [1, 2, 3]


def test_the_same_question_asked_again_is_the_same_look(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert [registry.begin_look("a", look(c)) for c in ("one", "two", "one")] == [1, 2, 1]


def test_the_same_candidate_under_other_claims_is_another_look(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert registry.begin_look("a", look("one")) == 1
    assert registry.begin_look("a", look("one", claims="weaker")) == 2


def test_fresh_items_are_looked_at_for_the_first_time(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.begin_look("a", look("one"))
    assert registry.begin_look("a", look("two", items="fresh")) == 1


def test_the_last_promotion_stands(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.promote(promotion(1))
    registry.promote(promotion(2))
    assert registry.find("assistant").number == 2
    assert [p.number for p in registry.history("assistant")] == [1, 2]
    assert registry.names() == ["assistant"]


def test_an_unknown_name_is_answered_with_a_known_one(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.promote(promotion())
    with pytest.raises(HarnessError, match="Did you mean 'assistant'"):
        registry.find("asistant")


def test_a_damaged_registry_is_named_with_its_line(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.promote(promotion())
    path = tmp_path / "models" / "assistant" / "promotions.jsonl"
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(HarnessError, match=r"promotions\.jsonl:2: not a valid promotion"):
        registry.history("assistant")


def test_a_file_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.promote(promotion())
    (tmp_path / "models" / "assistant" / "promotions.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(HarnessError, match=r"promotions\.jsonl: cannot be read"):
        registry.history("assistant")


def test_promotions_are_told_with_their_lineage() -> None:
    assert "assistant.1  dpo" in next(iter(describe_promotions([promotion()])))
    told = "\n".join(describe_promotion(promotion()))
    assert "look 1, alpha 0.0300" in told
    assert "sft (sft, f0)  /sft" in told


def test_all_looks_together_spend_no_more_than_alpha() -> None:
    assert sum(alpha_of_look(0.05, t) for t in range(1, 10_000)) < 0.05


@pytest.mark.slow
def test_twenty_equal_checkpoints_are_promoted_no_more_often_than_alpha_says() -> None:
    """Every candidate is as good as the baseline; promoting any of twenty is an error.

    All are measured on the same 150 items, with the noise of their own answers.
    """
    rng = np.random.default_rng(1)
    wrong = {"spent": 0, "unspent": 0}
    for _ in range(N_WORLDS):
        items = rng.normal(0, 1, size=150)
        old = np.clip(np.rint(7 + items + rng.normal(0, 1, 150)), 1, 10)
        new = np.clip(np.rint(7 + items + rng.normal(0, 1, (20, 150))), 1, 10)
        wrong["spent"] += any(passes(old, c, alpha_of_look(0.05, t + 1)) for t, c in enumerate(new))
        wrong["unspent"] += any(passes(old, c, 0.05) for c in new)
    # Three Monte Carlo standard errors of a true rate of 0.05 in 400 worlds are 0.033.
    assert wrong["spent"] / N_WORLDS <= 0.05 + 0.033
    assert wrong["unspent"] / N_WORLDS > 0.2  # what would happen without spending


def passes(old: np.ndarray, new: np.ndarray, alpha: float) -> bool:
    """Whether the gate's own decision is a pass."""
    scores = PairedScores(
        metric="m",
        kind="points",
        baseline="old",
        candidate="new",
        sample_ids=tuple(map(str, range(old.size))),
        clusters=None,
        d=new - old,
        least=new - old,
        greatest=new - old,
        bounds=(-9.0, 9.0),
        baseline_scores=old,
        candidate_scores=new,
        score_bounds=(1.0, 10.0),
        null=0.0,
    )
    gate = Gate(alpha=alpha, claims=(Claim(metric="m", claim="superior"),))
    return decide_gate(gate, {"m": scores}).verdict == "pass"
