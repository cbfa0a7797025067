"""Every folder of tests/cases is trouble that people meet, as commands of a user; it prints PASS, or FAIL and why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1] / "cases"
DOWNLOADS = HERE.parents[1] / "data" / "demo" / "downloads"
CASES = sorted(path.parent.name for path in HERE.glob("*/run.sh"))
MAY_SKIP = {"ok-user-without-name"}
"""Needs root, and a Python that other users may read."""
LIMIT_SECONDS = 600


def gguf() -> str:
    found = sorted(DOWNLOADS.rglob("*.gguf"))
    return str(found[0]) if found else ""


def test_the_cases_are_collected() -> None:
    assert len(CASES) >= 21


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_case_passes(name: str) -> None:
    environment = {"GGUF": gguf(), **os.environ, "SFT": str(Path(sys.executable).with_name("sft"))}
    command = ["bash", str(HERE / name / "run.sh")]
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", timeout=LIMIT_SECONDS, check=False
    )
    said = (ran.stdout.strip().splitlines() or [ran.stderr.strip()])[-1]
    print(said)
    if said.startswith("SKIP") and name in MAY_SKIP:
        pytest.skip(said)
    assert said.startswith("PASS"), said + ran.stderr
    assert ran.returncode == 0
