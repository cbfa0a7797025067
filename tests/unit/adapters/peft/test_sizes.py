"""Options that do not fit the sizes of layers: the rules refuse what PEFT refuses, and name what it takes."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.adapters.attach import attach_adapter
from sft.adapters.method import TASK_TYPE, adapter_method
from sft.exceptions import UserError
from sft.registry import import_object

SIZES = {"hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2}
CONFIG = {"model_type": "llama", **SIZES, "num_hidden_layers": 1, "max_position_embeddings": 32}
"""Layers of 24 x 24, 12 x 24, 40 x 24 and 24 x 40: sides share the divisors 1, 2 and 4, inputs 1, 2, 4 and 8."""
CASES: list[tuple[str, str, dict[str, Any], tuple[int, ...]]] = [
    ("oft", "oft_block_size", {}, (1, 2, 3, 4, 8, 16)),
    ("oft", "r", {}, (1, 3, 8, 24, 40)),
    ("boft", "boft_block_size", {}, (1, 2, 3, 4, 8, 24)),
    ("boft", "boft_block_num", {}, (1, 2, 3, 8)),
    ("gralora", "gralora_k", {"r": 12}, (1, 2, 3, 4, 8)),
    ("gralora", "gralora_k", {"r": 6}, (2, 4)),
    ("c3a", "block_size", {}, (1, 2, 3, 4, 8, 12)),
    ("c3a", "block_size", {"block_size_pattern": {"q_proj": 12, "self_attn.o_proj": 24}}, (4, 8)),
    ("miss", "r", {}, (1, 5, 24, 25)),
    ("miss", "r", {"init_weights": "bat"}, (1, 3, 4, 8)),
    ("miss", "mini_r", {"init_weights": "mini", "r": 4}, (1, 3, 4, 12)),
    ("road", "group_size", {}, (2, 3, 4, 8)),
    ("vblora", "vector_length", {"num_vectors": 8}, (1, 3, 4, 8)),
    ("fourierft", "n_frequency", {}, (288, 289)),
    ("fourierft", "n_frequency", {"n_frequency_pattern": {"k_proj": 288, "v_proj": 1}}, (576, 577)),
    ("waveft", "n_frequency", {}, (288, 289)),
    ("waveft", "n_frequency", {"proportional_parameters": True}, (289,)),
    ("shira", "r", {"mask_type": "random"}, (1, 8, 9)),
]


@pytest.fixture(scope="module")
def make_small() -> Callable[[], Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    return lambda: LlamaForCausalLM(LlamaConfig(**SIZES, num_hidden_layers=1, vocab_size=9, pad_token_id=None))


def takes(name: str, options: dict[str, Any], model: Any) -> bool:
    """Whether PEFT itself builds the adapter as it is written."""
    from peft import get_peft_model

    row = adapter_method(name).row  # type: ignore[attr-defined]
    written = {key for key in row.either or () if key in options}
    others = {key: 0 for key in row.either or () if written and key not in written}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            get_peft_model(model, import_object(row.config)(target_modules="all-linear", **others, **options))
        except ValueError:
            return False
    return not any("Adjusted" in str(warning.message) for warning in told)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "option", "others", "values"), CASES, ids=[f"{it[0]}-{it[1]}-{sorted(it[2])}" for it in CASES]
)
def test_the_rules_refuse_what_peft_refuses(
    name: str, option: str, others: dict[str, Any], values: tuple[int, ...], make_small: Callable[[], Any]
) -> None:
    method = adapter_method(name)
    for value in values:
        options = {option: value, **others}
        assert method.check(options, Path()) == []
        found = method.check_on_model(options, CONFIG)
        assert (not found) is takes(name, options, make_small()), (options, found)
        assert [path for path, _ in found] in ([], [option])
        for text in re.findall(r"fit: ([\d, ]+)|layers is (\d+)", " ".join(message for _, message in found)):
            for fitting in map(int, "".join(text).split(", ")):
                assert takes(name, {option: fitting, **others}, make_small()), (options, fitting)


def test_every_rule_is_held_against_peft() -> None:
    from sft.adapters import adapter_registry

    rows = [getattr(adapter_method(name), "row", None) for name in adapter_registry]
    ruled = {(row.name, rule.option) for row in rows if row is not None for rule in row.sizes}
    assert ruled == {(name, option) for name, option, _, _ in CASES}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "c3a",
            {"block_size": 12},
            "block_size: 12: does not divide the 40 inputs of layer model.layers.0.mlp.down_proj; "
            "for all layers these fit: 1, 2, 4",
        ),
        (
            "c3a",
            {"block_size": 9, "target_modules": ["q_proj", "o_proj"]},
            "block_size: 9: does not divide the 24 outputs of layer model.layers.0.self_attn.o_proj; "
            "for all layers these fit: 1, 2, 3, 4, 6, 8, 12, 24",
        ),
        ("gralora", {"gralora_k": 5}, "gralora_k: 5: does not divide r, 32; for all layers these fit: 1, 2, 4"),
        ("road", {"group_size": 3}, "group_size: 3: must be even; for all layers these fit: 2, 4"),
        (
            "waveft",
            {},
            "n_frequency: 2592, above the 576 that layer model.layers.0.self_attn.o_proj can take (its weights); "
            "the largest for all layers is 288",
        ),
        (
            "shira",
            {},
            "r: 32, above the 12 that layer model.layers.0.self_attn.o_proj can take (its weights over the sum of "
            "its outputs and inputs); the largest for all layers is 8",
        ),
        (
            "adaption_prompt",
            {"adapter_layers": 2},
            "adapter_layers: 2: the model has 1 block; write 1 or less, or leave it out",
        ),
    ],
    ids=lambda it: it if isinstance(it, str) and len(it) < 20 else "",
)
def test_what_would_fit_is_told(name: str, options: dict[str, Any], message: str) -> None:
    (finding,) = adapter_method(name).check_on_model(options, CONFIG)
    assert f"{finding.path}: {finding.message}" == message


def test_nothing_is_said_of_layers_that_are_not_known_or_get_no_adapter() -> None:
    unknown = {**CONFIG, "model_type": "mamba"}
    assert adapter_method("c3a").check_on_model({"block_size": 7}, unknown) == []
    assert adapter_method("oft").check_on_model({"r": 12, "exclude_modules": r".*mlp.*"}, CONFIG) == []
    (told,) = adapter_method("gralora").check_on_model({"gralora_k": 5}, unknown)
    assert told == ("gralora_k", "5: does not divide r, 32; for all layers these fit: 1, 2, 4, 8, 16, 32")
    assert adapter_method("road").check_on_model({"group_size": 3}, unknown) == [("group_size", "3: must be even")]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "c3a",
            {"block_size": 2, "block_size_pattern": {"q_proj": 0}},
            "block_size_pattern.q_proj: 0: input should be",
        ),
        ("waveft", {"n_frequency_pattern": {"q_proj": "many"}}, "n_frequency_pattern.q_proj: 'many': input should be"),
        ("waveft", {"n_frequency_pattern": {"(q_proj": 8}}, "n_frequency_pattern: '(q_proj' is no regular expression"),
        ("hira", {"rank_pattern": {"q_proj": 2.5}}, "rank_pattern.q_proj: 2.5: input should be a valid integer"),
        ("boft", {"boft_block_size": -1}, "boft_block_size: -1: input should be greater than or equal to 0"),
    ],
    ids=lambda it: it if isinstance(it, str) and len(it) < 20 else "",
)
def test_values_that_no_layer_can_have_are_told_before_they_are_held_against_one(
    name: str, options: dict[str, Any], message: str
) -> None:
    (finding,) = adapter_method(name).check(options, Path())
    assert f"{finding.path}: {finding.message}".startswith(message)


def test_sizes_that_leave_the_matter_to_another_option_are_taken() -> None:
    for name, options in (
        ("boft", {"boft_block_size": 0, "boft_block_num": 4}),
        ("oft", {"oft_block_size": 0, "r": 4}),
    ):
        assert adapter_method(name).check(options, Path()) == []


def test_what_is_left_out_fits_by_itself() -> None:
    for name in ("oft", "boft", "c3a", "miss", "road", "vblora", "adaption_prompt", "gralora"):
        assert adapter_method(name).check_on_model({}, CONFIG) == [], name


def test_the_stage_says_the_same_of_a_model_that_no_plan_knew(make_small: Callable[[], Any]) -> None:
    model = make_small()
    model.config.model_type = "of_mine"
    options = {"block_size": 12, "target_modules": ["down_proj"]}
    (finding,) = adapter_method("c3a").check_on_model(options, CONFIG)
    with pytest.raises(UserError) as caught:
        attach_adapter(model, "c3a", {TASK_TYPE: "CAUSAL_LM", **options}, Path(), 1)
    assert str(caught.value) == f"adapter.block_size: {finding.message}"


def test_adaption_prompts_know_the_blocks_of_some_models_only() -> None:
    from peft.tuners.adaption_prompt.config import TRANSFORMERS_MODEL_CONFIG

    method = adapter_method("adaption_prompt")
    assert set(method.row.model_types) == set(TRANSFORMERS_MODEL_CONFIG)  # type: ignore[attr-defined]
    (told,) = method.check_on_model({}, {**CONFIG, "model_type": "qwen2"})
    assert told.path == "method"
    assert "knows the blocks of gpt2, llama, mistral, and this model is of type qwen2" in told.message
    assert method.check_on_model({}, {}) == []
