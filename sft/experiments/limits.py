"""The time limits of a stage, counted on a clock that no one sets back."""

from dataclasses import dataclass

from sft.runs.records import ErrorRecord, StageName

Sign = tuple[int, int] | None
"""What tells one state of `progress.json` from the next; None where there is none yet."""


@dataclass(frozen=True)
class Limits:
    """Seconds; None is no limit."""

    timeout: float | None = None
    """That a stage may take."""

    stall_timeout: float | None = None
    """That may pass between two changes of its progress."""


class Watch:
    """Times one try of a stage."""

    def __init__(self, limits: Limits, stage: StageName, now: float) -> None:
        self._limits = limits
        self._stage = stage
        self._began = now
        self._sign: Sign = None
        self._heard = now

    def seconds(self, now: float) -> float:
        """How long it has been running."""
        return now - self._began

    def wait(self, now: float) -> None:
        """It has no process yet: its time begins later."""
        self._began = now

    def hear(self, sign: Sign, now: float) -> None:
        """Take note of its progress; a stall is counted from the worker's first line."""
        if sign != self._sign:
            self._sign = sign
            self._heard = now

    def overrun(self, now: float) -> ErrorRecord | None:
        """The limit that it is over."""
        limits = self._limits
        if limits.timeout is not None and self.seconds(now) >= limits.timeout:
            return ErrorRecord("timeout", f"{self._stage} ran longer than {limits.timeout:g} s (timeout)")
        if limits.stall_timeout is not None and self._sign is not None and now - self._heard >= limits.stall_timeout:
            stacks = "stacks of all threads are at the end of stderr.log"
            return ErrorRecord("stall", f"no progress for {limits.stall_timeout:g} s (stall_timeout); {stacks}")
        return None

    def deadline(self) -> float:
        """The moment at which the next limit may be passed; infinite without limits."""
        limits = self._limits
        moments = [float("inf")]
        if limits.timeout is not None:
            moments.append(self._began + limits.timeout)
        if limits.stall_timeout is not None and self._sign is not None:
            moments.append(self._heard + limits.stall_timeout)
        return min(moments)
