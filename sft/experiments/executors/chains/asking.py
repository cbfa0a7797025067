"""Questions to a cluster that may not answer: nothing fails because of that, and the user reads of it once."""

import time
from collections.abc import Callable
from typing import TypeVar

from sft.exceptions import MachineError
from sft.experiments.executors.chains.cluster import Full, NoAnswer

QUIET_SECONDS = 10.0
"""How long a cluster that did not answer, or takes no more, is left alone: each question may take a minute."""
Answer = TypeVar("Answer")


class Asking:
    """Asks a cluster, and remembers whether it answers and whether it takes more."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        """
        Args:
            name: of the cluster.
            say: called with a line for the user.
        """
        self._name = name
        self._say = say
        self._quiet_until = self._full_until = 0.0
        self.is_silent = False
        """Whether the last question got no answer."""
        self.is_full = False
        """Whether the last submission was not taken."""
        self._waits: set[str] = set()

    def ask(self, question: Callable[[], Answer]) -> Answer | None:
        """The answer; None where the cluster gives none, or gave none a moment ago."""
        if time.monotonic() < self._quiet_until:
            return None
        try:
            answer = question()
        except NoAnswer as error:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            if not self.is_silent:
                self._say(f"{self._name} does not answer and is asked again: {error}")
            self.is_silent = True
            return None
        self.is_silent = False
        return answer

    def submit(self, question: Callable[[], str], others: bool) -> str | None:
        """Submit something; its id, or None where it is to be tried again later.

        Where the cluster was silent it may have taken it all the same, so it must be looked for before it is submitted
        again.

        Args:
            question: submits.
            others: whether other submissions of this run wait or run: a refusal is then no error, as it may be taken
                when one of them has ended.

        Raises:
            MachineError: it was refused.
        """
        if time.monotonic() < self._full_until:
            return None
        try:
            identity = self.ask(lambda: _taken(question, others))
        except _NotTaken as error:
            self._full_until = time.monotonic() + QUIET_SECONDS
            if not self.is_full:
                self._say(f"{self._name} takes no more for now and is asked again: {error}")
            self.is_full = True
            return None
        self.is_full = self.is_full and identity is None
        return identity

    def tell_waits(self, reason: str) -> None:
        """Say, once for each reason, that a submission waits until a person does something."""
        if reason not in self._waits:
            self._waits.add(reason)
            self._say(f"{self._name} has jobs of this run wait until somebody acts: {reason}")


class _NotTaken(Exception):
    """It was not submitted."""


def _taken(question: Callable[[], str], others: bool) -> str:
    try:
        return question()
    except Full as error:
        raise _NotTaken(str(error)) from None
    except MachineError as error:
        if not others:
            raise
        raise _NotTaken(str(error)) from None
