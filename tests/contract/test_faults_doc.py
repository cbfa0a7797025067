"""The table of faults names every row once, and only tests that there are."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINES = (ROOT / "docs" / "faults.md").read_text("utf-8").splitlines()
N_ROWS = 77
ROW = re.compile(r"\| (\d+) \|")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
OF_ROW = re.compile(r"test_\w+__row_(\d+)")
WITHOUT = ("not built: ", "needs a GPU: ")


def rows() -> list[tuple[int, str]]:
    """Number and line of every row, in order."""
    return [(int(found[1]), line) for line in LINES if (found := ROW.match(line))]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def named(line: str) -> set[tuple[str, str]]:
    """File and name of the tests of a row."""
    return {(found[1], found[2]) for found in TEST.finditer(line)}


@cache
def defined_in(file: str) -> frozenset[str]:
    """The tests of a file, without importing it."""
    path = ROOT / file
    tree = ast.parse(path.read_text("utf-8")) if path.is_file() else ast.Module([], [])
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def fault_tests() -> list[tuple[int, str, str]]:
    """Row, file and name of every test that is named after a row."""
    files = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "tests" / "faults").glob("test_*.py"))]
    return [
        (int(found[1]), file, name)
        for file in files
        for name in sorted(defined_in(file))
        if (found := OF_ROW.fullmatch(name))
    ]


def test_every_row_stands_in_the_table_once_and_in_order() -> None:
    assert [number for number, _ in rows()] == list(range(1, N_ROWS + 1))


@pytest.mark.parametrize(("number", "line"), rows(), ids=lambda value: value if isinstance(value, int) else "")
def test_a_row_says_what_happens_and_names_tests_or_why_there_are_none(number: int, line: str) -> None:
    _, fault, response, tests = cells(line)
    assert fault
    assert response
    said = re.sub(r"`[^`]*`|<br>|\s", "", tests)
    assert named(line) or tests.startswith(WITHOUT), tests
    assert tests.count("::") == len(named(line)), "twice, or not as `tests/file.py::test_name`"
    assert not said or any(text in tests for text in WITHOUT), said


def test_every_named_test_exists() -> None:
    unknown = {(file, name) for _, line in rows() for file, name in named(line) if name not in defined_in(file)}
    assert not unknown


def test_every_test_that_is_named_after_a_row_stands_there() -> None:
    lines = dict(rows())
    faults = fault_tests()
    assert len(faults) > N_ROWS
    assert [test for test in faults if (test[1], test[2]) not in named(lines[test[0]])] == []
    others = {
        (row, name)
        for row, line in rows()
        for _, name in named(line)
        if (found := OF_ROW.fullmatch(name)) and int(found[1]) != row
    }
    assert not others
