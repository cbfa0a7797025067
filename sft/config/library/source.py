"""Classes of installed packages found in their source, without importing them: importing torch takes seconds."""

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sft.exceptions import PackageMissing

MAX_HOPS = 8


class SourceClass(NamedTuple):
    """A class statement and the module that holds it."""

    module: str
    node: ast.ClassDef


def find_class(target: str) -> SourceClass | None:
    """The class at `package.module:Name`, followed through re-exports; None where there is no such class.

    Raises:
        PackageMissing: the package is not installed.
    """
    module, _, name = target.partition(":")
    for _ in range(MAX_HOPS):
        top = _definitions(module).get(name)
        if isinstance(top, ast.ClassDef):
            return SourceClass(module, top)
        if top is None:
            return None
        module, name = top
    return None


def bases(found: SourceClass) -> list[SourceClass]:
    """The direct bases that are defined in installed source, in order."""
    known = []
    for base in found.node.bases:
        name = base.id if isinstance(base, ast.Name) else None
        parent = find_class(f"{found.module}:{name}") if name else None
        if parent is not None:
            known.append(parent)
    return known


def lineage(found: SourceClass) -> Iterator[SourceClass]:
    """The class, then its bases, nearest first."""
    yield found
    for base in bases(found):
        yield from lineage(base)


def class_names(module: str) -> list[str]:
    """Names of the classes that a module defines itself, in order."""
    return [name for name, top in _definitions(module).items() if isinstance(top, ast.ClassDef)]


def assigned_value(target: str) -> ast.expr | None:
    """The expression that a module assigns to a name at its top; None where there is no such assignment.

    Args:
        target: `package.module:NAME`.
    """
    module, _, name = target.partition(":")
    return _assignments(module).get(name)


@cache
def _assignments(module: str) -> dict[str, ast.expr]:
    path = _module_path(module)
    body = [] if path is None else ast.parse(path.read_bytes()).body
    found = [node for node in body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)]
    return {node.targets[0].id: node.value for node in found if isinstance(node.targets[0], ast.Name)}


@cache
def _definitions(module: str) -> dict[str, ast.ClassDef | tuple[str, str]]:
    """Classes of a module, and names that it imports as (module, name)."""
    path = _module_path(module)
    if path is None:
        return {}
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: dict[str, ast.ClassDef | tuple[str, str]] = {}
    for node in top_level(ast.parse(path.read_bytes()).body):
        if isinstance(node, ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            origin = _absolute(package, node)
            for alias in node.names:
                found.setdefault(alias.asname or alias.name, (origin, alias.name))
    return found


def top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module or class with those under `if` (TYPE_CHECKING, availability) and `try`."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from top_level(node.body)
            yield from top_level(node.orelse)


def _absolute(package: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parents = parts[: len(parts) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


@cache
def _module_path(module: str) -> Path | None:
    """Source file of a module; only the top package is looked up: looking up a submodule imports its parents."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top) if top else None
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        base = Path(folder, *rest)
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
    return None


def require_package(target: str) -> None:
    """Raises PackageMissing when the package of `package.module:Class` is not installed."""
    package = target.partition(":")[0].partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise PackageMissing(package, "checking its keys", f"pip install {package}")
