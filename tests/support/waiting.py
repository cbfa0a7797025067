"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 30.0


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What the condition gives as soon as it is true.

    Raises:
        AssertionError: it never is.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.005)
    return found
