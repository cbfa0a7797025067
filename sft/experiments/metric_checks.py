"""Whether metrics that need more than this project can be loaded: found before the grid, not at its end."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.errors import MachineError, UserError
from sft.evaluation.selection import entry_of, source_of
from sft.processes.child import module_command
from sft.processes.isolation import isolated
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
    try:
        child = subprocess.run(
            module_command("sft.experiments.metric_child"),
            env=isolated(os.environ),
            input=json.dumps({"metrics": asked, "options": dict(options), "folder": str(folder)}),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MachineError(f"metrics {', '.join(asked)}: not loaded within {TIMEOUT_SECONDS} s") from None
    if child.returncode == 0:
        return
    last = (child.stderr.strip().splitlines() or ["no output"])[-1]
    if child.returncode == UserError.exit_code:
        raise UserError(last)
    if child.returncode == MachineError.exit_code:
        raise MachineError(last, kind="network")
    raise MachineError(f"metrics {', '.join(asked)}: could not be loaded: {last}")


def _may_lack_something(name: str) -> bool:
    source = source_of(name)
    return source == "hub" or (source == "registry" and entry_of(name).package is not None)
