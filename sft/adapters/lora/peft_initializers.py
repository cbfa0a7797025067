"""PEFT's initialisations of LoRA that are taken, with what each looks at; nothing heavy is imported."""

from dataclasses import dataclass
from typing import Literal

LooksAt = Literal["nothing", "weights", "activations", "gradients"]


@dataclass(frozen=True)
class PeftInitializer:
    """One value of `peft.LoraConfig.init_lora_weights`."""

    summary: str
    looks_at: LooksAt
    """Activations and gradients are those of the training rows."""

    moves_base: bool = False
    """Whether PEFT takes what the factors add off the weights."""

    takes_type: bool = False
    """Whether the factors get the type of the stored weights, whatever that is."""

    @property
    def reads_weights(self) -> bool:
        """Whether PEFT looks at the weights as they are stored, be it only at their type."""
        return self.takes_type or self.looks_at != "nothing"


PEFT_INITIALIZERS = {
    "corda": PeftInitializer(
        "CorDA (arXiv:2406.05223): the part of the weights that the inputs use most", "activations", moves_base=True
    ),
    "gaussian": PeftInitializer("A of normal numbers of standard deviation 1 / r, B = 0", "nothing"),
    "lora_ga": PeftInitializer(
        "LoRA-GA (arXiv:2407.05000): the directions of the gradient of the weights", "gradients", moves_base=True
    ),
    "mica": PeftInitializer(
        "MiCA (arXiv:2604.01694): A = 0, B = the directions that the weights give least, which stay frozen", "weights"
    ),
    "olora": PeftInitializer(
        "OLoRA: the first parts of the QR decomposition of the weights", "weights", moves_base=True
    ),
    "orthogonal": PeftInitializer(
        "Random A and B on orthogonal directions, so that B A = 0; r is even", "nothing", takes_type=True
    ),
    "pissa": PeftInitializer("PiSSA (arXiv:2404.02948) by PEFT's code", "weights", moves_base=True),
}
