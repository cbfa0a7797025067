"""No fragments: a small file has several users, and a function that is called once says more than its body."""

import ast
from collections import Counter
from collections.abc import Iterator

from tests.support.structure import PACKAGE, import_graph, module_of

SMALL_FILE_LINES = 40
FEW_STATEMENTS = 4
SHORT_BODY_LINES = 3
"""A longer body is slower to read than a name, so that the name says more; so does one with a docstring."""

SMALL_FILES = frozenset({"config/evaluation.py", "config/resources.py"})
"""Small files with one importer that are left; this list may only shrink."""

ONCE_CALLED: frozenset[str] = frozenset()
"""Short functions called once that are left; this list may only shrink."""

MAX_LEFT = 20


def small_files() -> Iterator[str]:
    """Files that are small, have fewer than two importers and stand in no registry."""
    importers = Counter(other for others in import_graph().values() for other in others)
    registries = "\n".join(path.read_text() for path in PACKAGE.rglob("__init__.py"))
    for path in PACKAGE.rglob("*.py"):
        module = module_of(path)
        is_entry = path.stem in ("__init__", "__main__") or f'"{module}:' in registries
        if path.read_text().count("\n") < SMALL_FILE_LINES and importers[module] < 2 and not is_entry:
            yield path.relative_to(PACKAGE).as_posix()


def once_called(text: str) -> Iterator[str]:
    """Private functions of a file that it calls once, and whose body is as short as their name's explanation."""
    tree = ast.parse(text)
    uses = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    uses += Counter(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {function.id for function in calls if isinstance(function, ast.Name)}
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or node.decorator_list or not node.name.startswith("_"):
            continue
        statements = sum(isinstance(part, ast.stmt) for child in node.body for part in ast.walk(child))
        lines = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
        is_short = statements < FEW_STATEMENTS and lines <= SHORT_BODY_LINES and ast.get_docstring(node) is None
        if is_short and uses[node.name] == 1 and node.name in called:
            yield node.name


def test_small_files_have_several_importers() -> None:
    assert set(small_files()) == SMALL_FILES
    assert len(SMALL_FILES) <= MAX_LEFT


def test_functions_called_once_say_more_than_their_body() -> None:
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}:{function}"
        for path in PACKAGE.rglob("*.py")
        for function in once_called(path.read_text())
    }
    assert found == ONCE_CALLED
    assert len(ONCE_CALLED) <= MAX_LEFT


def test_a_function_that_only_renames_is_found() -> None:
    text = "def _least(x):\n    return x['least']\n\n\ndef f(x):\n    return _least(x)\n"
    assert list(once_called(text)) == ["_least"]
    assert list(once_called(text + "\n\ndef g(x):\n    return _least(x)\n")) == []
