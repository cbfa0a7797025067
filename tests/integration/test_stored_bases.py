"""Adapters on torchao, GPTQ, AWQ and quanto bases, in the environment that has their packages."""

import json
import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = REPOSITORY / ".venv-storages" / "bin" / "python"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="make storages builds the environment that this needs"),
]


def test_adapters_keep_their_promises_on_bases_of_other_packages(tmp_path: Path):
    ran = subprocess.run(
        [PYTHON, "-m", "tests.support.stored_bases", tmp_path],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout.strip().splitlines()[-1]) == {}
