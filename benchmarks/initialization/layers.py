"""The linear layers of the demo model."""

import torch
from torch import nn

from benchmarks.commands import DEMO

MODEL = DEMO / "SmolLM2-135M-Instruct"
RANK = 8


def linears() -> list[nn.Linear]:
    """All but the output head, in fp32."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).requires_grad_(False)
    head = model.get_output_embeddings()
    return [module for module in model.modules() if isinstance(module, nn.Linear) and module is not head]
