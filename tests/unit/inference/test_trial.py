"""Models that no other test knows are tried before masks of one's own are trusted, also in half precision."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.label_scoring.scoring import score_labels
from sft.inference.prefix_cache import run_beginning
from sft.models.attention import masks
from sft.models.attention.trial import in_full_precision

DRAW = np.random.default_rng(0)
SHARED = DRAW.integers(5, 97, size=6).tolist()
PROMPTS = [SHARED + DRAW.integers(5, 97, size=length).tolist() for length in (5, 17, 1, 9)]
LABELS = [((11,), (3, 4)), ((11, 12), (3, 4)), ((11, 12, 13, 14), (3, 4)), ((20, 21), (3, 4))]
UNTRIED = ["gptneox", "llama", "mistral", "gemma2"]


@pytest.fixture
def untried(tiny_model: Callable, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A model in half precision that counts as unknown; weights so small that a wrong mask moves tenths of a nat."""
    monkeypatch.setattr(masks, "TRIED", frozenset())

    def make(architecture: str, attention: str = "eager", dtype: torch.dtype = torch.bfloat16, **more: Any) -> Any:
        return tiny_model(architecture, attention, initializer_range=0.12, **more).to(dtype)

    return make


def slow_reason(model: Any) -> str | None:
    return score_labels(model, PROMPTS, LABELS, PassLimits(64)).slow_reason


@pytest.mark.parametrize("architecture", UNTRIED)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_right_mask_passes(untried: Callable, architecture: str, dtype: torch.dtype):
    model = untried(architecture, dtype=dtype)
    assert slow_reason(model) is None
    assert {tensor.dtype for tensor in model.parameters()} == {dtype}


def test_a_right_mask_passes_with_an_adapter(untried: Callable):
    assert slow_reason(untried("llama", lora=True)) is None


@pytest.mark.parametrize(
    ("architecture", "spoiled"),
    [("gptneox", "boolean"), ("llama", "boolean"), ("gptneox", "everything"), ("mistral", "window")],
)
def test_a_wrong_mask_is_found_in_half_precision(
    untried: Callable, architecture: str, spoiled: str, monkeypatch: pytest.MonkeyPatch
):
    """Eager attention adds a boolean mask to its scores, which moves them by 0.1 to 0.5 nats."""
    true_of = masks.MaskRule.of

    def false_of(self: masks.MaskRule, visible: torch.Tensor, depths: torch.Tensor, cached: int, device: Any) -> Any:
        if spoiled == "window":
            return true_of(masks.MaskRule(self.dtype), visible, depths, cached, device)
        if spoiled == "everything":
            return true_of(self, torch.ones_like(visible), depths, cached, device)
        return torch.cat([visible.new_ones(*depths.shape, cached), visible], dim=-1)[:, None].to(device)

    monkeypatch.setattr(masks.MaskRule, "of", false_of)
    assert "nats off" in (slow_reason(untried(architecture)) or "")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA error: device-side assert triggered"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_that_runs_out_in_a_trial_is_no_refusal(
    untried: Callable, error: Exception, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
):
    model = untried("llama", dtype=dtype)

    def failing(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(masks.MaskRule, "of", failing)
    with pytest.raises(type(error), match=str(error)[:20].replace("[", r"\[")):
        slow_reason(model)
    model.register_forward_pre_hook(failing)
    with pytest.raises(type(error)), torch.inference_mode():
        run_beginning(model, [SHARED * 5 + [7], SHARED * 5 + [8, 9]], {"max_new_tokens": 2})


def test_a_model_that_cannot_run_wide_is_tried_as_it_is(
    untried: Callable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A layer that takes its own type alone, as those of some quantised formats do."""
    model = untried("gptneox")

    def refuse_wide(_module: Any, inputs: Any) -> None:
        if inputs[0].dtype == torch.float32:
            raise RuntimeError("expected mat1 and mat2 to have the same dtype")

    model.gpt_neox.layers[0].mlp.dense_h_to_4h.register_forward_pre_hook(refuse_wide)
    with caplog.at_level(logging.WARNING):
        assert slow_reason(model) is None
    assert not caplog.records


def test_full_precision_is_that_of_a_widened_copy(tiny_model: Callable):
    narrow = tiny_model("gptneox").to(torch.bfloat16)
    ids = torch.tensor([PROMPTS[1]])
    with torch.inference_mode():
        before = narrow(ids).logits
        with in_full_precision(narrow):
            wide = narrow(ids).logits
        after = narrow(ids).logits
        expected = narrow.float()(ids).logits
    torch.testing.assert_close(wide, expected, rtol=0, atol=1e-5)
    assert torch.equal(before, after)
    assert wide.dtype == torch.float32
