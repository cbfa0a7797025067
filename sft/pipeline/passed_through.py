"""What of the sections that go to a library counts for a key: all that is written and is not the default.

The default is ours where we have one, else that of the installed class.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sft.adapters.method import TASK_TYPE, adapter_method
from sft.config.experiment import ExperimentConfig
from sft.config.library.defaults import generation_defaults, init_defaults, is_default, without_defaults
from sft.config.library.keys import QUANTIZATION_MODULE
from sft.inference.options import effective_generation_args
from sft.models.model_args import DEFAULTS as MODEL_ARGS
from sft.objectives import objective_of
from sft.tasks.inputs import task_of
from sft.training.options import known_defaults


class Section(NamedTuple):
    """A section of one experiment that goes to a library, by the place where it is written."""

    path: str
    written: Mapping[str, Any]
    defaults: Mapping[str, Any]
    """What a key means where it is left out, of the keys that have one."""

    def counted(self) -> dict[str, Any]:
        """The written keys that are not as by default."""
        return without_defaults(self.written, self.defaults)


def adapter_section(config: ExperimentConfig) -> Section:
    """The options of the adapter method."""
    defaults = adapter_method(config.adapter_method).known_defaults(continued=config.model.adapter is not None)
    of_objective = {TASK_TYPE: objective_of(config, task_of(config).objectives).peft_task_type}
    return Section(config.adapter_section, config.adapter_options, {**defaults, **of_objective})


def quantization_section(config: ExperimentConfig) -> Section:
    """The arguments of the quantisation class; empty where nothing is quantised."""
    chosen = config.model.quantization
    defaults = init_defaults(f"{QUANTIZATION_MODULE}:{chosen.config_class}") if chosen else {}
    return Section("model.quantization.args", chosen.args if chosen else {}, defaults)


def model_section(config: ExperimentConfig) -> Section:
    """The arguments of `from_pretrained`."""
    return Section("model.model_args", config.model.model_args, MODEL_ARGS)


def generation_section(config: ExperimentConfig) -> Section:
    """How texts are generated; null is what is left out."""
    written = config.inference.generation_args
    ours = effective_generation_args({}, config.inference_prompting.max_output_length)
    unset = dict.fromkeys((key for key, value in written.items() if value is None))
    return Section("inference.generation_args", written, {**generation_defaults(), **ours, **unset})


def trainer_section(config: ExperimentConfig) -> Section:
    """The arguments of the trainer."""
    written = config.training.trainer_args if config.training else {}
    return Section("training.trainer_args", written, known_defaults(written, config.adapter_method))


def written_defaults(config: ExperimentConfig) -> Iterator[tuple[str, Any]]:
    """Dotted path and value of what is written as it would be by default, so that no key of a stage holds it."""
    sections = [quantization_section(config), model_section(config)]
    if config.trains:
        sections += [adapter_section(config), trainer_section(config)]
    if task_of(config).uses("inference.generation_args"):
        sections.append(generation_section(config))
    for section in sections:
        for key, value in section.written.items():
            if is_default(key, value, section.defaults):
                yield f"{section.path}.{key}", value
