"""The initialisers: pure functions from one layer to its first adapter factors.

To add one: a file with `f(layer, rank, dtype=torch.bfloat16) -> {"lora_A": (rank, in), "lora_B": (out, rank)}`, the
factors for scaling 1, and its line here (`package.module:function` as text, so that nothing heavy is imported by a
plan; the function itself is taken too). A variant is another name. One that looks at the training rows says what it
needs of them (`@needs("activations")`) and gets it as a fourth argument.
"""

import ast
import importlib.util

from sft.exceptions import PackageMissing
from sft.registry import Registry

EXACT_UP_TO = 1536
"""The smaller side of a matrix up to which its largest singular triplets are exact."""
needed_packages = {"umap": ("umap", "umap-learn", "pip install 'sft-grid[umap]'")}
"""Initialiser -> module, package and command that installs it, of those with an optional package."""

initializer_registry: Registry = {
    "eva": "sft.initialization.initializers.eva:eva",
    "loftq": "sft.initialization.initializers.loftq:loftq",
    "milora": "sft.initialization.initializers.milora:milora",
    "pca": "sft.initialization.initializers.pca:pca",
    "pissa": "sft.initialization.initializers.pissa:pissa",
    "pissa_simplified": "sft.initialization.initializers.pissa_simplified:pissa_simplified",
    "umap": "sft.initialization.initializers.umap:umap",
}

NEEDS = ("activations", "gradients")
"""What of the training rows an initialiser may look at (`sft.initialization.factors.needs`)."""

MOVING = ("milora", "pissa")
"""Initialisers whose B is not 0, so that what B A adds is taken off the base."""

_WRITTEN_HERE: Registry = dict(initializer_registry)


def is_of_this_process_alone(name: str) -> bool:
    """Whether a name got its initialiser while the program ran, of which the processes of stages know nothing."""
    return initializer_registry.get(name) is not _WRITTEN_HERE.get(name)


def needed_by(function: ast.FunctionDef) -> str | None:
    """What a function of own code says that it needs, `@needs(...)` above it; empty where it is not written out."""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).rpartition(".")[2] == "needs":
            arguments = decorator.args
            written = arguments[0].value if len(arguments) == 1 and isinstance(arguments[0], ast.Constant) else ""
            return str(written)
    return None


def require_initializer_package(name: object) -> None:
    """Check that the optional package of an initialiser is there.

    Raises:
        PackageMissing: it is not, with the command that installs it.
    """
    if name not in needed_packages:
        return
    module, package, install = needed_packages[str(name)]
    if importlib.util.find_spec(module) is None:
        raise PackageMissing(package, f"the initialiser {name}", install)
