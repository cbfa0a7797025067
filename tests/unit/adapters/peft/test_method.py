"""Methods of PEFT by their names: their sums by hand, their options, and what gets an adapter by default."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter, continue_adapter
from sft.adapters.method import TASK_TYPE, adapter_method
from sft.adapters.saving import load_adapter, save_adapter
from sft.adapters.support import unknown_method
from sft.exceptions import UserError
from tests.support.tiny_models import llama
from tests.support.tiny_training import tiny_tokenizer

Make = Callable[[str], Any]
Logits = Callable[[Any], torch.Tensor]
LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def attached(model: Any, name: str, **options: Any) -> Any:
    return attach_adapter(model, name, {TASK_TYPE: "CAUSAL_LM", **options}, Path(), 7).eval()


def shaken(model: Any) -> Any:
    """What is trained, moved at random."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.1)
    return model


def test_ia3_scales_keys_values_and_what_enters_the_last_feed_forward_layer(make_model: Make, logits: Logits) -> None:
    model, by_hand = shaken(attached(make_model("fp32"), "ia3")), make_model("fp32")
    scales = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(scales) == 6
    with torch.no_grad():
        for name, scale in scales.items():
            layer = by_hand.get_submodule(name.removeprefix("base_model.model.").partition(".ia3_l.")[0])
            layer.weight.mul_(scale)  # (out, 1) for keys and values, (1, in) for the feed-forward part
    assert torch.allclose(logits(model), logits(by_hand), atol=1e-4)
    assert not torch.allclose(logits(model), logits(make_model("fp32")), atol=0.1)


def test_ln_tuning_trains_the_norms_and_nothing_else(make_model: Make, logits: Logits) -> None:
    model, by_hand = shaken(attached(make_model("fp32"), "ln_tuning")), make_model("fp32")
    norms = {name: module for name, module in by_hand.named_modules() if name.endswith("norm")}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert len(trained) == len(norms) == 5
    with torch.no_grad():
        for norm, weight in zip(norms.values(), trained, strict=True):
            norm.weight.copy_(weight)
    assert torch.allclose(logits(model), logits(by_hand), atol=1e-5)


def test_vera_s_frozen_random_factors_are_in_its_folder(make_model: Make, logits: Logits, tmp_path: Path) -> None:
    model = shaken(attached(make_model("fp32"), "vera", r=8, projection_prng_key=3))
    save_adapter(model, "vera", tmp_path / "adapter")
    torch.manual_seed(99)
    assert torch.equal(logits(load_adapter(make_model("fp32"), tmp_path / "adapter")), logits(model))
    own = adapter_method("vera").own_tensors(model)  # what an interrupted training goes on with
    assert {"vera_A", "vera_B"} <= {name.split(".")[-2] for name in own}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ia3", {"r": 8}, "r: unknown key; allowed: target_modules"),
        ("vera", {"vera_dropuot": 0.1}, "vera_dropuot: unknown key (did you mean vera_dropout?)"),
        ("vera", {"r": 0}, "r: 0: input should be greater than or equal to 1"),
        ("vera", {"vera_dropout": 1.0}, "vera_dropout: 1.0: input should be less than 1"),
        ("oft", {"r": "4"}, "r: '4': input should be a valid integer"),
        ("vera", {"peft_type": "VERA"}, "peft_type: refused: set by the program"),
        ("vera", {"save_projection": False}, "save_projection: refused: frozen random parts are always saved"),
        ("prompt_tuning", {"prompt_tuning_init": "WORDS"}, "prompt_tuning_init: 'WORDS': input should be 'TEXT'"),
        ("vera", {"target_modules": ["lm_head"]}, "target_modules: ['lm_head'] puts an adapter on the output head"),
        ("trainable_tokens", {}, "token_indices: is not written, and nothing is trained without it"),
        ("adalora", {"total_step": 9}, "total_step: refused: it is the number of steps of the training"),
        ("adalora", {"init_r": 8}, "init_r: 8: must be above target_r, 8"),
        ("oft", {"r": 4, "oft_block_size": 8}, "r: 4: excludes oft_block_size, 8; leave one of them out"),
        ("adalora", {"beta1": 1.0}, "beta1: 1.0: input should be less than 1"),
        ("adalora", {"tinit": -1}, "tinit: -1: input should be greater than or equal to 0"),
        ("pvera", {"sample_at_inference": True}, "sample_at_inference: refused: the same prompt would be answered"),
        ("vblora", {"save_only_topk_weights": True}, "save_only_topk_weights: refused: what is saved could not"),
        ("p_tuning", {"num_transformer_submodules": 2}, "num_transformer_submodules: refused: it is the model's own"),
        ("prompt_tuning", {"tokenizer_name_or_path": "a"}, "tokenizer_name_or_path: refused: it is the model's own"),
    ],
)
def test_what_is_wrong_with_options_is_told(name: str, options: dict[str, Any], message: str) -> None:
    found = adapter_method(name).check(options, Path())
    assert any(f"{path}: {text}".startswith(message) for path, text in found), found


