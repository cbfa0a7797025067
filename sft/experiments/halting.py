"""When a run starts nothing more although there is more to do; pure."""

from sft.errors import ErrorKind
from sft.runs.records import StageName, StatusRecord
from sft.wording import without_numbers

MAX_CRASHES = 5
CRASHES: tuple[ErrorKind, ...] = ("crash", "no_result")
MAX_ALIKE = 5
"""Exceptions with the same text, numbers aside, at one stage without any of its jobs done between them."""
SAFE = "Finished experiments are safe; free space and run the same command."


class Halt:
    """Takes the failures of a run in their order."""

    def __init__(self, *, fail_fast: bool) -> None:
        self._fail_fast = fail_fast
        self._crashes = 0
        self._alike: dict[StageName, tuple[str, int]] = {}
        """Stage -> the text of its last exceptions, and how many there were."""
        self.reason: str | None = None
        """Why nothing more is started; None while there is no reason."""
        self.machine: str | None = None
        """What the machine must change."""

    def went_on(self, stage: StageName | None = None) -> None:
        """A job made a step, or was done, at the stage that is named."""
        self._crashes = 0
        if stage is not None:
            self._alike.pop(stage, None)

    def tried(self, status: StatusRecord, *, made_progress: bool) -> None:
        """A try ended without a result.

        Args:
            status: what it left.
            made_progress: whether its stage had got to its first step.
        """
        error = status.error
        if made_progress or error is None or error.kind not in CRASHES:
            self._crashes = 0
            return
        self._crashes += 1
        if self._crashes >= MAX_CRASHES:
            self._because(f"every experiment crashes on start: {error.message}")

    def failed(self, status: StatusRecord) -> None:
        """A job failed for good."""
        if status.error is not None and status.error.kind == "disk_full":
            self.no_space(status.error.message)
        if status.error is not None and status.error.kind == "exception":
            self._count_alike(status.stage, status.error.message)
        if self._fail_fast:
            self._because("stopped after the first failure (--fail-fast)")

    def _count_alike(self, stage: StageName, message: str) -> None:
        text = without_numbers(message)
        known, count = self._alike.get(stage, (text, 0))
        self._alike[stage] = (text, count + 1 if known == text else 1)
        if self._alike[stage][1] >= MAX_ALIKE:
            self._because(f"every experiment fails at {stage} in the same way: {message}")

    def no_space(self, message: str) -> None:
        """A disk is full."""
        told = message if message.endswith(".") else f"{message}."
        self.machine = self.machine or f"{told} {SAFE}"
        self._because("nothing more was started, because a disk is full")

    def _because(self, reason: str) -> None:
        self.reason = self.reason or reason
