"""What can be wrong with a config beyond its shape: names, options and keys, held against the registries.

Nothing heavy is imported. Equal sections are checked once, so that a grid of thousands costs little.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sft.adapters import adapter_registry
from sft.adapters.method import OF_THE_TRAINED, TASK_TYPE, OptionFinding, adapter_method
from sft.adapters.saving import wrong_kind
from sft.adapters.support import refusal, unknown_method, unmergeable
from sft.calibration.selection import NAME, check_calibration, needed_row_sets
from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.evaluation.checks import check_metrics, require_packages
from sft.exceptions import MachineError, UserError
from sft.experiments.planning.checks.heads import last_layer_findings
from sft.experiments.planning.checks.metrics import require_loadable
from sft.experiments.planning.checks.model_files import file_findings, known_config, virtual_token_findings
from sft.experiments.planning.checks.packages import require_importable
from sft.experiments.planning.checks.prompting import decoder_findings, prompting_findings
from sft.inference.options import check_generation_args
from sft.models.answering.kinds import model_kind
from sft.models.model_args import check_model_args, require_attention_package, spreads_over_gpus
from sft.models.quantization import check_quantization, needed_class, require_package
from sft.models.sentence_encoder import check_encoder, require_encoder_package
from sft.models.stored_kinds import stored_kind
from sft.objectives import objective_of
from sft.registry import unknown_name
from sft.tasks import task_registry
from sft.tasks.encoders import encoder_path, encoders_of
from sft.tasks.inputs import task_of
from sft.tasks.row_sets import row_set_fault
from sft.training.argument_checks import (
    check_experts,
    check_rows_fill_a_batch,
    check_virtual_tokens,
    require_trainer_packages,
)
from sft.training.argument_files import check_argument_files
from sft.training.class_weights import check_class_weights, weighs_labels
from sft.training.objectives.checks import check_objective
from sft.training.options import check_trainer_args, evaluates_while_training, trainer_args_of
from sft.training.report_to import KEY, require_report_to

METHOD = "method"


class SectionChecks:
    """Checks configs of one grid folder, each distinct section once."""

    def __init__(self, folder: Path, *, may_train: bool = True) -> None:
        """
        Args:
            folder: what local paths are relative to.
            may_train: whether a `training` section without an adapter is a mistake; evaluate, say, trains nothing.
        """
        self._folder = folder
        self._may_train = may_train
        self._seen: dict[tuple[str, str], list[PathMessage]] = {}
        self._lacking: MachineError | None = None
        """What the machine was first seen to lack for the config that is looked at."""

    def findings(self, config: ExperimentConfig) -> list[PathMessage]:
        """Dotted path and message of everything wrong with a config.

        Raises:
            MachineError: nothing of the sections is wrong, and the machine lacks what one of them needs.
        """
        self._lacking = None
        found = self._of_sections(config)
        if self._lacking is not None and not found:
            raise self._lacking
        return found

    def _of_sections(self, config: ExperimentConfig) -> list[PathMessage]:
        task_type = config.dataset.task_type
        if task_type not in task_registry:
            return [("dataset.task_type", unknown_name("task type", task_type, task_registry))]
        found = _check_what_trains(config) if self._may_train else []
        of_adapter = self._once("adapter", self._adapter_fields(config), lambda: self._adapter(config))
        found += of_adapter or last_layer_findings(config)
        of_trainer = self._once("trainer", self._trainer_fields(config), lambda: self._trainer_args(config))
        of_objective = check_objective(config)
        refused = {path for path, _ in of_objective}  # what is to be left out needs nothing beside it
        found += [(path, message) for path, message in of_trainer if path not in refused] + of_objective
        found += self._once("metrics", self._metric_fields(config), lambda: self._metrics(config))
        model = config.model.as_text
        of_model = self._once("model", model, lambda: self._model(config))
        found += of_model
        if not of_adapter and not of_model:
            fields = [model, config.adapter_method, config.adapter_options, config.trains]
            found += self._once("context", fields, lambda: virtual_token_findings(config, self._folder))
        arguments = config.inference.generation_args
        of_generation = self._once(
            "generation",
            [task_type, arguments],
            lambda: _below("inference.generation_args", check_generation_args(arguments)),
        )
        found += of_generation or decoder_findings(config, self._folder)
        found += _resources(config)
        encoders = encoders_of(config, task_of(config))
        found += self._once("encoders", encoders, lambda: self._encoders(encoders))
        found += self._once("calibration", config.inference.calibration_args, lambda: self._calibration(config))
        found += prompting_findings(config)
        return list(dict.fromkeys(found))

    def _once(self, kind: str, section: Any, check: Callable[[], list[PathMessage]]) -> list[PathMessage]:
        key = (kind, json.dumps(section, sort_keys=True))
        if key not in self._seen:
            try:
                self._seen[key] = check()
            except MachineError as error:  # what the user must change, in any section, is told before
                self._lacking = self._lacking or error
                return []
        return self._seen[key]

    @staticmethod
    def _adapter_fields(config: ExperimentConfig) -> list[Any]:
        model = config.model
        stored = None if model.quantization is None else model.quantization.as_text
        known = [model.adapter, model.name, model.auto_class, model.model_args, stored, config.dataset.task_type]
        return [config.adapter_method, config.adapter_options, config.trains, config.save_method, *known]

    def _adapter(self, config: ExperimentConfig) -> list[PathMessage]:
        if config.lora is None and config.adapter is None:
            return []
        if config.adapter_method not in adapter_registry:
            return [("adapter.method", unknown_method(config.adapter_method))]
        method = adapter_method(config.adapter_method)
        options = {key: value for key, value in config.adapter_options.items() if key != TASK_TYPE}
        found = _task_type_findings(config) + method.check(options, self._folder)
        if not found:
            method.require_packages(options)
            found = method.check_on_model(options, self._model_config(config.model.name))
        quantization = config.model.quantization
        if config.trains and not found and not (quantization and check_quantization(quantization)):
            told = self._model_config(config.model.name)
            storage, kind = stored_kind(quantization, told), model_kind({**told, **config.model.model_args})
            objective = objective_of(config, task_of(config).objectives)
            refused = refusal(config.adapter_method, config.adapter_options, storage, objective, kind)
            found = [] if refused is None else [OptionFinding(METHOD, refused)]
        if config.trains and config.model.adapter is not None and not found:
            found = self._continued(config, self._folder / config.model.adapter)
            if any(not path for path, _ in found):
                return [(OF_THE_TRAINED, message) for _, message in found]
        if not found and config.save_method != "adapter":
            reason = unmergeable(config, self._model_config(config.model.name))
            if reason is not None:
                advice = "write 'adapter', or leave it out"
                return [("training.save_method", f"{config.save_method!r}: {reason}; {advice}")]
        return [_as_written(config, one) for one in found]

    def _model_config(self, name: str) -> Mapping[str, Any]:
        return known_config(name, self._folder)

    @staticmethod
    def _continued(config: ExperimentConfig, adapter: Path) -> list[OptionFinding]:
        try:
            fault = wrong_kind(config.adapter_method, adapter)
            if fault is not None:
                return [OptionFinding("", fault)]
            return adapter_method(config.adapter_method).check_continued(config.adapter_options, adapter)
        except UserError:
            return []  # told as a finding of the model section

    def _calibration(self, config: ExperimentConfig) -> list[PathMessage]:
        name, options = config.calibration, config.calibration_options
        found = check_calibration(name, options, self._folder)
        if not found:
            named = needed_row_sets(name, options, self._folder)
            found = [(NAME, message) for row_set in named if (message := row_set_fault(row_set)) is not None]
        return [(f"inference.calibration_args.{path}", message) for path, message in found]

    @staticmethod
    def _trainer_fields(config: ExperimentConfig) -> list[Any]:
        args = config.training.trainer_args if config.training else {}
        data = [config.dataset.splits.dev is not None, config.model.name, weighs_labels(config)]
        return [args, config.adapter_method, *data]

    def _trainer_args(self, config: ExperimentConfig) -> list[PathMessage]:
        if config.training is None:
            return []
        found = check_trainer_args(config.training.trainer_args, has_dev=config.dataset.splits.dev is not None)
        found += check_class_weights(trainer_args_of(config)) if weighs_labels(config) else []
        found += check_argument_files(config.training.trainer_args, self._folder)
        found += check_experts(config.training.trainer_args, self._model_config(config.model.name))
        if config.adapter_method in adapter_registry:
            found += check_virtual_tokens(trainer_args_of(config), config.adapter_method)
        if not found:
            require_report_to(config.training.trainer_args.get(KEY))
            require_trainer_packages(config.training.trainer_args)
        return _below("training.trainer_args", found)

    @staticmethod
    def _metric_fields(config: ExperimentConfig) -> list[Any]:
        return [config.dataset.task_type, config.evaluation.as_text]

    def _metrics(self, config: ExperimentConfig) -> list[PathMessage]:
        task = task_of(config)
        metrics = config.evaluation.metrics or list(task.default_metrics)
        extra: Mapping[str, Any] = config.evaluation.model_extra or {}
        found = check_metrics(metrics, task.name, extra, self._folder)
        if not found:
            require_packages(metrics)
            require_loadable(metrics, extra, self._folder)
        return found

    def _model(self, config: ExperimentConfig) -> list[PathMessage]:
        model = config.model
        found = [
            (f"model.model_args.{key}" if key else "model.model_args", message)
            for key, message in check_model_args(model.model_args)
        ]
        if model.quantization is not None:
            found += [("model.quantization", message) for message in check_quantization(model.quantization)]
        if not found:
            require_attention_package(model.model_args)
        found += file_findings(model, self._folder)
        if not found:
            needed = needed_class(model.quantization, self._model_config(model.name))
            if needed is not None:
                require_package(needed)
            require_importable(needed)
        return found

    def _encoders(self, encoders: Mapping[str, str]) -> list[PathMessage]:
        found = []
        for section, name in encoders.items():
            message = check_encoder(name, self._folder)
            if message is not None:
                found.append((encoder_path(section), message))
        if encoders and not found:
            require_encoder_package(encoder_path(next(iter(encoders))))
        return found


def _as_written(config: ExperimentConfig, found: OptionFinding) -> PathMessage:
    """A finding at what the user wrote: of an option that is left out the section, and what holds by default."""
    section, (path, message) = config.adapter_section, found
    option = path.partition(".")[0]
    if not option or (option == METHOD and section == "lora"):  # the section is the method, and has no key for it
        return section, message
    defaults = adapter_method(config.adapter_method).known_defaults(continued=False)
    if option not in config.adapter_options and defaults.get(option):
        return section, f"{option} is by default {message}"
    return f"{section}.{path}", message


def _check_what_trains(config: ExperimentConfig) -> list[PathMessage]:
    unsaid = config.lora is None and config.adapter is None
    if config.training is not None and config.dataset.shots != 0 and unsaid:
        message = "training is set but nothing is trained: add `lora: {}`, or say so with `adapter: {method: 'none'}`"
        return [("training", message)]
    return []


def _task_type_findings(config: ExperimentConfig) -> list[OptionFinding]:
    """A `task_type` of the adapter that is not how the model answers; the right one may be written."""
    objective = objective_of(config, task_of(config).objectives)
    written = config.adapter_options.get(TASK_TYPE, objective.peft_task_type)
    if written == objective.peft_task_type:
        return []
    answers = f"models answer as {objective.name} here, whose task_type is {objective.peft_task_type}"
    return [OptionFinding(TASK_TYPE, f"{written!r}: {answers} and is set by the program; leave it out")]


def _resources(config: ExperimentConfig) -> list[PathMessage]:
    asked = config.resources.gpus or 0
    if asked < 2 or spreads_over_gpus(config.model.model_args):
        return []
    return [
        ("resources.gpus", f"{asked}, but a process uses one GPU; add model.model_args.parallelize: true, or write 1")
    ]


def batch_findings(config: ExperimentConfig, n_train: int, n_dev: int | None) -> list[PathMessage]:
    """Whether the rows of an experiment fill the batches of its training.

    Args:
        config: the experiment.
        n_train: its training rows.
        n_dev: its dev rows; None where it has none.
    """
    if not config.trains or config.training is None:
        return []
    args = trainer_args_of(config)
    seen = n_dev if evaluates_while_training(args) else None
    return _below("training.trainer_args", check_rows_fill_a_batch(args, n_train, seen))


def _below(section: str, found: Iterable[tuple[str, str]]) -> list[PathMessage]:
    return [(f"{section}.{key}", message) for key, message in found]
