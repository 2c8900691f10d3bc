"""What is printed in a GitHub workflow holds no command to its runner."""

import os
import subprocess
import sys

import pytest

from harness.cli.streams import defuse_commands


@pytest.mark.parametrize(
    ("before", "text", "written"),
    [
        ("", "::error::hacked", ": :error::hacked"),
        ("", "fine\n  ::add-mask::x", "fine\n  : :add-mask::x"),
        (":", ":error::", " :error::"),
        ("a", "::b", "::b"),
        ("", "x ##[error]y", "x ## [error]y"),
        ("x ##", "[error]", " [error]"),
        ("", "std::vector and a:b", "std::vector and a:b"),
    ],
)
def test_commands_lose_their_form(before: str, text: str, written: str) -> None:
    assert defuse_commands(before, text) == written


def test_a_name_in_an_error_is_no_command() -> None:
    env = os.environ | {"GITHUB_ACTIONS": "true"}
    code = (
        "import sys; from harness.cli.streams import protect_output; protect_output();"
        "sys.stdout.write(':'); sys.stdout.write(':error::x\\n::warning::y\\n'); sys.stdout.flush()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == ": :error::x\n: :warning::y\n"
