"""What comes with the harness is listed, by names that its commands take."""

from pathlib import Path

import pytest

from harness.cli.catalog import describe_catalog, list_catalog
from harness.core.paths import bundle_root
from tests.builders.packages import install, make_site


def names(kind: str) -> list[str]:
    return [offer.name for offer in list_catalog() if offer.kind == kind]


def test_every_file_that_comes_along_is_listed() -> None:
    root = bundle_root()
    assert names("suite") == sorted(path.stem for path in (root / "suites").glob("*.yaml"))
    assert len(names("profile")) == len(list((root / "suites" / "profiles").glob("*.yaml")))
    assert len(names("recipe")) == len(list((root / "trainers" / "recipes").rglob("*.yaml")))
    assert len(names("launch")) == len(list((root / "trainers" / "launch").glob("*.yaml")))


def test_a_suite_that_a_loop_uses_is_no_loop() -> None:
    assert names("loop") == ["tiny"]


def test_a_profile_names_its_models() -> None:
    (tiny,) = [offer for offer in list_catalog() if (offer.kind, offer.name) == ("profile", "tiny")]
    assert tiny.what.startswith("base, sft, dpo")


def test_each_kind_says_how_its_names_are_used() -> None:
    lines = list(describe_catalog(list_catalog()))
    heads = [line for line in lines if not line.startswith("  ")]
    assert [head.partition(":")[0] for head in heads] == ["suite", "profile", "recipe", "loop", "study", "launch"]  # fmt: skip
    assert "harness run NAME --models a,b" in heads[0]


def test_installed_plug_ins_are_listed_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(tmp_path, monkeypatch)
    install(site, "listed", "1 / 0", metrics="ease = listed:EASE", judges="plain = listed:Plain")
    found = {(entry.kind, entry.name, entry.what) for entry in list_catalog()}
    assert found >= {("metric", "ease", "listed 1.0"), ("judge", "plain", "listed 1.0")}
    lines = list(describe_catalog(list_catalog()))
    assert "metric: {kind: plugin, scorer: NAME} in a suite" in lines
