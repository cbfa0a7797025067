"""Defaults read from source are those of the imported classes."""

import dataclasses
import inspect
from typing import Any

import pytest

from sft.config.canonical import canonical
from sft.config.library.defaults import dataclass_defaults, generation_defaults, init_defaults, is_default
from sft.config.library.keys import LORA_CONFIG, QUANTIZATION_MODULE, SFT_CONFIG, quantization_classes
from sft.registry import import_object


def _imported(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


@pytest.mark.slow
@pytest.mark.parametrize(("target", "untold"), [(SFT_CONFIG, set()), (LORA_CONFIG, {"runtime_config"})])
def test_dataclass_defaults_are_those_of_the_class(target: str, untold: set[str]) -> None:
    real = {field.name: _imported(field) for field in dataclasses.fields(import_object(target)) if field.init}
    told = dataclass_defaults(target)
    assert set(real) - set(told) == untold
    assert {name: real[name] for name in told} == told


@pytest.mark.slow
def test_quantization_defaults_are_those_of_the_classes() -> None:
    for name in quantization_classes():
        target = f"{QUANTIZATION_MODULE}:{name}"
        real = inspect.signature(import_object(target).__init__).parameters
        for key, value in init_defaults(target).items():
            assert canonical(real[key].default) == canonical(value), (name, key)


@pytest.mark.slow
def test_generation_defaults_are_those_of_the_class() -> None:
    from transformers import GenerationConfig

    assert GenerationConfig._get_default_generation_params() == generation_defaults()


def test_a_number_is_no_truth_value_and_a_whole_float_is_an_integer() -> None:
    defaults = {"r": 8, "bias": False, "names": []}
    assert is_default("r", 8.0, defaults)
    assert is_default("r", 8, defaults)
    assert not is_default("r", 9, defaults)
    assert not is_default("on", 1, {"on": True})
    assert not is_default("on", False, {"on": True})
    assert not is_default("bias", 0, defaults)
    assert not is_default("other", None, defaults)
    assert not is_default("names", None, defaults)
