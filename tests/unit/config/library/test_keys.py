"""Keys read from source; the slow tests compare them with the imported classes."""

import dataclasses
import inspect
import subprocess
import sys

import pytest

from sft.config.library import keys as keys
from sft.exceptions import PackageMissing

IMPORTS = """
import sys
from sft.config.library import keys
keys.dataclass_fields(keys.SFT_CONFIG), keys.dataclass_fields(keys.LORA_CONFIG)
keys.popped_names(keys.GENERATION_CONFIG), keys.quantization_classes()
keys.quantization_parameters("BitsAndBytesConfig")
print([name for name in ("torch", "transformers", "trl", "peft") if name in sys.modules])
"""


def test_nothing_is_imported() -> None:
    ended = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_fields_have_their_own_or_inherited_default() -> None:
    fields = keys.dataclass_fields(keys.SFT_CONFIG)
    assert float(fields["learning_rate"].default_text or "") == 2e-5
    assert fields["num_train_epochs"].default_text == "3.0"
    assert fields["max_length"].default_text == "1024"
    assert "float" in fields["learning_rate"].annotation
    assert "lerning_rate" not in fields


def test_fields_that_the_constructor_does_not_take_are_left_out() -> None:
    fields = keys.dataclass_fields("peft.tuners.lora.config:ArrowConfig")
    assert "rng_seed" in fields
    assert "task_adapter_names" not in fields


def test_names_of_generation_and_quantization() -> None:
    assert {"max_new_tokens", "do_sample", "temperature"} <= keys.popped_names(keys.GENERATION_CONFIG)
    assert not any(name.startswith("_") for name in keys.popped_names(keys.GENERATION_CONFIG))
    assert {"BitsAndBytesConfig", "GPTQConfig", "AwqConfig"} <= set(keys.quantization_classes())
    assert "QuantizationConfigMixin" not in keys.quantization_classes()
    assert "load_in_4bit" in keys.quantization_parameters("BitsAndBytesConfig")
    assert {"self", "kwargs"}.isdisjoint(keys.quantization_parameters("BitsAndBytesConfig"))


def test_enumerations_have_their_text_values() -> None:
    assert "cosine" in keys.enum_values("transformers.trainer_utils:SchedulerType")


def test_classes_are_followed_through_exports() -> None:
    assert keys.class_exists("transformers:TrainingArguments")
    assert not keys.class_exists("transformers:TrainingArgument")
    assert not keys.class_exists("transformers.no.such.module:TrainingArguments")


def test_a_missing_class_or_package_is_told() -> None:
    with pytest.raises(LookupError, match="NoClass"):
        keys.dataclass_fields("peft.tuners.lora.config:NoClass")
    with pytest.raises(PackageMissing, match="no_such_package"):
        keys.dataclass_fields("no_such_package:Config")


@pytest.mark.slow
def test_dataclasses_equal_the_imported_ones() -> None:
    from peft import LoraConfig
    from trl import SFTConfig

    for kind, target in ((SFTConfig, keys.SFT_CONFIG), (LoraConfig, keys.LORA_CONFIG)):
        expected = [field.name for field in dataclasses.fields(kind) if field.init]
        assert list(keys.dataclass_fields(target)) == expected


@pytest.mark.slow
def test_quantization_classes_equal_the_imported_ones() -> None:
    from transformers.utils import quantization_config as module

    base = module.QuantizationConfigMixin
    classes = {name: kind for name, kind in vars(module).items() if isinstance(kind, type) and issubclass(kind, base)}
    assert set(keys.quantization_classes()) == set(classes) - {base.__name__}
    for name in keys.quantization_classes():
        parameters = list(inspect.signature(classes[name].__init__).parameters.values())[1:]
        variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        expected = [parameter.name for parameter in parameters if parameter.kind not in variable]
        assert list(keys.quantization_parameters(name)) == expected


@pytest.mark.slow
def test_generation_names_are_the_attributes_of_the_imported_class() -> None:
    from transformers import GenerationConfig

    popped = keys.popped_names(keys.GENERATION_CONFIG)
    public = {name for name in vars(GenerationConfig()) if not name.startswith("_")}
    assert public <= popped


@pytest.mark.slow
def test_enumerations_equal_the_imported_ones() -> None:
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    assert list(keys.enum_values("transformers.trainer_utils:SchedulerType")) == [kind.value for kind in SchedulerType]
    optimizers = [kind.value for kind in OptimizerNames]
    assert list(keys.enum_values("transformers.training_args:OptimizerNames")) == optimizers
