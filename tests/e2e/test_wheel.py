"""The wheel as somebody else installs it: one name, and everything a run needs inside."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.core.paths import bundle_root
from tests.builders.commands import environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(bundle_root())]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_installs_one_name(wheel: Path) -> None:
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"harness"}


def test_launch_configurations_come_along(wheel: Path) -> None:
    here = {path.name for path in (bundle_root() / "trainers" / "launch").glob("*.yaml")}
    folder = "harness/_bundle/trainers/launch/"
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith(folder)}
    assert inside == {folder + name for name in here}


def test_suites_work_by_name_far_from_a_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import harness, judges\n"
        f"assert harness.__file__.startswith({str(site)!r}), harness.__file__\n"
        f"assert judges.__file__.startswith({str(site)!r}), judges.__file__\n"
        "from harness.cli import main\n"
        "sys.argv = ['harness', 'plan', 'suites/medical_alignment.yaml', '--models', 'base,sft']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "144" in done.stdout


def test_a_foreign_judges_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "judges.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport judges\nimport harness\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "'judges' was already imported from" in done.stderr
