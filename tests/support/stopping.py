"""A training that is asked to stop while it takes a step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from sft.training import checked_trainer
from sft.training.checked_trainer import CheckedTrainer


@contextmanager
def stopped_at(number: int) -> Iterator[None]:
    """A stop is asked for while this step is taken."""
    step, asked = CheckedTrainer.training_step, []

    def watched(self: Any, *args: Any, **named: Any) -> Any:
        asked.extend([True] if self.state.global_step + 1 == number else [])
        return step(self, *args, **named)

    with (
        mock.patch.object(CheckedTrainer, "training_step", watched),
        mock.patch.object(checked_trainer, "stop_requested", side_effect=lambda: bool(asked)),
    ):
        yield
