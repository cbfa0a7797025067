"""Whether the packages behind quantised weights can be imported, and are not only there: a child process tries.

One that is half installed breaks the import of every model, also of those that are not quantised.
`python -m sft.experiments.planning.checks.packages` is the child; it may import anything.
"""

import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Sequence
from functools import cache

from packaging.requirements import Requirement

from sft.experiments.planning.checks.child_answers import answer_of
from sft.models.quantization import IMPORTED, PACKAGES

EAGER = {"hqq": "hqq.core.quantize", "torchao": "torchao.quantization"}
"""Packages that transformers imports with every model, and what it takes of them."""
OWN = "bitsandbytes"
"""Comes with this project, so that it is tried only where something seems to be missing."""
TIMEOUT_SECONDS = 600


@cache
def require_importable(config_class: str | None) -> None:
    """Try the packages that a model needs, and those that every model imports.

    Args:
        config_class: how its weights are quantised; None where they are not.

    Raises:
        MachineError: one is there and cannot be imported.
    """
    needed = IMPORTED.get(config_class or "", ())
    if needed and (needed != (OWN,) or _lacks_something(OWN)):
        _try(needed, PACKAGES[str(config_class)][1])
    for package, module in EAGER.items():
        if module not in needed and importlib.util.find_spec(package) and _lacks_something(package):
            _try((module,), f"pip install {package}")


def _try(modules: Sequence[str], install: str) -> None:
    packages = " or ".join(module.partition(".")[0] for module in modules)
    failure = f"the package {packages} is there but cannot be imported (install it again: {install})"
    answer_of(__name__, list(modules), failure, TIMEOUT_SECONDS)


def _lacks_something(package: str) -> bool:
    """Whether a package that is there asks for one that is not; optional ones are not asked for."""
    try:
        texts = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        return True
    needed = [Requirement(text) for text in texts]
    names = [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return any(_is_missing(name) for name in names)


def _is_missing(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return True
    return False


if __name__ == "__main__":
    for each in json.load(sys.stdin):
        importlib.import_module(each)
