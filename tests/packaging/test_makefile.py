"""The packages that the Makefile installs."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def dry_run(target):
    """Return the commands that a target would run in a checkout without an environment."""
    command = ["make", "--dry-run", "VENV=nowhere/env", target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "target, extras", [("demo", {"tensorflow-cpu"}), ("env", {"tensorflow-cpu", "dev"})]
)
def test_targets_install_what_they_need_and_no_more(target, extras):
    installed = re.findall(r'--editable "\.\[([\w,-]+)\]"', dry_run(target))
    assert set(",".join(installed).split(",")) == extras
