"""The shape of the house: imports go down only, heavy packages stay out of what checks import, files stay small."""

import ast
from collections.abc import Iterator, Mapping
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


def arrows(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Module -> the modules of `sources` (text by dotted name) that it imports anywhere, for type checks too."""
    return {
        module: {
            name
            for imported in imported_modules(ast.parse(text))
            for name in (imported, imported.rpartition(".")[0])
            if name in sources and name != module
        }
        for module, text in sources.items()
    }


def circles(found: Mapping[str, set[str]]) -> list[str]:
    """The modules that lead back to themselves, each with those that it leads to and that lead to it."""
    reached: dict[str, set[str]] = {}
    for module in found:
        seen: set[str] = set()
        ahead = [module]
        while ahead:
            new = found[ahead.pop()] - seen
            seen |= new
            ahead += new
        reached[module] = seen
    return [
        " <-> ".join(sorted(other for other in reached[module] if module in reached[other]))
        for module in found
        if module in reached[module]
    ]


def test_no_circle_between_files() -> None:
    sources = {dotted(path): path.read_text() for path in FILES}
    found = sorted(set(circles(arrows(sources))))
    assert not found, "\n".join(found)


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({"sft.a": "from sft.b import f", "sft.b": "def f():\n    import sft.c", "sft.c": "from sft import a"}, True),
        ({"sft.a": "if TYPE_CHECKING:\n    from sft.b import B", "sft.b": "from sft.a import A"}, True),
        ({"sft.a": "from sft.b import f", "sft.b": "from sft.c import f", "sft.c": ""}, False),
    ],
)
def test_a_circle_is_seen(sources: dict[str, str], found: bool) -> None:
    assert bool(circles(arrows(sources))) is found


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
