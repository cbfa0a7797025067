"""The defaults in force: what is not written in the configs of a plan."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from sft.adapters.method import adapter_method, option_defaults
from sft.config.experiment import ExperimentConfig
from sft.experiments.planning.plan import PlannedExperiment
from sft.inference.options import effective_generation_args, sampling_batch_size
from sft.objectives import objective_of
from sft.pipeline.needed_rows import samples_texts
from sft.tasks.inputs import task_of
from sft.tasks.task import SETTINGS
from sft.training.objectives import training_objective_of
from sft.training.options import trainer_args_of


def default_lines(experiments: Sequence[PlannedExperiment]) -> list[str]:
    """One line per default and value, with how many experiments it is in force in, where that is not all."""
    found = Counter((path, repr(value)) for planned in experiments for path, value in _defaults(planned))
    return [
        f"  {path} = {value}" + ("" if count == len(experiments) else f"  ({count} of {len(experiments)} experiments)")
        for (path, value), count in sorted(found.items())
    ]


def _defaults(planned: PlannedExperiment) -> Iterator[tuple[str, Any]]:
    config = planned.experiment.config
    no_test = config.dataset.splits.folds is not None
    not_in_force: set[str] = {"dataset.splits.test"} if no_test else set()
    if config.training is not None and training_objective_of(config).name != config.training.objective:
        not_in_force.add("training.objective")  # trainer_args.loss_type says it
    task = task_of(config)
    not_in_force |= objective_of(config, task.objectives).without_effect
    not_in_force |= {setting for setting in SETTINGS if not task.uses(setting)}
    yield from (item for item in _unwritten(config, "") if not _is_of(item[0], not_in_force))
    if config.evaluation.metrics is None:
        yield "evaluation.metrics", list(planned.experiment.metrics)
    if config.inference.batch_size is None:
        yield "inference.batch_size", sampling_batch_size(None) if samples_texts(config) else "automatic"
    if config.trains:
        yield from _training_defaults(config)
    if task.uses("inference.generation_args"):
        written = config.inference.generation_args
        in_force = effective_generation_args(written, config.inference_prompting.max_output_length)
        yield from _added("inference.generation_args", written, in_force)


def _is_of(path: str, sections: Collection[str]) -> bool:
    """Whether a dotted path is one of these, or lies below one."""
    return any(path == section or path.startswith(f"{section}.") for section in sections)


def _training_defaults(config: ExperimentConfig) -> Iterator[tuple[str, Any]]:
    written = config.training.trainer_args if config.training else {}
    yield from _added("training.trainer_args", written, trainer_args_of(config))
    defaults = option_defaults(adapter_method(config.adapter_method).options)
    yield from _added(config.adapter_section, config.adapter_options, defaults)


def _added(section: str, written: Mapping[str, Any], in_force: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((f"{section}.{key}", value) for key, value in in_force.items() if key not in written)


def _unwritten(section: BaseModel, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        path = f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from _unwritten(value, f"{path}.")
        elif name not in section.model_fields_set and value is not None and value != {}:
            yield path, value
