"""Whether metrics that need more than this project can be loaded: found before the grid, not at its end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.evaluation.selection import entry_of, source_of
from sft.experiments.planning.checks.child_answers import answer_of
from sft.runs.hub_contact import probe

TIMEOUT_SECONDS = 600


def require_loadable(metrics: Sequence[str], options: Mapping[str, Any], folder: Path) -> None:
    """Load the metrics of the hub, and those that need a package, in a child process; they may import torch.

    Args:
        metrics: valid names, whose packages are there.
        options: the arguments of metrics as written.
        folder: of the grid file.

    Raises:
        UserError: what an argument names is not there.
        MachineError: a module, its data, its model or a package is not there and cannot be fetched.
    """
    asked = [name for name in metrics if _may_lack_something(name)]
    if not asked:
        return
    if any(source_of(name) != "hub" or not (folder / Path(name).expanduser()).exists() for name in asked):
        probe()
    question = {"metrics": asked, "options": dict(options), "folder": str(folder)}
    failure = f"metrics {', '.join(asked)}: could not be loaded"
    answer_of("sft.experiments.planning.checks.metric_child", question, failure, TIMEOUT_SECONDS)


def _may_lack_something(name: str) -> bool:
    source = source_of(name)
    return source == "hub" or (source == "registry" and entry_of(name).package is not None)
