"""How a command ends by a signal, in processes of their own."""

import signal
import subprocess
import sys

import pytest

NUMBERS = [signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_command_that_runs_nothing_yet_ends_by_sigterm(number: int) -> None:
    code = (
        "import os, sft.processes.signals as signals; signals.end_on_early_signals(); "
        f"os.kill(os.getpid(), {int(number)}); print('no')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, b"")
