"""Python's search for cycles of objects, held off where next to nothing of what is made could be one."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_search_for_cycles() -> Iterator[None]:
    """What imports make, and what is read of many results, stays: looking through it takes a good part of the time."""
    was_on = gc.isenabled()
    if was_on:  # else a thread that holds it off may have ended since, and nobody would set it on again
        gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
