"""What the parts need of a machine; nothing heavy is imported before it is known to be there."""

import importlib.metadata
import importlib.util
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

MACHINE_MUST_CHANGE = 5
"""Exit code, as of the project's own commands."""

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
NEEDED = (
    *("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "evaluate"),
    *("numpy", "scipy", "sklearn", "pandas", "pyarrow", "jinja2", "pydantic", "typer", "rich"),
)
"""Modules without which the parts cannot run. Neither rjsonnet nor jsonnet, as the grids are JSON; nor what only
metrics of generated texts, GGUF files or quantised models take."""


def packages_missing(needed: Sequence[str] = NEEDED, find: Callable[[str], object] | None = None) -> str | None:
    """One line that names what is not installed; None where all is there."""
    find = find or importlib.util.find_spec
    missing = [name for name in needed if find(name) is None]
    if not missing:
        return None
    return f"not installed, and needed here: {', '.join(missing)}; requirements.txt has the versions"


def versions_outside(version_of: Callable[[str], str] = importlib.metadata.version) -> list[str]:
    """The installed packages whose version the project does not allow, each with what it allows."""
    from packaging.requirements import Requirement

    found = []
    for line in tomllib.loads(PROJECT.read_text("utf-8"))["project"]["dependencies"]:
        allowed = Requirement(line)
        try:
            version = version_of(allowed.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if not allowed.specifier.contains(version, prereleases=True):
            found.append(f"{allowed.name} {version} (allowed: {allowed.specifier})")
    return found


def gpu_missing() -> str | None:
    """One line that says that there is no GPU; None where there is one."""
    import torch

    if torch.cuda.is_available():
        return None
    return f"no GPU: torch {torch.__version__} sees no CUDA device; --device cpu --tiny only tries this program"
