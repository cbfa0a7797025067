"""Names to objects: each extension folder maps a name to `package.module:object` as text, or to the object itself.

Nothing that is text is imported to list or check names; `load` imports the one entry that is used. The same text form
is what a user writes for own code, with a file in place of the package: `file.py:function`.
"""

import ast
import difflib
import functools
import importlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sft.exceptions import UserError
from sft.neighbours import hidden_neighbour

Registry = Mapping[str, Any]

_SNAPSHOTS: dict[Path, str] = {}
"""File of own code -> the source that this process runs in its place."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, be it by its capital letters alone, or None when none is close."""
    names = list(known)
    matches = [other for other in names if other.casefold() == name.casefold()]
    matches = matches or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """One line that says a name is unknown, which is nearest, and which there are."""
    names = sorted(known)
    hint = nearest(name, names)
    suggestion = f" (did you mean {hint}?)" if hint else ""
    return f"unknown {what} {name!r}{suggestion}; known: {', '.join(names)}"


def is_own_code(name: str) -> bool:
    """Whether a user's name points at code outside the registries (`file.py:f` or `package.module:f`)."""
    head, separator, tail = name.rpartition(":")
    return (
        bool(separator)
        and tail.isidentifier()
        and (head.endswith(".py") or all(map(str.isidentifier, head.split("."))))
    )


def own_code_file(name: str, folder: Path) -> Path:
    """The source file behind own code, found without importing it.

    Args:
        name: `file.py:function`, relative to `folder`, or `package.module:function`.
        folder: the folder of the grid or config file.

    Raises:
        UserError: there is no such file or module.
    """
    head = name.rpartition(":")[0]
    if head.endswith(".py"):
        path = (folder / head).resolve()
        if path not in _SNAPSHOTS and not path.is_file():
            raise UserError(f"{name!r}: no file {path}")
        return path
    try:
        spec = importlib.util.find_spec(head)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise UserError(f"{name!r}: no module {head} can be imported; install its package or write file.py:function")
    return Path(spec.origin)


def own_code_source(name: str, folder: Path) -> bytes:
    """What the file behind own code holds now.

    Args:
        name: as for `own_code_file`.
        folder: the folder of the grid or config file.

    Raises:
        UserError: there is no such file or module.
    """
    return own_code_file(name, folder).read_bytes()


def is_file_code(name: str) -> bool:
    """Whether own code is named by its file, `file.py:function`."""
    return is_own_code(name) and name.rpartition(":")[0].endswith(".py")


def run_snapshots(sources: Mapping[str, str], folder: Path) -> None:
    """Run own code of files from these sources from now on, whatever becomes of the files.

    A grid runs for hours, and an edit in the middle must not change what stands under a key that was made before it.

    Args:
        sources: `file.py:function`, relative to `folder` -> source text.
        folder: the folder of the grid or config file.
    """
    for name, source in sources.items():
        _SNAPSHOTS[(folder / name.rpartition(":")[0]).resolve()] = source


def own_code_tree(name: str, folder: Path) -> ast.Module:
    """The parsed file behind own code, after a look that it defines the object; nothing is imported.

    Args:
        name: as for `own_code_file`.
        folder: the folder of the grid or config file.

    Raises:
        UserError: there is no such file, it is not Python, it binds no such name at module level, or it takes a
            library for a file that lies beside it.
    """
    path = own_code_file(name, folder)
    attribute = name.rpartition(":")[2]
    try:
        tree = _parsed(_source_of(path), str(path))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{name!r}: {path} is not Python: {error}") from error
    bound = {bound for node in tree.body for bound in _bound_names(node)}
    if attribute not in bound:
        hint = nearest(attribute, bound)
        raise UserError(f"{name!r}: {path} defines no {attribute!r}" + (f"; did you mean {hint}?" if hint else ""))
    if is_file_code(name) and (hidden := hidden_neighbour(tree, path)):
        raise UserError(f"{name!r}: {hidden}")
    return tree


@functools.lru_cache(maxsize=64)
def _parsed(source: str | bytes, filename: str) -> ast.Module:
    """The tree of a source; thousands of experiments name the same file."""
    return ast.parse(source, filename=filename)


def load(registry: Registry, name: str, what: str, folder: Path | None = None) -> Any:
    """The object that `name` stands for: an entry of the registry, or a user's own code.

    Raises:
        UserError: the name is neither known nor own code, or the own code has no such object.
    """
    if name in registry:
        entry = registry[name]
        return import_object(entry) if isinstance(entry, str) else entry
    if not is_own_code(name):
        raise UserError(unknown_name(what, name, registry))
    head, _, attribute = name.rpartition(":")
    if head.endswith(".py"):
        return _from_file(own_code_file(name, folder or Path.cwd()), attribute, name)
    return import_object(name)


def import_object(target: str) -> Any:
    """The object at `package.module:object`."""
    module_name, _, attribute = target.partition(":")
    module = sys.modules.get(module_name)  # asked for thousands of times, and the import system is slow to say so
    if not hasattr(module, attribute):
        module = importlib.import_module(module_name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise UserError(f"{target!r}: module {module_name} has no {attribute!r}") from None


def _from_file(path: Path, attribute: str, name: str) -> Any:
    module_name = f"sft_own_code_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path, loader=_SourceLoader(module_name, str(path)))
    if spec is None or spec.loader is None:
        raise UserError(f"{name!r}: {path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # its neighbours, behind every library
    spec.loader.exec_module(module)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise UserError(f"{name!r}: {path} defines no {attribute!r}") from None


def _source_of(path: Path) -> str | bytes:
    """The snapshot that this process runs, else what the file holds now."""
    return _SNAPSHOTS[path] if path in _SNAPSHOTS else path.read_bytes()


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles the source that is in force; a compiled file on disk may be of another one."""

    def get_code(self, fullname: str) -> types.CodeType:
        return self.source_to_code(_source_of(Path(self.path)), self.path)


def _bound_names(node: ast.stmt) -> set[str]:
    """Names that a statement at module level binds."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {target.id for target in targets if isinstance(target, ast.Name)}
    return set()
