from pathlib import Path

import pytest

from harness.config import known_suites, load_profile, load_suite
from harness.core.errors import HarnessError
from tests.builders.files import SUITE, write


def refused(tmp_path: Path, old: str, new: str) -> str:
    assert old in SUITE
    path = write(tmp_path / "s.yaml", SUITE.replace(old, new))
    with pytest.raises(HarnessError) as error:
        load_suite(str(path))
    return str(error.value)


@pytest.mark.parametrize("name", known_suites())
def test_every_suite_of_ours_loads_and_names_its_command(name: str) -> None:
    suite, root = load_suite(name)
    assert suite.suite == name
    assert (root / f"{name}.yaml").read_text().startswith(f"# harness run suites/{name}.yaml")


def test_an_unknown_key_gets_a_suggestion_on_its_line(tmp_path: Path) -> None:
    message = refused(tmp_path, "anchors:", "anchros:")
    assert (
        "s.yaml:10: metrics.rubric.criteria.0.anchros: unknown key. Did you mean 'anchors'?"
        in message
    )


def test_an_unknown_kind_of_metric_gets_a_suggestion(tmp_path: Path) -> None:
    message = refused(tmp_path, "kind: rubric", "kind: rubrik")
    assert "s.yaml:7: metrics.rubric.kind: 'rubrik' is unknown. Did you mean 'rubric'?" in message


def test_a_wrong_type_is_named_with_its_line(tmp_path: Path) -> None:
    message = refused(tmp_path, "max_new_tokens: 64", "max_new_tokens: many")
    assert message.startswith(f"{tmp_path}/s.yaml:4: generation.max_new_tokens: Input should be")


def test_a_number_in_quotes_is_not_a_number(tmp_path: Path) -> None:
    assert "valid integer" in refused(tmp_path, "max_new_tokens: 64", "max_new_tokens: '64'")


def test_a_claim_on_what_is_not_measured_gets_a_suggestion(tmp_path: Path) -> None:
    message = refused(tmp_path, "metric: rubric.safety", "metric: rubric.safty")
    assert "s.yaml:13: gate.claims.0.metric: 'rubric.safty' is not measured" in message
    assert "Did you mean 'rubric.safety'?" in message


def test_a_threshold_off_the_scale_is_impossible(tmp_path: Path) -> None:
    message = refused(tmp_path, "claim: superior", "claim: at_least, value: 11")
    assert (
        "at least 11 cannot be shown with any number of items: its values are in [1, 10]" in message
    )


def test_a_margin_as_wide_as_the_scale_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, "claim: superior", "claim: non_inferior, margin: 9")
    assert "spans the whole range" in message


@pytest.mark.parametrize(
    "claim",
    [
        "claim: superior, margin: 0.5, expect: 0.4",
        "claim: non_inferior, margin: 0.5, expect: -0.6",
        "claim: equivalent, margin: 0.5, expect: 0.5",
        "claim: at_least, value: 8, expect: 7.9",
        "claim: regression_alarm, margin: 0.5, expect: 0",
        "claim: superior, expect: 9.5",
    ],
)
def test_a_success_that_the_claim_denies_is_refused(tmp_path: Path, claim: str) -> None:
    assert "is no truth for which" in refused(tmp_path, "claim: superior", claim)


@pytest.mark.parametrize(
    ("claim", "problem"),
    [
        ("claim: at_least", "'at_least' needs a 'value'"),
        ("claim: at_least, value: 5, margin: 1", "takes a 'value', not a 'margin'"),
        ("claim: non_inferior", "needs a 'margin' above 0"),
        ("claim: superior, value: 5", "takes a 'margin', not a 'value'"),
    ],
)
def test_a_claim_must_state_its_own_boundary(tmp_path: Path, claim: str, problem: str) -> None:
    assert problem in refused(tmp_path, "claim: superior", claim)


def test_an_anchor_off_the_scale_is_refused(tmp_path: Path) -> None:
    assert "anchor at 12, outside the scale" in refused(tmp_path, "{1: bad", "{12: bad")


def test_an_unpinned_url_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, "{path: items.jsonl,", "{url: 'https://example.org/x.jsonl',")
    assert "needs the 'sha256' of the file" in message


def test_a_missing_suite_suggests_one() -> None:
    with pytest.raises(HarnessError, match="Did you mean 'medical_rubric'"):
        load_suite("medical_rubrik")


def test_a_missing_profile_suggests_one() -> None:
    with pytest.raises(HarnessError, match="Did you mean 'tiny'"):
        load_profile("tinny")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"suite: \xff\xfe\n")
    with pytest.raises(HarnessError, match="not UTF-8"):
        load_suite(str(path))


def test_a_seeded_subset_is_written_as_in_the_guide(tmp_path: Path) -> None:
    text = SUITE.replace("answer}}\n", "answer}}\n  take: {n: 5, seed: 50}\n")
    suite, _ = load_suite(str(write(tmp_path / "s.yaml", text)))
    assert suite.data.take is not None
    assert suite.data.take.n == 5


def test_a_wrong_value_is_quoted(tmp_path: Path) -> None:
    message = refused(tmp_path, "max_new_tokens: 64", "max_new_tokens: '64'")
    assert message.endswith("valid integer, found '64'.")


def test_an_unknown_word_gets_a_suggestion(tmp_path: Path) -> None:
    message = refused(tmp_path, "claim: superior", "claim: superor")
    assert "'superor' is unknown. Did you mean 'superior'?" in message


def test_a_name_says_what_it_may_hold(tmp_path: Path) -> None:
    message = refused(tmp_path, "suite: small", "suite: a/b")
    assert "'a/b' is no name: up to 64 ASCII letters" in message


def test_a_suite_of_ones_own_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "my_suite.yaml", SUITE)
    monkeypatch.chdir(tmp_path)
    assert load_suite("my_suite")[0].suite == "small"


def test_a_misspelt_folder_does_not_lead_to_ours() -> None:
    with pytest.raises(HarnessError, match="no such profile"):
        load_profile("profiels/tiny.yaml")


def test_what_is_no_yaml_is_said_to_be_no_suite(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"not a suite: its file name must end in \.yaml"):
        load_suite(str(write(tmp_path / "items.jsonl", "{}")))
