"""Which few-shot set-up works for a task: grids of prompting and fine-tuning experiments.

`plan(grid)` checks, `run(grid)` runs, `results(folder, ...)` gives a table; importing this loads nothing heavy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sft.api import plan, results, run

__all__ = ["plan", "results", "run"]
__version__ = "0.1.0"


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sft import api

        return getattr(api, name)
    raise AttributeError(f"module 'sft' has no attribute {name!r}")
