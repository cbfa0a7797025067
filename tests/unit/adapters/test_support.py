"""What is refused because of how the base is stored, whatever the method."""

import pytest

from sft.adapters.support import refusal, support_matrix


@pytest.mark.parametrize(
    "storage", ["gguf", "mxfp4", "compressed-tensors", "torchao Int4WeightOnlyConfig", "SomeConfig"]
)
def test_a_storage_that_passes_no_gradient_refuses_every_method(storage: str):
    for method in ("lora", "ssf"):
        said = refusal(method, {}, storage, "causal_lm")
        assert said is not None
        assert said.startswith(f"nothing can be trained beside weights stored as {storage}: ")
        assert f"; {method} works on plain, nf4" in said
        assert "these work" not in said
        assert "\n" not in said


def test_magnitudes_need_norms_that_peft_can_read():
    rows = support_matrix("causal_lm")
    assert {kind for kind, reason in rows["dora"].items() if reason is not None} == {"gptq", "awq", "fp8"}
    assert refusal("lora", {"use_dora": True}, "gptq", "causal_lm")
    assert not any(rows["lora"].values())


def test_a_refusal_names_the_method_and_how_the_base_is_stored():
    said = refusal("unilora", {}, "int8", "causal_lm")
    assert said is not None
    assert said.startswith("unilora on int8: no gradient reaches it there; unilora works on plain; on int8 these work")
    said = refusal("full", {}, "nf4", "causal_lm")
    assert said is not None
    assert said.startswith("full trains the weights themselves")
