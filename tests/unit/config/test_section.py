"""What is made of a section once for all experiments that share it."""

from sft.config.evaluation import EvaluationConfig
from sft.config.inference import InferenceConfig
from sft.config.prompting import PromptingOverrides

OPTIONS = {"ece_bins": 5}


def test_values_and_text_are_made_once() -> None:
    section = InferenceConfig(icl_examples=2)
    assert section.as_values is section.as_values
    assert section.as_text is section.as_text
    assert section.as_values == section.model_dump(mode="json") | {"prompting": {}}
    assert InferenceConfig.model_validate_json(section.as_text) == section


def test_a_changed_copy_has_its_own() -> None:
    section = InferenceConfig(icl_examples=2)
    before = section.as_text, section.as_values
    changed = section.model_copy(update={"icl_examples": 3})
    assert changed.as_values["icl_examples"] == 3
    assert changed.as_text != section.as_text
    assert (section.as_text, section.as_values) == before


def test_they_change_nothing_of_the_section() -> None:
    section, other = InferenceConfig(icl_examples=2), InferenceConfig(icl_examples=2)
    dumped = section.model_dump(), section.model_dump_json(), repr(section)
    assert section.as_text
    assert section.as_values
    assert section == other
    assert (section.model_dump(), section.model_dump_json(), repr(section)) == dumped


def test_overrides_hold_what_is_written_of_them() -> None:
    section = InferenceConfig(prompting=PromptingOverrides(instruction=None))
    assert section.as_values["prompting"] == {"instruction": None}


def test_arguments_of_metrics_are_there() -> None:
    section = EvaluationConfig(**OPTIONS)
    assert section.as_values["ece_bins"] == 5
    assert '"ece_bins":5' in section.as_text
