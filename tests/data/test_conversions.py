"""Sources that name a conversion: made on first use, kept by content, told in the card."""

import json
import os
from pathlib import Path

import pytest
from huggingface_hub import constants

from harness.config import Conversion, ConvertOptions, Source, load_profile
from harness.core.errors import HarnessError, InfrastructureError
from harness.data.conversions import (
    conversion_facts,
    is_available,
    is_cached,
    read_summary,
    resolve_conversion,
    unavailable_reason,
)
from tests.builders.commands import harness
from tests.loopback.files_hub import serve_files
from trainers.examples import load_examples, load_samples
from trainers.recipe import GivenPairsRecipe, TrainingSource, known_recipes, load_recipe

FIELDS = {"id": "id", "input": "input", "reference": "reference"}
STUDIES = ("medical_llama3", "llama31_medical", "biomistral")
ROWS = [
    {"instruction": f"Is number {n} bad?", "input": "", "output": f"No, {n} is common."}
    for n in range(40)
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))


def write_source(folder: Path, rows: list[dict[str, str]] = ROWS, more: str = "") -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "alpaca.jsonl").write_text(text, encoding="utf-8")
    (folder / "alpaca.yaml").write_text(f"path: alpaca.jsonl\n{more}", encoding="utf-8")


def source(**options: object) -> Source:
    conversion = {"source": "alpaca.yaml", "to": "sft"} | options
    return Source.model_validate({"convert": conversion, "fields": FIELDS})


def test_a_recipe_reads_what_its_conversion_makes(tmp_path: Path):
    write_source(tmp_path)
    made = source(take=10, seed=3)
    rows = load_examples([TrainingSource.model_validate(made.model_dump())], tmp_path)
    assert len(rows) == 10
    assert rows[0].completion.endswith("is common.")


def test_a_second_use_converts_nothing(tmp_path: Path):
    write_source(tmp_path)
    first = Path(str(resolve_conversion(source(), tmp_path).path))
    made = first.stat().st_mtime_ns
    assert is_cached(source().convert, tmp_path)  # type: ignore[arg-type]
    assert resolve_conversion(source(), tmp_path).path == str(first)
    assert first.stat().st_mtime_ns == made


def test_other_options_other_rows_and_other_prompts_are_other_conversions(tmp_path: Path):
    write_source(tmp_path)
    (tmp_path / "kind.md").write_text("Be kind.")
    places = [resolve_conversion(source(), tmp_path).path]
    places.append(resolve_conversion(source(seed=2), tmp_path).path)
    places.append(resolve_conversion(source(system="kind.md"), tmp_path).path)
    (tmp_path / "kind.md").write_text("Be brief.")
    places.append(resolve_conversion(source(system="kind.md"), tmp_path).path)
    write_source(tmp_path, ROWS[:-1])
    places.append(resolve_conversion(source(), tmp_path).path)
    assert len(set(places)) == 5


def test_the_two_sides_of_a_split_share_one_conversion(tmp_path: Path):
    write_source(tmp_path)
    train, kept = (
        load_samples(source(split=0.5, side=side), tmp_path) for side in ("train", "eval")
    )
    assert len(train) + len(kept) == 40
    assert not {sample.id for sample in train} & {sample.id for sample in kept}
    assert len(list((tmp_path / "cache" / "converted").glob("alpaca-*"))) == 1


def test_a_damaged_file_is_made_again(tmp_path: Path):
    write_source(tmp_path)
    path = Path(str(resolve_conversion(source(), tmp_path).path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert Path(str(resolve_conversion(source(), tmp_path).path)).read_bytes() == whole


def test_what_became_of_every_row_is_told(tmp_path: Path):
    write_source(tmp_path, [*ROWS, ROWS[0], ROWS[1] | {"output": ""}])
    made = source(take=30)
    assert conversion_facts([made], tmp_path) == {
        "rows of alpaca.yaml": "42 in, 30 out; dropped: duplicate 1, empty_answer 1, not_taken 10"
    }
    assert made.convert is not None
    assert read_summary(made.convert, tmp_path).kept == 30


def test_protected_health_information_stays_marked(tmp_path: Path):
    write_source(tmp_path, more="phi: true\n")
    assert resolve_conversion(source(), tmp_path).phi


def test_a_label_tells_what_is_converted_and_no_folder_of_this_machine(tmp_path: Path):
    assert source(split=0.5, side="eval").label == "alpaca.yaml (converted, eval)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": 0.5}, "go together"),
        ({"side": "eval"}, "go together"),
        ({"to": "dpo"}, "sft"),
        ({"taek": 3}, "taek"),
    ],
)
def test_a_conversion_that_cannot_be_is_refused(changes: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        source(**changes)


def test_a_source_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(HarnessError, match=r"alpaca\.yaml: no such source to convert"):
        load_samples(source(), tmp_path)


def test_a_source_is_converted_once_only(tmp_path: Path):
    (tmp_path / "alpaca.yaml").write_text("convert: {source: other.yaml, to: sft}\n")
    with pytest.raises(HarnessError, match="is converted itself"):
        load_samples(source(), tmp_path)


def test_a_conversion_takes_the_options_of_the_command():
    assert set(Conversion.model_fields) == {*ConvertOptions.model_fields, "source", "side"}


def test_hub_data_that_cannot_be_had_are_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "alpaca.yaml").write_text(f"hub: me/rows\nrevision: {'a' * 40}\n")
    assert not is_available(source(), tmp_path)
    assert "the hub is switched off" in (unavailable_reason(source(), tmp_path) or "")
    with pytest.raises(
        InfrastructureError, match=r"hub:me/rows@aaaa.*Connect to the internet once"
    ):
        load_samples(source(), tmp_path)


