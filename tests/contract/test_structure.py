"""The shape of the house: imports go down only, heavy packages stay out of what checks import, files stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "sft"
LEVELS = [
    {"cli", "worker"},
    {"api"},
    {"experiments", "reporting", "deployment"},
    {"pipeline"},
    {"training", "inference", "evaluation"},
    {"tasks", "objectives", "calibration", "tracking"},
    {"adapters"},
    {"initialization"},
    {"labels", "models", "data"},
    {"runs"},
    {"config"},
    {"registry"},
    {"errors", "neighbours", "processes", "wording"},
]
LEVEL_OF = {unit: number for number, units in enumerate(LEVELS) for unit in units}
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
ONLY_HOME = {"trl": "training"}


def unit_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def upward_imports(path: Path, text: str) -> list[str]:
    """Imports of `text`, standing at `path`, that go up or to a sibling."""
    unit = unit_of(path)
    found = []
    for module in imported_modules(ast.parse(text)):
        parts = module.split(".")
        if parts[0] != "sft" or len(parts) < 2:
            continue
        other = parts[1]
        if other in LEVEL_OF and other != unit and LEVEL_OF[other] <= LEVEL_OF[unit]:
            found.append(f"{path.relative_to(PACKAGE)} imports sft.{other}")
    return found


def test_every_unit_has_a_level() -> None:
    units = {unit_of(path) for path in FILES} - {"__init__"}
    assert units <= set(LEVEL_OF), units - set(LEVEL_OF)


def test_imports_go_down_only() -> None:
    found = [line for path in FILES if unit_of(path) != "__init__" for line in upward_imports(path, path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("place", "text", "is_upward"),
    [
        ("data/rows.py", "from sft.models import loading", True),
        ("runs/files.py", "def f():\n    import sft.api", True),
        ("data/rows.py", "from sft.runs import files", False),
        ("training/stage.py", "from sft.inference.limits import prompt_limit", True),
    ],
)
def test_the_import_rule_sees_what_it_must(place: str, text: str, is_upward: bool) -> None:
    assert bool(upward_imports(PACKAGE / place, text)) is is_upward


def test_heavy_packages_have_one_home() -> None:
    found = []
    for path in FILES:
        for module in imported_modules(ast.parse(path.read_text())):
            home = ONLY_HOME.get(module.split(".")[0])
            if home is not None and unit_of(path) != home:
                found.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not found, found


def test_files_and_functions_stay_small() -> None:
    found = []
    for path in FILES:
        text = path.read_text()
        if text.count("\n") > MAX_FILE_LINES:
            found.append(f"{path.relative_to(PACKAGE)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    found.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}: {lines} lines")
    assert not found, "\n".join(found)
