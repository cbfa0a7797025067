"""Key fields of the in-context examples, and of the metrics.

Of the examples: what they depend on beside the pool they come from and the text that is compared. Of the metrics,
beside their names: arguments, and files that they are or read.
"""

import functools
from itertools import chain
from typing import Any

from sft.config.examples import INFERENCE, TRAINING, ExampleChoice, inference_choice, training_choice
from sft.config.experiment import ExperimentConfig
from sft.evaluation.baselines import baseline_registry
from sft.evaluation.selection import entries_of, result_name
from sft.pipeline.experiment import Experiment
from sft.pipeline.needed_rows import asks_about_labels
from sft.registry import is_own_code, load
from sft.runs.records import StageName
from sft.tasks.encoders import BASELINE
from sft.tasks.inputs import task_of

Fields = dict[str, Any]


def training_examples(experiment: Experiment) -> Fields:
    """Of the examples before training rows."""
    return _example_fields(experiment, training_choice(experiment.config), TRAINING)


def inference_examples(experiment: Experiment, drawn_per_row: bool) -> Fields:
    """Of the examples at inference; prompts without a row of their own have the fixed ones."""
    config = experiment.config
    choice = inference_choice(config)
    if not drawn_per_row:
        return _example_fields(experiment, ExampleChoice(choice.k), INFERENCE)
    drawn = choice.k > 0 and choice.selection == "random" and config.inference.random_icl
    return _example_fields(experiment, choice, INFERENCE) | ({"random_icl": True} if drawn else {})


def _example_fields(experiment: Experiment, choice: ExampleChoice, section: str) -> Fields:
    if not choice.k:
        return {}
    fields: Fields = {"icl_examples": choice.k}
    if choice.is_seeded(task_of(experiment.config).examples_per_label):
        fields["icl_seed"] = experiment.config.seed_of("icl")
    if choice.selection != "random":
        fields["icl_selection"] = choice.selection
    if choice.encoder is not None:
        fields["icl_encoder"] = experiment.fingerprints.encoders[section]
    return fields


def drawn_negatives(config: ExperimentConfig) -> Fields:
    """Which labels a training row is asked about beside its own, where it is asked about labels."""
    if not asks_about_labels(config):
        return {}
    return {"negatives": config.dataset.negatives, "negatives_seed": config.seed_of("shots")}


def by_content(experiment: Experiment, stage: StageName, written: Fields) -> Fields:
    """Arguments with the content of the files that they name in place of their paths."""
    files = experiment.fingerprints.files
    return {key: files.get(f"{stage}:{value}", value) for key, value in written.items()}


def corrected_gold(experiment: Experiment) -> str | None:
    """The content of the file that corrects the gold of evaluated rows; None where there is none."""
    name = experiment.config.dataset.corrections
    return None if name is None else experiment.fingerprints.files[f"evaluate:{name}"]


def read_by_baselines(experiment: Experiment) -> Fields:
    """The content of what baselines read beside the data: corrected gold, and what splits words or embeds texts."""
    found = {
        "corrections": corrected_gold(experiment),
        "tokenizer": word_tokenizer(experiment),
        "encoder": experiment.fingerprints.encoders.get(BASELINE),
    }
    return {name: content for name, content in found.items() if content is not None}


def own_evaluation_code(experiment: Experiment) -> list[str]:
    """Own metrics and an own calibrator, as written."""
    config = experiment.config
    calibrator = [config.calibration] if task_of(config).uses("inference.calibration_args") else []
    return [name for name in (*experiment.metrics, *calibrator) if is_own_code(name)]


def metric_modules(experiment: Experiment) -> Fields:
    """Metrics that are local modules of `evaluate`, by result, with their content."""
    files = experiment.fingerprints.files
    found = {name: files.get(f"evaluate:{name}") for name in experiment.metrics}
    return {result_name(name): content for name, content in found.items() if content is not None}


def metric_arguments(experiment: Experiment) -> Fields:
    """The written arguments of the metrics that are not at their default."""
    written = experiment.config.evaluation.model_extra or {}
    defaults = _metric_defaults(experiment.metrics) if written else {}
    return {key: value for key, value in written.items() if key not in defaults or defaults[key] != value}


def word_tokenizer(experiment: Experiment) -> str | None:
    """The content of the tokenizer that splits words for metrics; None where none does."""
    takes_words = task_of(experiment.config).uses("evaluation.tokenizer_name")
    return experiment.fingerprints.tokenizer if takes_words else None


def baseline_arguments(experiment: Experiment) -> Fields:
    """The written arguments of the metrics of baselines that are not at their default."""
    metrics = (load(baseline_registry, name, "baseline").metrics for name in task_of(experiment.config).baselines)
    defaults = _metric_defaults(tuple(dict.fromkeys(chain.from_iterable(metrics))))
    written = experiment.config.evaluation.model_extra or {}
    return {key: value for key, value in written.items() if key in defaults and defaults[key] != value}


@functools.cache
def _metric_defaults(metrics: tuple[str, ...]) -> Fields:
    return {
        key: field.get_default(call_default_factory=True)
        for entry in entries_of(metrics)
        for key, field in entry.options.model_fields.items()
    }
