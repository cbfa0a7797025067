"""The keys that pass-through sections may have: read from the installed package's source, which is never imported."""

import ast
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from sft.config.library.source import (
    SourceClass,
    assigned_value,
    bases,
    class_names,
    find_class,
    lineage,
    require_package,
)

SFT_CONFIG = "trl.trainer.sft_config:SFTConfig"
LORA_CONFIG = "peft.tuners.lora.config:LoraConfig"
GENERATION_CONFIG = "transformers.generation.configuration_utils:GenerationConfig"
QUANTIZATION_MODULE = "transformers.utils.quantization_config"
QUANTIZATION_BASE = "QuantizationConfigMixin"


class FieldInfo(NamedTuple):
    """One key of a library's class, as its source has it."""

    default_text: str | None
    """Source text of the default (`2e-05`, `None`, `list()`); None where the key is required."""

    annotation: str
    """Source text of its type; empty where there is none."""


@cache
def dataclass_fields(target: str) -> dict[str, FieldInfo]:
    """Fields that the constructor of a dataclass takes, those of its bases included, in the constructor's order.

    Args:
        target: `package.module:Class`.

    Raises:
        LookupError: the installed package has no such class.
        PackageMissing: the package is not installed.
    """
    fields: dict[str, FieldInfo | None] = {}
    _collect_fields(_class(target), fields)
    return {name: info for name, info in fields.items() if info is not None}


@cache
def init_parameters(target: str) -> dict[str, FieldInfo]:
    """Named parameters of a class's `__init__`, its own or inherited; those behind `**kwargs` are not known.

    Raises:
        LookupError: the installed package has no such class.
        PackageMissing: the package is not installed.
    """
    init = _init(_class(target))
    return {} if init is None else _parameters(init.args)


@cache
def mapping_entries(target: str) -> Mapping[str, str]:
    """The entries of an `OrderedDict` that a module writes out as pairs of texts.

    Args:
        target: `package.module:NAME`.

    Raises:
        LookupError: the installed package writes no such mapping.
        PackageMissing: the package is not installed.
    """
    require_package(target)
    value = assigned_value(target)
    try:
        if not isinstance(value, ast.Call):
            raise LookupError(f"{target} is no mapping written as a call")
        return dict(ast.literal_eval(value.args[0]))
    except (ValueError, IndexError) as error:
        raise LookupError(f"{target} is not written out as pairs of texts") from error


@cache
def popped_names(target: str) -> frozenset[str]:
    """Public names that a class's `__init__` pops from its `**kwargs`.

    Raises:
        LookupError: the installed package has no such class.
        PackageMissing: the package is not installed.
    """
    init = _init(_class(target))
    if init is None or init.args.kwarg is None:
        return frozenset()
    names = (_popped(node, init.args.kwarg.arg) for node in ast.walk(init))
    return frozenset(name for name in names if name and not name.startswith("_"))


@cache
def enum_values(target: str) -> tuple[str, ...]:
    """Text values of an enumeration, in order.

    Raises:
        LookupError: the installed package has no such class.
        PackageMissing: the package is not installed.
    """
    assigned = [node.value for node in _class(target).node.body if isinstance(node, ast.Assign)]
    texts = [value.value for value in assigned if isinstance(value, ast.Constant)]
    return tuple(text for text in texts if isinstance(text, str))


def class_exists(target: str) -> bool:
    """Whether the installed package has the class `package.module:Class`.

    Raises:
        PackageMissing: the package is not installed.
    """
    require_package(target)
    return find_class(target) is not None


@cache
def quantization_classes() -> tuple[str, ...]:
    """Names of the quantization config classes of the installed transformers."""
    require_package("transformers")
    targets = {name: find_class(f"{QUANTIZATION_MODULE}:{name}") for name in class_names(QUANTIZATION_MODULE)}
    parents = {name: [] if found is None else bases(found) for name, found in targets.items()}
    return tuple(
        name
        for name, classes in parents.items()
        if any(ancestor.node.name == QUANTIZATION_BASE for base in classes for ancestor in lineage(base))
    )


def quantization_parameters(name: str) -> dict[str, FieldInfo]:
    """What the constructor of one of `quantization_classes` takes by name."""
    return init_parameters(f"{QUANTIZATION_MODULE}:{name}")


def _class(target: str) -> SourceClass:
    require_package(target)
    found = find_class(target)
    if found is None:
        raise LookupError(f"the installed package has no class {target}")
    return found


def _collect_fields(found: SourceClass, fields: dict[str, FieldInfo | None]) -> None:
    """Adds the fields of the bases, then the class's own; None stands for one that the constructor does not take."""
    for base in reversed(bases(found)):
        _collect_fields(base, fields)
    if not any("dataclass" in ast.unparse(decorator) for decorator in found.node.decorator_list):
        return
    for node in found.node.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            annotation = ast.unparse(node.annotation)
            if "ClassVar" not in annotation and annotation != "KW_ONLY":
                fields[node.target.id] = _field(node.value, annotation)


def _field(value: ast.expr | None, annotation: str) -> FieldInfo | None:
    if not (isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] == "field"):
        return FieldInfo(None if value is None else ast.unparse(value), annotation)
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in value.keywords}
    if options.get("init") == "False":
        return None
    if "default_factory" in options:
        return FieldInfo(f"{options['default_factory']}()", annotation)
    return FieldInfo(options.get("default"), annotation)


def _init(found: SourceClass) -> ast.FunctionDef | None:
    for ancestor in lineage(found):
        for node in ancestor.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return node
    return None


def _parameters(arguments: ast.arguments) -> dict[str, FieldInfo]:
    positional = [*arguments.posonlyargs, *arguments.args]
    required: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = list(zip(positional, [*required, *arguments.defaults], strict=True))[1:]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    fields = {}
    for argument, default in pairs:
        annotation = "" if argument.annotation is None else ast.unparse(argument.annotation)
        fields[argument.arg] = _field(default, annotation) or FieldInfo(None, "")
    return fields


def _popped(node: ast.AST, kwargs: str) -> str | None:
    """The literal name in `kwargs.pop("name", ...)`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "pop"):
        return None
    if not (isinstance(node.func.value, ast.Name) and node.func.value.id == kwargs and node.args):
        return None
    name = node.args[0]
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None
