from typing import Any

import pytest

from sft.config.overrides import apply_overrides, fill_seed, parse_override
from sft.errors import UserError


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


def test_a_key_below_text_is_refused() -> None:
    with pytest.raises(UserError, match=r'--set dataset\.path\.x: in experiment "a" dataset\.path is not'):
        apply_overrides({"a": {"dataset": {"path": "p"}}}, [parse_override("dataset.path.x=1")])


def test_the_seed_is_filled_only_where_there_is_none() -> None:
    given: dict[str, Any] = {"a": {"seed": 1}, "b": {}}
    assert fill_seed(given, 7) == ({"a": {"seed": 1}, "b": {"seed": 7}}, 1)
    assert given["b"] == {}