# --- the studies -----------------------------------------------------------------------------


def sources_of(recipe: object) -> list[Source]:
    data = getattr(recipe, "data", ())
    return [data] if isinstance(data, Source) else list(data)


@pytest.mark.parametrize("study", STUDIES)
def test_a_studys_recipes_and_profile_need_no_command_before_them(study: str):
    recipes = [load_recipe(name) for name in known_recipes() if name.startswith(f"{study}/")]
    sources = [(s, root) for recipe, root in recipes for s in sources_of(recipe)]
    profile, root = load_profile(study)
    sources += [(s, root) for s in profile.data.values()]
    assert any(source.convert for source, _ in sources)
    for each, root in sources:
        assert each.path is None
        is_available(each, root)  # raises where a conversion names no source


@pytest.mark.data
@pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set")
@pytest.mark.parametrize(
    ("name", "n"),
    [("biomistral/sft.yaml", 504), ("biomistral/pairs_gold.yaml", 504),
     ("llama31_medical/sft.yaml", 883), ("llama31_medical/pairs_given.yaml", 100)],
)  # fmt: skip
def test_a_studys_rows_are_made_from_the_real_data(name: str, n: int):
    recipe, root = load_recipe(name)
    (only,) = sources_of(recipe)
    path = Path(str(resolve_conversion(only, root).path))
    assert len(path.read_text(encoding="utf-8").splitlines()) == n
    assert isinstance(recipe, GivenPairsRecipe) or len(load_samples(
        Source.model_validate(only.model_dump(exclude={"system", "repeat"})), root)) == n  # fmt: skip


def test_a_studys_plan_fetches_hub_data_once_and_counts_them(tmp_path: Path):
    name = "datasets/Malikeh1375/medical-question-answering-datasets"
    card = "---\nconfigs:\n- config_name: all-processed\n  data_files: all.jsonl\n---\n"
    files = {
        "README.md": card.encode(),
        "all.jsonl": "".join(
            json.dumps(
                {"instruction": "Answer.", "input": row["instruction"], "output": row["output"]}
            )
            + "\n"
            for row in [row for n in range(130) for row in numbered(n)]
        ).encode(),
    }
    commit = "29833779cb5921f474d9f469aa85c115277bf489"
    away = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "")
    here = {"HF_HOME": str(tmp_path / "hub"), "HARNESS_CACHE_DIR": str(tmp_path / "cache")}
    command = ("plan", "medical_rubric", "--models", "sft,dpo", "--profile", "medical_llama3")
    with serve_files({name: files}, commit) as (url, asked):
        for _ in range(2):
            done = harness(*command, cwd=tmp_path, env=away | here | {"HF_ENDPOINT": url})
            assert done.returncode == 0, done.stderr
            assert "4,750 rows, 1,188 optimiser steps" in done.stdout
            assert "9,000 answers to 4,500 prompts" in " ".join(done.stdout.split())
        assert sum(path.endswith("all.jsonl") for path in asked) <= 2  # a HEAD and a GET
    offline = harness(*command, cwd=tmp_path, env=away | here | {"HF_HUB_OFFLINE": "1"})
    assert "4,750 rows, 1,188 optimiser steps" in offline.stdout


def numbered(block: int) -> list[dict[str, str]]:
    return [row | {"instruction": f"{row['instruction']} It is block {block}."} for row in ROWS]
