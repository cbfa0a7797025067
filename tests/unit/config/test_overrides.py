from typing import Any

import pytest

from sft.config.overrides import apply_overrides, fill_seed, parse_override
from sft.exceptions import UserError


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("seed=7", ("seed",), 7),
        ("a.b=1e-4", ("a", "b"), 1e-4),
        ("a.b=text", ("a", "b"), "text"),
        ('a.b="7"', ("a", "b"), "7"),
        ("a.b=x=y", ("a", "b"), "x=y"),
        ("lora=null", ("lora",), None),
        ("lora={}", ("lora",), {}),
        ("a=[1, 2]", ("a",), [1, 2]),
        ("a=", ("a",), ""),
        ("a=NaN", ("a",), "NaN"),
    ],
)
def test_a_value_is_json_or_else_text(text: str, path: tuple[str, ...], value: Any) -> None:
    override = parse_override(text)
    assert (override.path, override.value) == (path, value)
    assert type(override.value) is type(value)


@pytest.mark.parametrize("text", ["seed", "=7", "a..b=1", ".a=1", "a.=1", "name=x"])
def test_a_malformed_one_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--set"):
        parse_override(text)


def test_a_malformed_one_does_not_echo_a_token() -> None:
    with pytest.raises(UserError) as caught:
        parse_override("hf_CANARYcanary1234567890")
    assert "CANARY" not in str(caught.value)


def test_overrides_reach_every_config_and_leave_the_given_ones() -> None:
    shared = {"shots": 4, "path": "p"}
    configs: dict[str, Any] = {"a": {"dataset": shared}, "b": {"dataset": shared, "lora": None}, "c": {}}
    overrides = [parse_override("dataset.shots=8"), parse_override("lora.r=2"), parse_override("lora.bias=none")]
    changed = apply_overrides(configs, overrides)
    lora = {"r": 2, "bias": "none"}
    assert changed == {
        "a": {"dataset": {"shots": 8, "path": "p"}, "lora": lora},
        "b": {"dataset": {"shots": 8, "path": "p"}, "lora": lora},
        "c": {"dataset": {"shots": 8}, "lora": lora},
    }
    assert shared == {"shots": 4, "path": "p"}


@pytest.mark.parametrize("written", ["lora.r=2", "adapter.r=2"])
def test_an_option_of_an_adapter_makes_no_training_of_what_trains_nothing(written: str) -> None:
    configs: dict[str, Any] = {
        "icl": {"inference": {"icl_examples": 2}},
        "zero": {"lora": None, "adapter": {"method": "none"}},
        "lora": {"lora": {}},
        "named": {"adapter": {"method": "lora", "r": 8}},
    }
    told: list[str] = []
    changed = apply_overrides(configs, [parse_override(written)], told.append)
    assert (changed["icl"], changed["zero"]) == (configs["icl"], configs["zero"])
    assert changed["lora"] == {"lora": {"r": 2}}
    assert changed["named"] == {"adapter": {"method": "lora", "r": 2}}
    assert told == [f'--set {written[:-2]}: "icl" and 1 more trains nothing and stays as it is']


def test_where_nothing_is_trained_on_purpose_there_is_no_adapter_to_set() -> None:
    zero: dict[str, Any] = {"adapter": {"method": "none"}}
    with pytest.raises(UserError, match=r"--set lora\.r: every experiment says adapter.method none"):
        apply_overrides({"a": zero}, [parse_override("lora.r=2")])
    told: list[str] = []
    assert apply_overrides({"a": zero, "b": {}}, [parse_override("lora.r=2")], told.append)["b"] == {"lora": {"r": 2}}
    assert "no experiment has an adapter" in told[0]
    assert apply_overrides({"a": {}}, [parse_override("adapter.method=lora")])["a"] == {"adapter": {"method": "lora"}}


def test_a_key_below_text_is_refused() -> None:
    with pytest.raises(UserError, match=r'--set dataset\.path\.x: in experiment "a" dataset\.path is not'):
        apply_overrides({"a": {"dataset": {"path": "p"}}}, [parse_override("dataset.path.x=1")])


def test_the_seed_is_filled_only_where_there_is_none() -> None:
    given: dict[str, Any] = {"a": {"seed": 1}, "b": {}}
    assert fill_seed(given, 7) == ({"a": {"seed": 1}, "b": {"seed": 7}}, 1)
    assert given["b"] == {}
