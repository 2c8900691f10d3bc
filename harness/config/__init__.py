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
from harness.config.checklist import ChecklistMetric
from harness.config.choice import ChoiceMetric, LikelihoodMetric
from harness.config.claims import Claim, CriticalRule, Gate, JudgeRequirement, most_unscored
from harness.config.data import Conversion, ConvertOptions, DataSpec, Generation, Source, Take
from harness.config.endpoint import EndpointSpec, Prices
from harness.config.loading import (
    known_profiles,
    known_suites,
    load_profile,
    load_suite,
)
from harness.config.match import (
    ExactMatch,
    JsonMatch,
    MatchMetric,
    NumberMatch,
    RegexMatch,
    TokenF1,
    WordCount,
    WordMatch,
)
from harness.config.metric_base import (
    AnswerForm,
    ChoiceLayout,
    ComputedMetric,
    JudgedMetric,
    MetricSpec,
    ScoreKind,
    metric_of,
)
from harness.config.metrics import (
    Criterion,
    EvasionMetric,
    Metric,
    PairwiseMetric,
    RougeMetric,
    RubricMetric,
    headline_column,
    is_composite,
    pairs_of,
)
from harness.config.passages import CitationMetric, GroundedMetric, RetrievalMetric, SupportMetric
from harness.config.plugin import PluginMetric
from harness.config.profile import JudgeSpec, Jury, LocalJudge, ModelSpec, PluginJudge, Profile
from harness.config.recorded import LabelsFile, PeopleSpec, RecordedAnswers, RecordedVerdicts
from harness.config.serving import ServeSpec
from harness.config.suite import Suite, measure_alone
from harness.core.yaml_loader import NAME_PATTERN

__all__ = [
    "NAME_PATTERN",
    "AnswerForm",
    "ChecklistMetric",
    "ChoiceLayout",
    "ChoiceMetric",
    "CitationMetric",
    "Claim",
    "ComputedMetric",
    "Conversion",
    "ConvertOptions",
    "Criterion",
    "CriticalRule",
    "DataSpec",
    "EndpointSpec",
    "EvasionMetric",
    "ExactMatch",
    "Gate",
    "Generation",
    "GroundedMetric",
    "JsonMatch",
    "JudgeRequirement",
    "JudgeSpec",
    "JudgedMetric",
    "Jury",
    "LabelsFile",
    "LikelihoodMetric",
    "LocalJudge",
    "MatchMetric",
    "Metric",
    "MetricSpec",
    "ModelSpec",
    "Name",
    "NumberMatch",
    "PairwiseMetric",
    "PeopleSpec",
    "PluginJudge",
    "PluginMetric",
    "Prices",
    "Profile",
    "RecordedAnswers",
    "RecordedVerdicts",
    "RegexMatch",
    "RetrievalMetric",
    "RougeMetric",
    "RubricMetric",
    "ScoreKind",
    "ServeSpec",
    "Sha256",
    "Source",
    "Spec",
    "Suite",
    "SupportMetric",
    "Take",
    "TokenF1",
    "WordCount",
    "WordMatch",
    "headline_column",
    "is_composite",
    "known_profiles",
    "known_suites",
    "load_profile",
    "load_suite",
    "measure_alone",
    "metric_of",
    "most_unscored",
    "pairs_of",
]
