"""Factors of AdaLoRA that a training moved and that AdaLoRA set back to zero in the same step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from sft.training.rank_allocation import RankCallback


@contextmanager
def watched_ranks() -> Iterator[dict[int, set[str]]]:
    """Gives, by step, the names of the factors E that the optimizer moved and that then lost every rank.

    The budget is of all layers together, so that a layer may be left without any. Its E begins at zero and is zero
    again after each step, though it is trained. With other methods there are no steps here.
    """
    on_step, taken = RankCallback.on_optimizer_step, {}

    def watched(self: Any, args: Any, state: Any, control: Any, **named: Any) -> None:
        factors = {name: weight for name, weight in self._model.named_parameters() if ".lora_E." in name}
        moved = [name for name, weight in factors.items() if weight.any()]
        on_step(self, args, state, control, **named)
        taken[state.global_step + 1] = {name for name in moved if not factors[name].any()}

    with mock.patch.object(RankCallback, "on_optimizer_step", watched):
        yield taken
