"""Scales and shifts on the outputs of layers, against the same written out with hooks."""

import copy

import pytest
import torch
from torch import nn

from sft.adapters.attach import attach_adapter
from sft.adapters.output_parts import PART, add_part, parts_of
from sft.adapters.saving import load_adapter, save_adapter
from sft.adapters.ssf.method import METHOD
from sft.adapters.ssf.tuner import ScaleAndShift, form_of
from sft.exceptions import UserError

LLAMA_LAYERS = 2 * (7 + 2) + 1
RMS_NORMS = 2 * 2 + 1
GPT2_LAYERS = 2 * (4 + 2) + 1


@pytest.fixture
def attached(make_model, tmp_path):
    def attach(kind, **options):
        return attach_adapter(make_model(kind), "ssf", {"task_type": "CAUSAL_LM", **options}, tmp_path, 0)

    return attach


def randomize(model, size=0.1):
    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape, generator=generator) * size
    return model


@pytest.mark.parametrize(
    "kind", ["fp32", *(pytest.param(k, marks=pytest.mark.slow) for k in ("bf16", "gpt2", "nf4", "int8"))]
)
def test_at_the_start_the_model_computes_what_it_computed_and_then_all_of_it_moves(
    attached, make_model, logits, train_steps, kind
):
    model = attached(kind)
    assert torch.equal(logits(model), logits(make_model(kind)))
    before = {name: tensor.clone() for name, tensor in METHOD.own_tensors(model).items()}
    assert {tensor.dtype for tensor in before.values()} == {torch.float32}
    assert len(before) == (2 * GPT2_LAYERS if kind == "gpt2" else 2 * LLAMA_LAYERS - RMS_NORMS)
    losses = train_steps(model)
    moved = [(METHOD.own_tensors(model)[name] != tensor).double().mean() for name, tensor in before.items()]
    assert min(moved) > 0.6, "a softmax does not see a shift of all keys, which by rounding alone is not 0"
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", ["fp32", pytest.param("gpt2", marks=pytest.mark.slow)])
def test_it_computes_what_hooks_that_are_written_out_compute(attached, make_model, logits, kind):
    model, plain = randomize(attached(kind)), make_model(kind)
    tensors = METHOD.own_tensors(model)
    for name, layer in plain.named_modules():
        if f"{name}.{PART}.scale" not in tensors:
            continue
        factor, shift = 1 + tensors[f"{name}.{PART}.scale"], tensors.get(f"{name}.{PART}.shift", 0)
        layer.register_forward_hook(lambda _, given, found, factor=factor, shift=shift: found * factor + shift)
    assert torch.allclose(logits(model), logits(plain), atol=1e-4)
    assert not torch.allclose(logits(model), logits(make_model(kind)), atol=0.1)


@pytest.mark.parametrize("kind", ["fp32", *(pytest.param(k, marks=pytest.mark.slow) for k in ("bf16", "nf4", "int8"))])
def test_a_saved_one_is_read_back_to_the_last_bit(attached, make_model, logits, tmp_path, kind):
    model = randomize(attached(kind, exclude=["k_proj"]))
    save_adapter(model, "ssf", tmp_path / "adapter")
    again = load_adapter(make_model(kind), tmp_path / "adapter")
    assert torch.equal(logits(again), logits(model))
    assert not any(parameter.requires_grad for parameter in again.parameters())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"targets": "linear"}, 14),
        ({"targets": "norm"}, 5),
        ({"targets": ["q_proj", "layers.1.mlp.up_proj"]}, 3),
        ({"targets": r".*\.0\..*_proj"}, 7),
        ({"exclude": ["norm", "layers.0.self_attn.q_proj"]}, LLAMA_LAYERS - 2),
    ],
)
def test_the_targets_are_those_that_are_named(attached, options, expected):
    assert len(parts_of(attached("fp32", **options))) == expected


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("fp32", {"shift": False}, LLAMA_LAYERS),
        ("fp32", {"shift_norms": "all"}, 2 * LLAMA_LAYERS),
        ("gpt2", {"shift_norms": "none"}, 2 * 2 * 4 + 5),
    ],
)
def test_shifts_are_where_they_are_wanted(attached, kind, options, expected):
    assert len(METHOD.own_tensors(attached(kind, **options))) == expected


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"targets": ["q_prj"]}, r"adapter.targets \['q_prj'\] matches no layer .*\(did you mean q_proj\?\)"),
        ({"targets": "conv"}, r"adapter.targets 'conv': LlamaForCausalLM has none; it has linear, norm"),
        ({"targets": "lm_head"}, "adapter.targets 'lm_head' matches no layer"),
        ({"exclude": ["o_projj"]}, r"adapter.exclude \['o_projj'\] matches no layer"),
        ({"targets": ["norm"], "exclude": ["norm"]}, "adapter.exclude takes every target out"),
    ],
)
def test_targets_that_match_nothing_are_told(attached, options, part):
    with pytest.raises(UserError, match=part):
        attached("fp32", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "all"}, "did you mean targets"),
        ({"shift": "yes"}, "'yes': input should be a valid boolean"),
        ({"targets": "(q_proj"}, "is no pattern"),
        ({"targets": []}, "names no layer"),
    ],
)
def test_wrong_options_are_found_without_a_model(tmp_path, options, message):
    assert message in METHOD.check(options, tmp_path)[0].message


