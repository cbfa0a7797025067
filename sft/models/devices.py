"""What the GPU of this process can compute with."""

import torch


def has_bf16() -> bool:
    """Whether there is a CUDA device that computes in bf16 itself.

    Older ones (T4, V100) only emulate it: torch then widens each number and rounds each result, slower than fp32 and
    less exact.
    """
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
