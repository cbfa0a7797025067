"""What is worth saying once: to stderr, or to whoever shows how a run goes."""

import contextlib
import sys
from collections.abc import Callable, Iterator


class _Listener:
    """Who is told, and what they were told already."""

    def __init__(self) -> None:
        self.told: set[str] = set()
        self.say: Callable[[str], None] = lambda line: print(line, file=sys.stderr)  # noqa: T201


_LISTENER = _Listener()


@contextlib.contextmanager
def told_to(say: Callable[[str], None]) -> Iterator[None]:
    """Tell this function instead of stderr in this block."""
    before, _LISTENER.say = _LISTENER.say, say
    try:
        yield
    finally:
        _LISTENER.say = before


def say(line: str) -> None:
    """Say a line."""
    _LISTENER.say(line)


def say_once(subject: str, line: str) -> None:
    """Say a line, unless something was said on its subject in this process."""
    if subject not in _LISTENER.told:
        _LISTENER.told.add(subject)
        _LISTENER.say(f"warning: {line}")
