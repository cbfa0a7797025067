"""Which few-shot set-up works for a task: grids of prompting and fine-tuning experiments.

`new(data, ...)` drafts a grid, `plan(grid)` checks one, `run(grid)` runs it, `results(folder, ...)` gives a table;
`GridOptions` and `RunSettings` are the options of the command line. Importing this loads nothing heavy.
"""

from sft.processes.working_folder import import_from_it_last

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sft.api import GridOptions, RunSettings, errors, new, plan, predict_new, results, run

import_from_it_last()  # before anything else is imported, also of Python's own modules

__all__ = ["GridOptions", "RunSettings", "errors", "new", "plan", "predict_new", "results", "run"]
__version__ = "0.1.0"


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from sft import api

        return getattr(api, name)
    raise AttributeError(f"module 'sft' has no attribute {name!r}")
