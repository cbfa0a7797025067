"""Python's search for cycles of objects, held off where next to nothing of what is made could be one."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_search_for_cycles() -> Iterator[None]:
    """What imports make, and what is read of many results, stays: looking through it takes a good part of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
