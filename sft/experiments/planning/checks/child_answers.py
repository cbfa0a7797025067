"""Questions to a child process: what would import too much here, or may import anything, is answered there."""

import json
import os
import subprocess
from typing import Any

from sft.exceptions import MachineError, UserError
from sft.processes.child import module_command
from sft.processes.isolation import isolated


def answer_of(module: str, question: Any, failure: str, limit_seconds: float) -> str:
    """Run a module with a question on its standard input; what it wrote to its standard output.

    Args:
        module: of this package; an error of ours ends it with that error's exit code and last line.
        question: as JSON.
        failure: begins the message where it fails otherwise.
        limit_seconds: how long it may take.

    Raises:
        UserError: it ended with one.
        MachineError: it ended with one, took too long, or failed.
    """
    try:
        child = subprocess.run(
            module_command(module),
            env=isolated(os.environ),
            input=json.dumps(question),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=limit_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MachineError(f"{failure} within {limit_seconds} s") from None
    if child.returncode == 0:
        return child.stdout
    last = (child.stderr.strip().splitlines() or ["no output"])[-1]
    if child.returncode == UserError.exit_code:
        raise UserError(last)
    if child.returncode == MachineError.exit_code:
        raise MachineError(last, kind="network")
    raise MachineError(f"{failure}: {last}")
