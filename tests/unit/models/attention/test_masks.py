"""Masks of a pass: what is seen, and where they are made."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sft.inference.label_scoring.label_plan import LabelPlan
from sft.inference.label_scoring.passes import TreePass, tree_pass
from sft.models.attention.masks import FULL, SLIDING, MaskRule

CPU = torch.device("cpu")


def some_pass() -> TreePass:
    draw = np.random.default_rng(0)
    prompts = sorted(tuple(draw.integers(5, 9, size=size).tolist()) for size in (1, 5, 5, 9, 12))
    return tree_pass(prompts, LabelPlan.of([((11,), (3,)), ((11, 12), (3,)), ((20,), (3,))], 10).chunks[0])


def seen_by_the_book(tokens: TreePass, cached: int, window: int | None) -> np.ndarray:
    """(lines, tokens, cached + tokens) one by one."""
    lines, width = tokens.ids.shape
    seen = np.zeros((lines, width, cached + width), dtype=bool)
    for line, row, column in np.ndindex(seen.shape):
        own = column - cached
        place = column if own < 0 else cached + tokens.depths[line, own]
        is_near = window is None or cached + tokens.depths[line, row] - place < window
        seen[line, row, column] = is_near and (own < 0 or tokens.visible[line, row, own])
    return seen


def made(rule: MaskRule, tokens: TreePass, cached: int, device: torch.device = CPU) -> Any:
    return rule.of(torch.from_numpy(tokens.visible), torch.from_numpy(tokens.depths), cached, device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cached", [0, 1, 7, 40])
@pytest.mark.parametrize("window", [None, 1, 4, 8, 1000])
def test_what_is_seen(window: int | None, cached: int, dtype: torch.dtype) -> None:
    tokens = some_pass()
    mask = made(MaskRule(dtype, window), tokens, cached)
    expected = torch.from_numpy(seen_by_the_book(tokens, cached, window))[:, None]
    assert mask.dtype == dtype
    assert torch.equal(mask == 0, expected)
    assert torch.equal(mask == torch.finfo(dtype).min, ~expected)


def test_each_kind_of_layer_has_its_mask() -> None:
    tokens = some_pass()
    masks = made(MaskRule(torch.float32, 4, (SLIDING, FULL)), tokens, 7)
    assert list(masks) == [SLIDING, FULL]
    for kind, window in ((SLIDING, 4), (FULL, None)):
        assert torch.equal(masks[kind][:, 0] == 0, torch.from_numpy(seen_by_the_book(tokens, 7, window)))


class LargestOnCpu(TorchDispatchMode):
    """The largest tensor that an operation left on the CPU."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and found.device == CPU:
            self.elements = max(self.elements, found.numel())
        return found


@pytest.mark.parametrize("layer_types", [(), (SLIDING, FULL)])
@pytest.mark.parametrize("window", [None, 4])
def test_what_is_as_wide_as_the_cache_is_made_where_it_is_used(window: Any, layer_types: Any) -> None:
    tokens = some_pass()
    with LargestOnCpu() as largest:
        made(MaskRule(torch.float32, window, layer_types), tokens, 4000, torch.device("meta"))
    assert largest.elements <= tokens.visible.size
