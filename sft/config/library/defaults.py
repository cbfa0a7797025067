"""What a pass-through key means where it is left out: read from the installed package's source, never imported."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sft.config.canonical import canonical_json
from sft.config.library.keys import FieldInfo, dataclass_fields, init_parameters
from sft.config.library.source import SourceClass, find_class, lineage, top_level

GENERATION_CONFIG = "transformers.generation.configuration_utils:GenerationConfig"
_GENERATION_DEFAULTS = "_get_default_generation_params"
"""The method of `GenerationConfig` whose result fills what is None when texts are generated."""
_FACTORIES: Mapping[str, Any] = {"list()": [], "dict()": {}}


@cache
def dataclass_defaults(target: str) -> Mapping[str, Any]:
    """Field of the dataclass `package.module:Class` -> its default, of those whose default the source tells.

    Raises:
        LookupError: the installed package has no such class.
        PackageMissing: the package is not installed.
    """
    return _told(target, dataclass_fields(target))


@cache
def init_defaults(target: str) -> Mapping[str, Any]:
    """The same of the parameters of a class's `__init__`."""
    return _told(target, init_parameters(target))


@cache
def generation_defaults() -> Mapping[str, Any]:
    """What `generate` takes for a setting that neither the user nor the model's own settings have."""
    found = find_class(GENERATION_CONFIG)
    for node in ast.walk(found.node) if found else ():
        if isinstance(node, ast.FunctionDef) and node.name == _GENERATION_DEFAULTS:
            returned = next(item.value for item in ast.walk(node) if isinstance(item, ast.Return))
            if returned is not None:
                return dict(ast.literal_eval(returned))
    return {}


def is_default(key: str, value: Any, defaults: Mapping[str, Any]) -> bool:
    """Whether a written value is what the key means where it is left out."""
    if key not in defaults:
        return False
    kind, default = type(value), defaults[key]
    if kind is type(default) and kind in _EQUAL_AS_JSON:
        return bool(value == default)
    return canonical_json(value) == canonical_json(default)


_EQUAL_AS_JSON = frozenset({int, bool, type(None)})
"""Types whose values are the same JSON where they are equal, and only there; thousands of them are compared."""


def without_defaults(written: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What of a section counts: all that is written and is not the default."""
    return {key: value for key, value in written.items() if not is_default(key, value, defaults)}


def _told(target: str, fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    found = find_class(target)
    texts = {name: info.default_text for name, info in fields.items() if info.default_text is not None}
    values = ((name, value) for name, text in texts.items() for value in _values(text, found))
    return dict(values)


def _values(text: str, found: SourceClass | None) -> Iterator[Any]:
    """The value of a default's source text; nothing where it is not a plain one."""
    if text in _FACTORIES:
        yield _FACTORIES[text]
        return
    node = ast.parse(text, mode="eval").body
    try:
        yield ast.literal_eval(node)
    except ValueError:
        if found is not None and isinstance(node, ast.Name):
            yield from _class_variable(node.id, found)
        elif found is not None and isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            enumeration = find_class(f"{found.module}:{node.value.id}")
            yield from [] if enumeration is None else _assigned(node.attr, enumeration)[-1:]


def _class_variable(name: str, found: SourceClass) -> Iterator[Any]:
    """The value that the body of a class, or of a base, gives a name last: by then it has asked for recent libraries,
    which ours are."""
    for ancestor in lineage(found):
        values = _assigned(name, ancestor)
        if values:
            yield values[-1]
            return


def _assigned(name: str, found: SourceClass) -> list[Any]:
    """The plain values that a class's body assigns to a name, also under `if`, in order."""
    return [
        node.value.value
        for node in top_level(found.node.body)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and ast.unparse(node.targets[0]) == name
    ]
