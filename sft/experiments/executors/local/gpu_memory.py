"""A GPU whose job has ended is leased again when its memory is free again, which may take the driver seconds."""

from collections.abc import Iterable, Sequence

from sft.experiments.executors.local.gpu_question import Gpu, GpuAnswer, GpuQuestion

WAIT_SECONDS = 60.0
PAUSE_SECONDS = 0.25
"""Between two questions."""
SLACK = 0.02
"""Share of the memory free at the start that may be missing."""
SLACK_MIB = 256.0
TOLD_MIB, TOLD_SHARE = 1024.0, 0.02
"""What is taken at the start, if it is more than both: a driver keeps a part of the memory for itself."""


class GpuMemory:
    """Says which GPUs have to rest. Never waits: a question is put, and its answer read when it is there."""

    def __init__(self, uuids: Iterable[str], now: float, wait_seconds: float = WAIT_SECONDS) -> None:
        """All rest until it is known what is free before the first job; parts of a GPU (MIG) are not measured."""
        self._wait_seconds = wait_seconds
        self._measured = frozenset(uuid for uuid in uuids if not uuid.startswith("MIG-"))
        self._free_at_start: dict[str, float] = {}
        self._until = dict.fromkeys(self._measured, now + wait_seconds)
        self._asking: GpuQuestion | None = None
        self._is_late = False
        """Whether a job has ended since the open question was asked."""
        self._next_question = now

    @property
    def resting(self) -> frozenset[str]:
        """The GPUs that may not be leased yet."""
        return frozenset(self._until)

    def freed(self, uuids: Iterable[str], now: float) -> None:
        """The last job of these GPUs has ended."""
        self._until |= dict.fromkeys(self._measured.intersection(uuids), now + self._wait_seconds)
        self._is_late = True

    def look(self, now: float) -> None:
        """Take in an answer, ask the next question, give up on what took too long."""
        if self._asking is not None and (answer := self._asking.answer()) is not None:
            self._asking = None
            self._take_in(answer)
            self._next_question = now + PAUSE_SECONDS
        if self._until and self._asking is None and now >= self._next_question:
            self._ask()
        for uuid in [uuid for uuid, until in self._until.items() if now >= until]:
            # Another program may have taken it: what is free at the next answer is the measure from there on.
            self._free_at_start.pop(uuid, None)
            del self._until[uuid]

    def close(self) -> None:
        """End the question that is open; a driver that hangs may keep its process, which is not waited for."""
        if self._asking is not None:
            self._asking.end()
            self._asking = None

    def _ask(self) -> None:
        self._is_late = False
        try:
            self._asking = GpuQuestion("memory")
        except OSError:
            self._until.clear()  # nobody can tell: the jobs themselves will find out

    def _take_in(self, answer: GpuAnswer) -> None:
        if self._is_late:
            return
        free_now = {gpu.uuid: gpu.free for gpu in answer.gpus}
        for uuid in list(self._until):
            free = free_now.get(uuid)
            before = self._free_at_start.setdefault(uuid, free) if free is not None else 0.0
            if free is None or free >= before - max(SLACK_MIB, before * SLACK):
                del self._until[uuid]


def taken_by_others(gpus: Sequence[Gpu]) -> str | None:
    """One line about memory that is in use before the first job of a run; None where there is none to speak of."""
    found = []
    for gpu in gpus:
        if gpu.free is None or gpu.total is None:
            continue
        taken = gpu.total - gpu.free
        if taken > max(TOLD_MIB, TOLD_SHARE * gpu.total):
            whose = f", process {', '.join(map(str, gpu.users))}" if gpu.users else ""
            found.append(f"GPU {gpu.index} ({taken / 1024:.1f} of {gpu.total / 1024:.1f} GiB{whose})")
    return f"memory is taken by processes that are not of this run: {', '.join(found)}" if found else None
