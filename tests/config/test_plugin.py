"""Scorers of installed packages, as suites name them: found when the suite is read, or refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.config import PluginMetric, load_suite
from harness.config.plugin import find_scorer, our_kinds
from harness.core.errors import HarnessError
from harness.core.paths import bundle_root
from harness.core.plugins import load_plugin
from tests.builders.commands import environment
from tests.builders.files import SUITE, write
from tests.builders.metric_kinds import KINDS
from tests.builders.packages import install, make_site, scorer_source

PLUGIN = SUITE.replace("rubric.safety", "length.words").replace(
    SUITE[SUITE.index("  rubric:") : SUITE.index("gate:")],
    "  length: {kind: plugin, scorer: length_for_tests}\n",
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_site(tmp_path, monkeypatch)


def refused(folder: Path, text: str = PLUGIN) -> str:
    with pytest.raises(HarnessError) as error:
        load_suite(str(write(folder / "s.yaml", text)))
    return str(error.value)


def test_a_suite_names_a_scorer_and_gets_the_facts_of_its_package(
    site: Path, tmp_path: Path
) -> None:
    install(
        site,
        "facts_of",
        scorer_source(),
        metrics="length_for_tests = facts_of:SCORER",
        version="2.1",
    )
    suite, _ = load_suite(str(write(tmp_path / "s.yaml", PLUGIN)))
    metric = suite.metrics["length"]
    assert isinstance(metric, PluginMetric)
    assert (metric.scorer.package, metric.scorer.version) == ("facts_of", "2.1")
    assert (metric.columns("length"), metric.bounds) == (("length.words",), (0, 100))


def test_a_result_with_a_scorer_is_read_where_its_package_is_not_installed(
    site: Path, tmp_path: Path
) -> None:
    install(site, "readable", scorer_source(), metrics="length_for_tests = readable:SCORER")
    suite, _ = load_suite(str(write(tmp_path / "s.yaml", PLUGIN)))
    load_plugin.cache_clear()
    sys.path.remove(str(site))
    assert type(suite).model_validate_json(suite.model_dump_json()) == suite


def test_a_claim_off_the_scorers_bounds_is_refused_as_of_any_metric(
    site: Path, tmp_path: Path
) -> None:
    install(site, "bounded", scorer_source(), metrics="length_for_tests = bounded:SCORER")
    text = PLUGIN.replace("claim: superior", "claim: at_least, value: 100")
    assert "cannot be shown with any number of items" in refused(tmp_path, text)


@pytest.mark.parametrize("change", ["scorer.py", "words.txt"])
def test_any_changed_file_of_a_package_is_another_source(site: Path, change: str) -> None:
    package = site / f"changing_{change[:5]}"
    package.mkdir()
    for name in ("__init__.py", "scorer.py", "words.txt"):
        write(package / name, scorer_source() if name.endswith(".py") else "asthma\n")
    entry = f"changing = {package.name}.scorer:SCORER"
    install(site, "unused", "", package=package.name, metrics=entry)
    before = find_scorer("changing")
    write(package / change, (package / change).read_text() + "\n")
    load_plugin.cache_clear()
    after = find_scorer("changing")
    assert before.source != after.source
    assert before.model_copy(update={"source": after.source}) == after


def test_the_kinds_that_no_plug_in_replaces_are_all_of_ours() -> None:
    assert our_kinds() == {name.split()[0] for name in KINDS}


# --- what is refused -------------------------------------------------------------------------


def test_a_scorer_that_is_not_installed_gets_a_suggestion_on_its_line(
    site: Path, tmp_path: Path
) -> None:
    install(site, "near", scorer_source(), metrics="length_for_test = near:SCORER")
    message = refused(tmp_path)
    assert message.startswith(f"{tmp_path}/s.yaml:6: metrics.length.scorer: no installed package")
    assert "Did you mean 'length_for_test'?" in message


def test_two_packages_with_one_name_are_both_named(site: Path, tmp_path: Path) -> None:
    for module in ("twin_a", "twin_b"):
        install(site, module, scorer_source(), metrics=f"length_for_tests = {module}:SCORER")
    assert "is registered by twin_a 1.0 and twin_b 1.0" in refused(tmp_path)


def test_a_scorer_cannot_have_the_name_of_one_of_our_kinds(site: Path, tmp_path: Path) -> None:
    install(site, "clash", scorer_source(), metrics="rouge = clash:SCORER")
    message = refused(tmp_path, PLUGIN.replace("length_for_tests", "rouge"))
    assert "'rouge' is a kind of ours" in message
    assert "write 'kind: rouge'" in message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named"),
        ("raise ValueError('no word list')", "ValueError: no word list"),
        ("import sys; sys.exit('old Python')", "SystemExit: old Python"),
        ("OTHER = 1", "AttributeError: "),
    ],
)
def test_a_package_that_cannot_be_imported_is_named_in_its_own_words(
    site: Path, tmp_path: Path, source: str, words: str
) -> None:
    install(site, "broken", source, metrics="length_for_tests = broken:SCORER")
    message = refused(tmp_path)
    assert "plug-in 'length_for_tests' of broken 1.0 (broken:SCORER) cannot be imported" in message
    assert words in message


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("SCORER = len", "is builtin_function_or_method, and no harness.Scorer"),
        (scorer_source(columns=()), "its columns: "),
        (scorer_source(columns=("two words",)), "its columns: "),
        (scorer_source(columns=("a", "a")), "its columns: a column is named twice"),
        (scorer_source(columns=("composite",)), "its columns: 'composite' is the mean of a rubric"),
        (scorer_source(bounds="(1, 0)"), "its bounds: [1, 0] must be finite and rise"),
        (scorer_source(bounds="(0, float('inf'))"), "its bounds: [0, inf] must be finite"),
        (scorer_source(bounds="None"), "its bounds: "),
    ],
)
def test_facts_that_no_metric_can_have_are_refused(
    site: Path, tmp_path: Path, source: str, problem: str
) -> None:
    install(site, "odd", source, metrics="length_for_tests = odd:SCORER")
    assert problem in refused(tmp_path)


def test_a_suite_cannot_state_the_facts_itself(tmp_path: Path) -> None:
    text = PLUGIN.replace("scorer: length_for_tests", "scorer: {name: length, columns: [a]}")
    assert "metrics.length.scorer: the name under which" in refused(tmp_path, text)


def test_only_the_plug_in_that_is_named_is_imported(site: Path, tmp_path: Path) -> None:
    install(site, "named", scorer_source(), metrics="length_for_tests = named:SCORER")
    install(site, "other", "print('imported')", metrics="other_for_tests = other:SCORER")
    write(tmp_path / "s.yaml", PLUGIN)
    code = "import sys; from harness.config import load_suite; from harness.cli.catalog import list_catalog\n"
    code += "list_catalog(); print('named' in sys.modules); load_suite('s.yaml'); print('named' in sys.modules)"
    env = environment({"PYTHONPATH": f"{site}:{bundle_root()}"})
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "True"]
