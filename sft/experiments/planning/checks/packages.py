"""Whether the packages behind quantised weights can be imported, and are not only there: a child process tries.

One that is half installed breaks the import of every model, also of those that are not quantised.
`python -m sft.experiments.planning.checks.packages` is the child; it may import anything.
"""

import importlib.metadata
import importlib.util
import json
import sys
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
    modules = dict.fromkeys(IMPORTED.get(config_class or "", ()))
    asked = [name for name in modules if name != OWN or _lacks_something(OWN)]
    asked += [
        module for package, module in EAGER.items() if importlib.util.find_spec(package) and _lacks_something(package)
    ]
    for module in dict.fromkeys(asked):
        package = module.partition(".")[0]
        install = PACKAGES.get(config_class or "", ("", f"pip install {package}"))[1]
        failure = f"the package {package} is there but cannot be imported (install it again: {install})"
        answer_of(__name__, module, failure, TIMEOUT_SECONDS)


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
    importlib.import_module(json.load(sys.stdin))