@pytest.mark.parametrize("name", ["ia3", "vera", "oft", "ln_tuning", "prompt_tuning", "adalora", "c3a"])
def test_what_is_left_out_and_null_is_sound(name: str) -> None:
    method = adapter_method(name)
    assert method.check(dict.fromkeys(method.options.model_fields), Path()) == []


def test_targets_that_no_layer_has_are_told_by_the_plan_and_by_the_stage(make_model: Make) -> None:
    options = {"target_modules": ["q_porj"]}
    (finding,) = adapter_method("vera").check_on_model(options, LLAMA)
    assert finding.path == "target_modules"
    assert "matches no layer of this model (did you mean q_proj?)" in finding.message
    with pytest.raises(UserError, match="did you mean q_proj"):
        attached(make_model("fp32"), "vera", **options)


def test_candidates_for_targets_are_layers_and_not_what_holds_them(make_model: Make) -> None:
    with pytest.raises(UserError, match=r"^adapter\.target_modules: \['nonorm'\] matches no layer .*norm") as caught:
        attached(make_model("fp32"), "ln_tuning", target_modules=["nonorm"])
    named = str(caught.value).partition("it has ")[2].split(", ")
    assert {"down_proj", "input_layernorm"} <= set(named)
    assert not {"", "0", "1", "layers", "mlp", "model", "self_attn"} & set(named)


@pytest.mark.parametrize(
    ("name", "option", "fits"),
    [
        ("adalora", "init_r", ""),
        pytest.param("delora", "r", ", or write rank_pattern: {'k_proj|v_proj': 32}", marks=pytest.mark.slow),
        pytest.param("loha", "r", ", or write rank_pattern: {'k_proj|v_proj': 32}", marks=pytest.mark.slow),
    ],
)
def test_a_rank_above_a_layer_is_told_by_the_plan_and_by_the_stage(
    name: str, option: str, fits: str, make_model: Make
) -> None:
    method = adapter_method(name)
    (finding,) = method.check_on_model({option: 40}, LLAMA)
    said = "40, above the size of layer model.layers.0.self_attn.k_proj, 32 x 64 (outputs x inputs)"
    assert finding == (option, f"{said}; the largest rank for all is 32{fits}")
    assert method.check_on_model({option: 40, "target_modules": ["q_proj"]}, LLAMA) == []
    assert method.check_on_model({}, LLAMA) == []
    with pytest.raises(UserError, match=rf"^adapter\.{option}: 40, above the size of layer .*k_proj"):
        attached(make_model("fp32"), name, **{option: 40})


def test_of_two_options_that_exclude_each_other_the_written_one_holds(make_model: Make) -> None:
    config = attached(make_model("fp32"), "oft", r=4).peft_config["default"]
    assert (config.r, config.oft_block_size) == (4, 0)
    config = attached(make_model("fp32"), "oft", oft_block_size=16).peft_config["default"]
    assert (config.r, config.oft_block_size) == (0, 16)
    assert adapter_method("oft").check({"r": 4, "oft_block_size": 0}, Path()) == []
    assert not {"r", "oft_block_size"} & set(adapter_method("oft").known_defaults(continued=False))


def test_layers_that_a_method_does_not_take_are_told_by_the_plan() -> None:
    (finding,) = adapter_method("oft").check_on_model({}, {"model_type": "gpt2"})
    assert finding == ("method", "oft does not take the layers of gpt2, which store their weights as (in, out)")
    assert adapter_method("vera").check_on_model({}, {"model_type": "gpt2"}) == []


