"""Modules of the package in processes of their own, started in a folder whose files have the names of libraries."""

import subprocess
import sys
from pathlib import Path

import pytest

from sft.processes.child import module_command

TAKEN = ("json", "random", "typing", "types", "functools", "contextlib", "numpy", "torch", "tokenizers", "sft")
"""Names that a user's files have here."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in TAKEN:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the {name} of a user')")
    (tmp_path / "neighbour.py").write_text("import random, json\nprint('found', bool(random.random and json.loads))\n")
    return tmp_path


def test_no_file_of_the_working_folder_takes_a_librarys_name(folder: Path) -> None:
    command = module_command("sft.worker", places=[str(folder)])
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "usage: python -m sft.worker JOB_FOLDER\n")


@pytest.mark.slow
def test_a_command_imports_from_the_working_folder_last(tmp_path: Path) -> None:
    for name in ("json", "random", "typing", "numpy", "rich", "typer"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the {name} of a user')")
    command = [sys.executable, "-m", "sft.cli", "methods"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, "pissa" in ended.stdout) == (0, True), ended.stderr