def test_targets_that_match_nothing_are_found_by_the_config_alone(make_model):
    for kind, right, wrong in (("fp32", "model.norm", "c_fc"), ("gpt2", "ln_1", "q_proj")):
        config = make_model(kind).config.to_dict()
        assert METHOD.check_on_model({"targets": [right], "exclude": [right]}, config) == []
        assert [found.path for found in METHOD.check_on_model({"targets": [right, wrong]}, config)] == ["targets"]
        assert METHOD.check_on_model({"targets": "norm"}, config) == []
    assert METHOD.check_on_model({"targets": ["c_fc"]}, {"model_type": "unknown"}) == []


def test_candidates_are_layers_of_this_type_of_model(make_model):
    for kind in ("fp32", "gpt2"):
        model = make_model(kind)
        there = {name.rpartition(".")[2] for name, _ in model.named_modules()}
        (found,) = METHOD.check_on_model({"targets": ["pre_feedforward_layernorm"]}, model.config.to_dict())
        named = found.message.partition("it has ")[2].split(", ")
        assert set(named) <= there
        assert len(named) > 5


def test_layers_that_no_text_passes_get_none(make_model, tmp_path):
    model = make_model("fp32")
    model.config.model_type = "unknown to the tests"
    model.model.layers[0].self_attn.spare = nn.Linear(64, 64)
    names = set(parts_of(attach_adapter(model, "ssf", {}, tmp_path, 0)))
    assert len(names) == LLAMA_LAYERS
    assert not any("spare" in name for name in names)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(3, 6, 2), (2, 3, 5, 5)),
        (nn.ConvTranspose1d(3, 6, 2), (2, 3, 5)),
        (nn.GroupNorm(2, 6), (2, 6, 5)),
        (nn.LayerNorm((4, 6)), (2, 4, 6)),
        (nn.RMSNorm(6), (2, 6)),
        (nn.Linear(3, 6), (2, 5, 3)),
    ],
)
def test_channels_are_scaled_wherever_they_stand(layer, shape):
    rows = torch.randn(shape)
    form, plain = form_of(layer), layer(rows).detach()
    part = ScaleAndShift(form, shift=True)
    add_part(layer, randomize(part))
    spread = (-1, *[1] * (len(shape) - 2)) if form.channels_first else form.shape
    assert torch.allclose(layer(rows), plain * (1 + part.scale.view(spread)) + part.shift.view(spread), atol=1e-6)


def test_a_copy_of_a_model_uses_its_own_scales(attached, logits):
    model = attached("fp32")
    copied = randomize(copy.deepcopy(model))
    assert not torch.equal(logits(model), logits(copied))


def test_it_goes_with_a_cache_and_with_recomputed_activations(attached, logits, train_steps):
    from tests.unit.conftest import IDS

    plain, thrifty = randomize(attached("fp32")), randomize(attached("fp32"))
    step_by_step = plain.generate(IDS, max_new_tokens=4, do_sample=False, use_cache=True, pad_token_id=0)
    at_once = plain.generate(IDS, max_new_tokens=4, do_sample=False, use_cache=False, pad_token_id=0)
    assert torch.equal(step_by_step, at_once)
    thrifty.gradient_checkpointing_enable()
    assert train_steps(thrifty) == pytest.approx(train_steps(plain), abs=1e-5)
    assert torch.allclose(logits(thrifty), logits(plain), atol=1e-4)


def test_a_saved_option_that_is_not_known_is_not_passed_over(attached, make_model, tmp_path):
    save_adapter(attached("fp32"), "ssf", tmp_path / "adapter")
    file = tmp_path / "adapter" / "method.json"
    file.write_text(file.read_text().replace('"shift":', '"twist": 2, "shift":'))
    with pytest.raises(UserError, match=r"method\.json has values that ssf does not know: twist; train it anew"):
        load_adapter(make_model("fp32"), tmp_path / "adapter")