def test_trained_tokens_of_a_tied_embedding_are_told_by_the_plan_and_by_the_stage() -> None:
    options, said = {"token_indices": [3]}, "which is this model's output head too"
    assert not adapter_method("trainable_tokens").check_on_model(options, LLAMA)
    (finding,) = adapter_method("trainable_tokens").check_on_model(options, {**LLAMA, "tie_word_embeddings": True})
    assert said in finding.message
    with pytest.raises(UserError, match=said):
        attached(llama(tie_word_embeddings=True), "trainable_tokens", **options)


def test_keys_and_values_of_a_model_that_peft_does_not_know(make_model: Make) -> None:
    model = make_model("fp32")
    model.config.model_type = "of_mine"
    config = attached(model, "ia3").peft_config["default"]
    assert set(config.target_modules) == {"k_proj", "v_proj", "down_proj"}
    assert set(config.feedforward_modules) == {"down_proj"}


def test_a_size_of_blocks_that_is_not_written_fits_the_layers(make_model: Make) -> None:
    assert attached(make_model("fp32"), "c3a").peft_config["default"].block_size == 32  # of 32, 64 and 96
    with pytest.raises(UserError, match=r"^adapter\.block_size: 48: does not divide the 64 outputs of layer"):
        attached(make_model("fp32"), "c3a", block_size=48)
    assert "block_size" not in adapter_method("c3a").known_defaults(continued=False)


def test_patterns_that_match_no_layer_are_told_before_anything_is_trained(make_model: Make) -> None:
    attached(make_model("fp32"), "loha", alpha_pattern={"q_proj": 4})
    with pytest.raises(UserError, match=r"adapter\.alpha_pattern 'query' matches no layer with an adapter"):
        attached(make_model("fp32"), "loha", alpha_pattern={"query": 4})


def test_virtual_tokens_begin_as_a_text_in_the_model_s_own_tokens(make_model: Make, tmp_path: Path) -> None:
    tokenizer, model = tiny_tokenizer(), make_model("fp32")
    tokenizer.save_pretrained(tmp_path)
    model.config.name_or_path = str(tmp_path)
    written = {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "w5", "num_virtual_tokens": 4}
    begun = attached(model, "prompt_tuning", **written).prompt_encoder["default"].embedding.weight
    assert tokenizer("w5")["input_ids"] == [5]
    expected = make_model("fp32").get_input_embeddings().weight[[5] * 4]
    assert torch.equal(begun.detach(), expected)


@pytest.mark.parametrize("name", ["prompt_tuning", "cartridge", "vera"])
def test_a_trained_one_is_gone_on_with_and_keeps_its_options(
    name: str, make_model: Make, logits: Logits, tmp_path: Path
) -> None:
    save_adapter(shaken(attached(make_model("fp32"), name)), name, tmp_path / "adapter")
    again = continue_adapter(make_model("fp32"), name, {}, tmp_path / "adapter")
    names = {key for key, weight in attached(make_model("fp32"), name).named_parameters() if weight.requires_grad}
    assert {key for key, weight in again.named_parameters() if weight.requires_grad} == names
    with pytest.raises(UserError, match=r"but model\.adapter has"):
        continue_adapter(make_model("fp32"), name, {"r": 3, "num_virtual_tokens": 3}, tmp_path / "adapter")
    with pytest.raises(UserError, match=f"is a {name} adapter, not ia3"):
        continue_adapter(make_model("fp32"), "ia3", {}, tmp_path / "adapter")


def test_a_network_that_is_not_saved_cannot_go_on(make_model: Make, tmp_path: Path) -> None:
    save_adapter(attached(make_model("fp32"), "p_tuning"), "p_tuning", tmp_path / "adapter")
    (finding,) = adapter_method("p_tuning").check_continued({}, tmp_path / "adapter")
    assert "holds what the network of p_tuning gave" in finding.message


def test_methods_of_peft_that_are_not_taken_are_told_with_the_reason() -> None:
    assert "needs the number of a task" in unknown_method("poly")
    assert "did you mean vera?" in unknown_method("vrea")
