"""How the process ends when a signal asked for it."""

import os
import signal
from typing import NoReturn


def end_on_early_signals() -> None:
    """Have signals that stop a run end a command that is not, or no longer, running one."""
    numbers = [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
    if os.getpid() == 1:
        numbers.append(signal.SIGTERM)  # of itself, it does nothing to the first process of a PID namespace
    for number in numbers:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda *_: end_by(signal.SIGTERM))


def end_by(number: signal.Signals) -> NoReturn:
    """End this process by a signal, so that shells and schedulers see which one it was; never returns.

    The system spares the first process of a PID namespace, as a container's is: that one exits as a shell would.
    """
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
