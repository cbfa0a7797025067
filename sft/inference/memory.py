"""How much runs at once on a device with so much memory. Nothing heavy is imported."""

from dataclasses import dataclass
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.inference.answering import answering_of
from sft.inference.label_scoring.grouping import PassLimits

SHARE = 0.1
"""Of the device's memory that one forward pass may take, by estimate."""
MOST_TOKENS = {"cpu": 512}
MOST_TOKENS_ELSEWHERE = 4096
FEWEST_TOKENS = 32


@dataclass(frozen=True)
class Sizes:
    """What the memory of a forward pass depends on."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int

    @staticmethod
    def of(config: Any) -> "Sizes":
        """The sizes that a model's config names, some of them by several names."""

        def named(*names: str) -> int:
            found = (getattr(config, name, None) for name in names)
            return next((int(value) for value in found if isinstance(value, int)), 0)

        hidden = named("hidden_size", "n_embd", "d_model") or 1024
        return Sizes(
            vocabulary=named("vocab_size") or 50_000,
            hidden=hidden,
            intermediate=named("intermediate_size", "n_inner", "ffn_dim", "encoder_ffn_dim", "d_ff") or 4 * hidden,
            layers=named("num_hidden_layers", "n_layer", "num_layers") or 24,
        )

    @property
    def bytes_per_token(self) -> int:
        """An estimate: logits and their fp32 copy, what one layer works on, and the keys and values of all."""
        return 8 * self.vocabulary + 4 * (10 * self.hidden + 3 * self.intermediate) + 8 * self.layers * self.hidden


def batch_limits(
    config: ExperimentConfig, step: int, sizes: Sizes, device: str, memory_bytes: int | None
) -> PassLimits | None:
    """The limits of an experiment after `step` steps towards less memory, None beyond the last.

    They depend on what is written, the model and the device's whole memory, so that a machine always chooses alike.

    Args:
        config: the experiment.
        step: 0 is as configured.
        sizes: of the model.
        device: its kind, such as `cpu` or `cuda`.
        memory_bytes: the device's memory; None where nobody knows.
    """
    answering = answering_of(config)
    if not answering.has_step(config, step):
        return None
    most = MOST_TOKENS.get(device, MOST_TOKENS_ELSEWHERE)
    fitting = most if memory_bytes is None else int(memory_bytes * SHARE) // sizes.bytes_per_token
    tokens = max(FEWEST_TOKENS, _power_of_two(min(most, fitting)) >> step)
    return PassLimits(tokens, answering.rows_at_once(config, step, device))


def _power_of_two(number: int) -> int:
    """The largest power of two that is not above a number, so that devices of nearly one size have the same limits."""
    return 1 << max(0, number.bit_length() - 1)
