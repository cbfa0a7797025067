"""Own code beside files that have the names of libraries."""

import sys
from pathlib import Path

import pytest

from sft.exceptions import UserError
from sft.registry import load, own_code_tree

MINE = "def my_score():\n    return 0.25\n"


def code(folder: Path, imports: str, call: str = "0.25", **files: str) -> str:
    """Own code that begins so, and files beside it."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "metric.py").write_text(f"{imports}\n\ndef score(predictions, references):\n    return {call}\n")
    return "metric.py:score"


@pytest.mark.parametrize(
    ("imports", "call"),
    [
        ("from evaluate import my_score", "my_score()"),
        ("import evaluate", "evaluate.my_score()"),
        ("import evaluate as own", "own.my_score()"),
    ],
)
def test_a_neighbour_that_a_library_hides_is_found_without_an_import(tmp_path: Path, imports: str, call: str) -> None:
    name = code(tmp_path, imports, call, evaluate=MINE)
    with pytest.raises(UserError, match=r"takes 'my_score' from evaluate, .*not evaluate.py beside it; rename"):
        own_code_tree(name, tmp_path)


def test_pythons_own_modules_hide_too(tmp_path: Path) -> None:
    name = code(tmp_path, "from random import my_score", "my_score()", random=MINE)
    with pytest.raises(UserError, match="takes 'my_score' from random"):
        own_code_tree(name, tmp_path)


@pytest.mark.parametrize(
    ("imports", "call", "files"),
    [
        ("import json", "json.loads('1')", {"json": "raise SystemExit"}),
        ("import evaluate", "evaluate.load('x')", {"evaluate": MINE}),
        ("from neighbour import my_score", "my_score()", {"neighbour": MINE}),
        ("from transformers import AutoTokenizer", "1", {"transformers": "AutoTokenizer = 1"}),
    ],
)
def test_what_is_meant_as_it_is_found_is_accepted(
    tmp_path: Path, imports: str, call: str, files: dict[str, str]
) -> None:
    assert own_code_tree(code(tmp_path, imports, call, **files), tmp_path)


def test_own_code_finds_its_neighbours_wherever_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "neighbour_of_mine", raising=False)
    name = code(tmp_path, "from neighbour_of_mine import my_score", "my_score()", neighbour_of_mine=MINE)
    assert load({}, name, "metric", tmp_path)([], []) == 0.25
    assert sys.path[-1] == str(tmp_path)
