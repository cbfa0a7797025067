"""The parts by name, and how they are run: one after the other, each with a verdict whatever happens in it."""

import contextlib
import importlib
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tests.gpu.report import Findings, Outcome, Report, Skipped

if TYPE_CHECKING:
    from tests.gpu.bench import Bench

REGISTRY = {
    "dtype": "tests.gpu.dtype:run",
    "warm": "tests.gpu.warm:run",
    "memory": "tests.gpu.memory:run",
    "scores": "tests.gpu.scores:run",
    "training": "tests.gpu.training:run",
    "ladder": "tests.gpu.ladder:run",
    "large": "tests.gpu.large:run",
    "nf4": "tests.gpu.quantized:run_nf4",
    "int8": "tests.gpu.quantized:run_int8",
}
"""Name -> function of a `Bench` and `Findings`. What may end the process with a crash of the driver comes last."""

PARTS = tuple(REGISTRY)


class OutOfTime(BaseException):
    """A part was not over in its time; no `except Exception` of a library takes it for a fault of its own."""


def run_parts(names: Sequence[str], make_bench: "Callable[[], Bench]", report: Report, seconds: float) -> None:
    """Run parts, all of them within a time; those that it does not reach have failed, as nothing was shown.

    Args:
        names: of the parts, in their order.
        make_bench: builds what all of them work on.
        report: takes the outcomes.
        seconds: for everything together.
    """
    until = time.monotonic() + seconds
    try:
        with _at_most(until - time.monotonic()):
            bench = make_bench()
    except (Exception, OutOfTime) as error:  # noqa: BLE001  without a model every part has failed, and the report says so
        traceback.print_exc()
        for name in names:
            report.add(Outcome(name, "FAIL", 0.0, f"there is no model: {one_line(error)}"))
        return
    for name in names:
        left = until - time.monotonic()
        if left <= 0:
            report.add(Outcome(name, "FAIL", 0.0, f"not run: the {seconds:g} s for all parts were over"))
            continue
        report.add(run_part(name, bench, left))


def run_part(name: str, bench: "Bench", seconds: float) -> Outcome:
    """Run one part; any exception in it is its failure."""
    started = time.monotonic()
    found = Findings()
    skipped = None
    try:
        module, _, function = REGISTRY[name].partition(":")
        with _at_most(seconds):
            getattr(importlib.import_module(module), function)(bench, found)
    except Skipped as reason:
        skipped = str(reason)
    except (Exception, OutOfTime) as error:  # noqa: BLE001  the next part is to be run all the same
        traceback.print_exc()
        found.failures.append(one_line(error))
    finally:
        bench.release()
    took = time.monotonic() - started
    if found.failures:
        return Outcome(name, "FAIL", took, "; ".join(found.failures), tuple(found.figures))
    if skipped is not None:
        return Outcome(name, "SKIP", took, skipped, tuple(found.figures))
    return Outcome(name, "PASS", took, "", tuple(found.figures))


def one_line(error: BaseException) -> str:
    """Type and text of an exception, cut where it is long."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def end(*_: object) -> None:
        raise OutOfTime(f"not over after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
