"""The shape of the house: imports go down only, in no circle; heavy packages have one home; everything stays small."""

import ast
import re

import pytest

from tests.support.structure import PACKAGE, circles, import_graph, imported_modules, module_of

LEVELS = [
    {"cli"},
    {"api"},
    {"terminal"},
    {"worker", "deployment", "reporting"},
    {"experiments", "leaderboard"},
    {"pipeline"},
    {"training", "inference", "evaluation"},
    {"tasks", "objectives", "calibration", "tracking"},
    {"adapters"},
    {"initialization"},
    {"labels", "models", "data"},
    {"runs"},
    {"config"},
    {"prompts", "registry"},
    {"exceptions", "neighbours", "processes", "wording"},
]
INSIDE = {
    "experiments": [{"upkeep"}, {"running"}, {"planning"}, {"reusing"}, {"executors", "grids", "drafting"}],
    "leaderboard": [
        {"views"},
        {"completing", "baselines"},
        {"building"},
        {"verdict"},
        {"board"},
        {"effects", "details", "board_warnings"},
        {"statistics"},
        {"groups", "costs"},
        {"gathering", "settings"},
        {"joining", "origins"},
        {"collect"},
        {"records", "in_force", "setting_differences", "cache"},
    ],
}
"""Levels of the parts of a unit: its folders, and files that lie beside them."""

FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_FILES_IN_A_FOLDER = 20
ONLY_HOME = {"trl": "training"}


def level_of(levels: list[set[str]], part: str) -> int | None:
    return next((number for number, parts in enumerate(levels) if part in parts), None)


def upward_imports(module: str, imported: list[str]) -> list[str]:
    """The imports of a module that go up or to a sibling; both by dotted names."""
    own = module.split(".")[1:]
    found = []
    for other in imported:
        parts = other.split(".")[1:]
        if not own or not parts:
            continue
        if parts[0] != own[0]:
            mine, others = level_of(LEVELS, own[0]), level_of(LEVELS, parts[0])
        elif own[0] in INSIDE and len(own) > 1 and len(parts) > 1 and parts[1] != own[1]:
            mine, others = level_of(INSIDE[own[0]], own[1]), level_of(INSIDE[own[0]], parts[1])
        else:
            continue
        if mine is not None and others is not None and others <= mine:
            found.append(f"{module} imports {other}")
    return found


def test_every_unit_has_a_level() -> None:
    parts = {
        tuple(module_of(path).split(".")[1:3]) for path in FILES if path.parent != PACKAGE or path.stem != "__init__"
    }
    assert {part[0] for part in parts} <= set().union(*LEVELS)
    for unit, levels in INSIDE.items():
        assert {part[1] for part in parts if part[0] == unit and len(part) > 1} <= set().union(*levels)


def test_contributing_lists_the_units_from_the_top_down() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text.partition("## Where things lie")[2].partition("\n## ")[0], re.MULTILINE)
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == LEVELS


def test_imports_go_down_only() -> None:
    found = [line for module, others in import_graph().items() for line in upward_imports(module, sorted(others))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "imported", "is_upward"),
    [
        ("sft.data.rows", "sft.models.loading", True),
        ("sft.runs.files", "sft.api", True),
        ("sft.data.rows", "sft.runs.files", False),
        ("sft.training.stage", "sft.inference.limits", True),
        ("sft.experiments.grids.loading", "sft.experiments.planning.planning", True),
        ("sft.experiments.running.runner", "sft.experiments.executors.protocol", False),
        ("sft.leaderboard.records", "sft.leaderboard.collect", True),
        ("sft.leaderboard.views.pair", "sft.leaderboard.board", False),
        ("sft.leaderboard.board", "sft.reporting.files", True),
    ],
)
def test_the_import_rule_sees_what_it_must(module: str, imported: str, is_upward: bool) -> None:
    assert bool(upward_imports(module, [imported])) is is_upward


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(import_graph()) == []


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e"}}
    assert circles(graph) == [["b", "c"]]


def test_heavy_packages_have_one_home() -> None:
    found = []
    for path in FILES:
        for module in imported_modules(ast.parse(path.read_text())):
            home = ONLY_HOME.get(module.split(".")[0])
            if home is not None and module_of(path).split(".")[1] != home:
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


def test_folders_stay_small() -> None:
    sizes = {folder: len(list(folder.glob("*.py"))) for folder in {path.parent for path in FILES}}
    assert {str(folder.relative_to(PACKAGE)): n for folder, n in sizes.items() if n > MAX_FILES_IN_A_FOLDER} == {}
