"""Whether metrics that need more than this project can be loaded: found before the grid, not at its end.

`python -m sft.experiments.planning.checks.metrics` is the child that loads them; it may import anything.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.evaluation.metrics.hub import arguments_key, try_hub_metric
from sft.evaluation.selection import entry_of, options_of, result_name, source_of
from sft.exceptions import SftError
from sft.experiments.planning.checks.child_answers import answer_of
from sft.registry import import_object
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
    answer_of("sft.experiments.planning.checks.metrics", question, failure, TIMEOUT_SECONDS)


def _may_lack_something(name: str) -> bool:
    """What comes with this project and needs no package cannot be missing."""
    source = source_of(name)
    return source == "hub" or (source == "registry" and entry_of(name).package is not None)


def main() -> None:
    """Load the metrics that standard input names."""
    question = json.load(sys.stdin)
    folder = Path(question["folder"])
    for name in question["metrics"]:
        if source_of(name) == "hub":
            try_hub_metric(name, question["options"].get(arguments_key(result_name(name)), {}), folder)
        else:
            entry = entry_of(name)
            import_object(entry.module).require(**options_of(entry, question["options"], folder))


if __name__ == "__main__":
    try:
        main()
    except SftError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
