"""How a grid is run; nothing of it is in any id."""

from dataclasses import dataclass
from typing import Literal, get_args

from sft.errors import UserError
from sft.experiments.executors.protocol import ExecutorOptions, StartChoice

OnOutOfMemory = Literal["ladder", "fail"]


@dataclass(frozen=True)
class RunSettings(ExecutorOptions):
    """The options of `run-experiments`."""

    timeout: float | None = None
    """Seconds a stage may take; default no limit."""

    stall_timeout: float | None = None
    """Seconds a stage may take without progress; default no limit."""

    grace: float = 30.0
    """Seconds between the request to stop and SIGKILL."""

    retries: int = 1
    """Further tries of a stage that failed for a passing reason."""

    on_oom: OnOutOfMemory = "ladder"
    """What follows when memory runs out: a try that needs less, or failure."""

    fail_fast: bool = False
    """Start nothing more after the first failure."""

    retry_failed: bool = False
    """Run again what failed in an earlier run and would fail the same way."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: one is out of its range; the message names the option.
        """
        least = {"jobs": 1, "jobs_per_gpu": 1, "retries": 0, "grace": 0}
        for name, minimum in least.items():
            value = getattr(self, name)
            if value is not None and not (minimum <= value < float("inf")):
                raise UserError(f"{_option(name)} {value}: must be at least {minimum}")
        for name in ("timeout", "stall_timeout", "start_timeout", "fork_timeout"):
            value = getattr(self, name)
            if value is not None and not (0 < value < float("inf")):
                raise UserError(f"{_option(name)} {value:g}: must be more than 0 seconds")
        for name, allowed in (("start", get_args(StartChoice)), ("on_oom", get_args(OnOutOfMemory))):
            if getattr(self, name) not in allowed:
                raise UserError(f"{_option(name)} {getattr(self, name)!r}: must be one of {', '.join(allowed)}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
