"""The rules by which a gate decides one claim, named so that a result says which one decided it."""

from typing import Literal

from harness.config import Gate

RuleName = Literal["", "unseen_worst", "distribution_free"]

# "" is that of results without a name.
RULES: dict[RuleName, str] = {
    "": "the rule of earlier versions: from 100 items on Student's and Hall's tests of the scores "
    "that were seen, below also a betting bound; shares by Tango's test and that bound",
    "unseen_worst": "means by Student's and Hall's tests, with any share of the answers not seen at "
    "their worst; shares by exact tests",
    "distribution_free": "means by a betting bound that holds for every distribution of scores; "
    "shares by exact tests",
}


def rule_of(gate: Gate) -> RuleName:
    """Return the name of the rule that decides this gate's claims."""
    return "distribution_free" if gate.guarantee == "distribution_free" else "unseen_worst"


def describe_rule(name: str) -> str:
    """Return the rule in words; the name itself where a later version has added it."""
    return next((words for known, words in RULES.items() if known == name), name)
