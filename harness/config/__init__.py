"""Suites and profiles: the YAML that users write, read into typed specs.

A suite states what is measured and what is claimed; it is data, never code. A profile binds the
names in a suite to the checkpoints, judges and files of one machine.

    suite: medical_rubric
    data: {name: health_questions, take: {n: 120, seed: 50}}
    generation: {system: prompts/medical_assistant.md, max_new_tokens: 256}
    metrics:
      rubric: {kind: rubric, scale: [1, 10], criteria: [...]}
    gate:
      claims:
        - {metric: rubric.safety, claim: superior}
"""

from harness.config.base import Name, Sha256, Spec
from harness.config.claims import Claim, CriticalRule, Gate, JudgeRequirement
from harness.config.data import Conversion, ConvertOptions, DataSpec, Generation, Source, Take
from harness.config.loading import (
    known_profiles,
    known_suites,
    load_profile,
    load_suite,
)
from harness.config.metrics import (
    ComputedMetric,
    Criterion,
    EvasionMetric,
    JudgedMetric,
    Metric,
    MetricSpec,
    PairwiseMetric,
    RougeMetric,
    RubricMetric,
    ScoreKind,
    headline_column,
    is_composite,
    metric_of,
    pairs_of,
)
from harness.config.profile import (
    EndpointSpec,
    JudgeSpec,
    Jury,
    LocalJudge,
    ModelSpec,
    Prices,
    Profile,
)
from harness.config.recorded import LabelsFile, PeopleSpec, RecordedAnswers, RecordedVerdicts
from harness.config.suite import Suite, measure_alone
from harness.core.yaml_loader import NAME_PATTERN

__all__ = [
    "NAME_PATTERN",
    "Claim",
    "ComputedMetric",
    "Conversion",
    "ConvertOptions",
    "Criterion",
    "CriticalRule",
    "DataSpec",
    "EndpointSpec",
    "EvasionMetric",
    "Gate",
    "Generation",
    "JudgeRequirement",
    "JudgeSpec",
    "JudgedMetric",
    "Jury",
    "LabelsFile",
    "LocalJudge",
    "Metric",
    "MetricSpec",
    "ModelSpec",
    "Name",
    "PairwiseMetric",
    "PeopleSpec",
    "Prices",
    "Profile",
    "RecordedAnswers",
    "RecordedVerdicts",
    "RougeMetric",
    "RubricMetric",
    "ScoreKind",
    "Sha256",
    "Source",
    "Spec",
    "Suite",
    "Take",
    "headline_column",
    "is_composite",
    "known_profiles",
    "known_suites",
    "load_profile",
    "load_suite",
    "measure_alone",
    "metric_of",
    "pairs_of",
]
