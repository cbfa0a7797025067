"""The type of a library's key as pydantic checks it, from the source text of its annotation; nothing is imported."""

import ast
from typing import Any, Literal, Union

from sft.config.library.keys import enum_values
from sft.config.library.source import find_class

_PLAIN: dict[str, Any] = {"bool": bool, "dict": dict, "float": float, "int": int, "list": list, "str": str}


def checked_type(annotation: str, module: str) -> Any:
    """The type that an annotation means, `Any` for what is no plain type.

    A text that stands for the members of an enumeration is one of their values.

    Args:
        annotation: source text, such as `Optional[Union[list[str], str]]`.
        module: where it is written; enumerations are looked up there.
    """
    return _type(ast.parse(annotation, mode="eval").body, module) if annotation else Any


def _type(node: ast.expr, module: str) -> Any:
    if isinstance(node, ast.Constant):
        return None if node.value is None else checked_type(str(node.value), module)
    if isinstance(node, ast.BinOp):
        return _union([node.left, node.right], module)
    if isinstance(node, ast.Subscript):
        return _subscript(node, module)
    return _named(node.id, module) if isinstance(node, ast.Name) else Any


def _subscript(node: ast.Subscript, module: str) -> Any:
    head = ast.unparse(node.value).rpartition(".")[2]
    parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if head == "Literal":
        return Literal[tuple(ast.literal_eval(part) for part in parts)]
    if head == "Optional":
        return Union[_type(parts[0], module), None]  # noqa: UP007  its parts are known only when it runs
    if head == "Union":
        return _union(parts, module)
    if head in ("list", "dict"):
        return _PLAIN[head][tuple(_type(part, module) for part in parts)]
    return Any


def _union(parts: list[ast.expr], module: str) -> Any:
    types = [_type(part, module) for part in parts]
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    if any(name not in _PLAIN and _named(name, module) is not Any for name in names):  # an enumeration
        types = [kind for kind in types if kind is not str]
    return Union[tuple(types)]  # noqa: UP007


def _named(name: str, module: str) -> Any:
    if name in _PLAIN:
        return _PLAIN[name]
    target = f"{module}:{name}"
    return Literal[enum_values(target)] if find_class(target) and enum_values(target) else Any
