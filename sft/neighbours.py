"""Files beside a user's own code that it means to import and cannot, because a library has their name."""

import ast
import importlib.util
from collections import defaultdict
from pathlib import Path

DYNAMIC = (b"__getattr__", b"LazyModule", b"lazy_loader")
"""What stands in the source of a module that may have more attributes than it binds."""
STAR_DEPTH = 2
"""How far `import *` is followed; modules import each other in circles."""


def hidden_neighbour(tree: ast.Module, file: Path) -> str | None:
    """Why a file of own code will not find what lies beside it, in one line; None where it will. Imports nothing.

    A library goes before the folder of own code. That is what most own code wants, so only the use of something tells:
    what the file beside it defines and the library does not.

    Args:
        tree: the parsed file.
        file: where it lies.
    """
    for name, wanted in _wanted_of_modules(tree).items():
        beside = next((path for path in _places(file.parent, name) if path.is_file()), None)
        if beside is None:
            continue
        library = _origin(name)
        if library is None or library == beside.resolve():
            continue
        missing = sorted((wanted & (_names(beside) or set())) - (_names(library) or wanted))
        if missing:
            return (
                f"{file.name} takes {missing[0]!r} from {name}, which is the library {library} and has none, not "
                f"{beside.relative_to(file.parent)} beside it; rename that one, and the import"
            )
    return None


def _wanted_of_modules(tree: ast.Module) -> dict[str, set[str]]:
    """Modules that the source imports -> the names it uses of them."""
    wanted: dict[str, set[str]] = defaultdict(set)
    called: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            called |= {alias.asname or alias.name: alias.name for alias in node.names if "." not in alias.name}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            name, _, inner = node.module.partition(".")
            wanted[name] |= {inner.partition(".")[0]} if inner else {alias.name for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in called:
            wanted[called[node.value.id]].add(node.attr)
    return wanted


def _places(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.py", folder / name / "__init__.py"


def _origin(name: str) -> Path | None:
    """The file that an import of this name takes; None where there is none, or it is built in."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin).resolve()


def _names(file: Path, depth: int = 0) -> set[str] | None:
    """All names that a module's source binds anywhere, and its submodules; None where only an import would tell."""
    try:
        source = file.read_bytes()
        if any(sign in source for sign in DYNAMIC):
            return None
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return None
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound = {alias.asname or alias.name for alias in node.names}
            if "*" in bound:
                starred = _names_of_star(node, file, depth + 1)
                if starred is None:
                    return None
                bound = starred
            found |= bound
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    inside = file.parent.iterdir() if file.name == "__init__.py" else ()
    return found | {path.stem for path in inside}


def _names_of_star(node: ast.Import | ast.ImportFrom, file: Path, depth: int) -> set[str] | None:
    """What `from .module import *` takes from a module beside `file`; None for one from elsewhere."""
    if depth > STAR_DEPTH or not isinstance(node, ast.ImportFrom) or node.level != 1 or not node.module:
        return None
    place = next((path for path in _places(file.parent, node.module.replace(".", "/")) if path.is_file()), None)
    return None if place is None else _names(place, depth)
