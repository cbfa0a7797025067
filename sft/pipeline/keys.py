"""Stage keys: what each stage depends on, and nothing else.

A field equal to its default is left out, so that a field added later changes no key. Files, models and own code
enter by content. The version of a stage is raised when the same fields would give another result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sft.adapters.method import adapter_method
from sft.calibration.selection import calibrator_of, options_in_force
from sft.config.canonical import key_of
from sft.config.experiment import ExperimentConfig
from sft.config.inference import DEFAULT_THRESHOLD
from sft.config.prompting import PromptingConfig
from sft.inference.options import is_sampling, sampling_batch_size
from sft.objectives import objective_of
from sft.pipeline.data_fields import pool, reading, row_caps, without, without_none, written
from sft.pipeline.experiment import Experiment
from sft.pipeline.key_fields import (
    Fields,
    baseline_arguments,
    by_content,
    corrected_gold,
    drawn_negatives,
    inference_examples,
    metric_arguments,
    metric_modules,
    own_evaluation_code,
    read_by_baselines,
    training_examples,
    word_tokenizer,
)
from sft.pipeline.needed_rows import THRESHOLD, differs_by_fold, named_row_sets
from sft.pipeline.passed_through import adapter_section, generation_section, model_section, quantization_section
from sft.pipeline.revisions import revisions_of
from sft.registry import is_own_code
from sft.runs.records import EVAL, StageInput, StageName
from sft.tasks.inputs import task_of
from sft.tasks.row_sets import RowSet
from sft.training.class_weights import weighs_labels
from sft.training.objectives import training_objective_of
from sft.training.options import chosen_trainer_args, evaluates_while_training, fields_for_key

VERSIONS = {"train": 2, "infer": 2, "evaluate": 2, "baseline": 1}


@dataclass(frozen=True)
class StageKeys:
    """The keys of one experiment's stages."""

    trainings: Mapping[int | None, str]
    """Fold -> key of its train stage, that of None without folds; empty where nothing is trained."""
    infers: Mapping[tuple[str, int | None], str]
    """Row set and fold -> key of the infer stage, `eval` first; no fold where one stage serves all rows."""
    evaluate: str
    baseline: str | None = None
    """Of the baselines on its shots and evaluated rows; None where its task type has none."""
    fields: Mapping[str, Fields] = field(default_factory=dict, compare=False, repr=False)
    """Key -> what it was made of."""

    @property
    def train(self) -> str | None:
        """The key of the train stage; None where nothing is trained, or every fold has a training of its own."""
        return self.trainings.get(None)

    @property
    def row_sets(self) -> dict[str, str]:
        """Row set -> key of the infer stage that serves all rows, of those that have one."""
        return {row_set: key for (row_set, fold), key in self.infers.items() if fold is None}

    @property
    def infer(self) -> str:
        """The key of the infer stage of the evaluated rows, where one serves all of them."""
        return self.row_sets[EVAL]

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds that have stages of their own, in which their outputs for the evaluated rows differ."""
        found = {fold for row_set, fold in self.infers if row_set == EVAL} - {None}
        return tuple(sorted(fold for fold in found if fold is not None))

    @property
    def inputs(self) -> dict[StageInput, str]:
        """The key of each train and infer stage, as the evaluate stage reads it."""
        trainings = {StageInput("train", fold=fold): key for fold, key in self.trainings.items()}
        return trainings | {StageInput("infer", row_set, fold): key for (row_set, fold), key in self.infers.items()}

    @property
    def experiment_id(self) -> str:
        """The id of the experiment."""
        return self.evaluate


def stage_keys(experiment: Experiment) -> StageKeys:
    """The keys of all stages of an experiment."""
    fields: dict[str, Fields] = {}

    def keyed(stage_fields: Fields) -> str:
        key = key_of(stage_fields)
        fields[key] = stage_fields
        return key

    config, folds = experiment.config, folds_of(experiment)
    trainings = {fold: keyed(train_fields(experiment, fold)) for fold in folds} if config.trains else {}
    infers = {
        (name, fold): keyed(infer_fields(experiment, trainings.get(fold), name, fold))
        for name in row_sets_of(experiment)
        for fold in (folds if differs_by_fold(config, name) else (None,))
    }
    evaluate = keyed(evaluate_fields(experiment, infers))
    baseline = keyed(baseline_fields(experiment)) if task_of(config).baselines else None
    return StageKeys(trainings, infers, evaluate, baseline, fields)


def folds_of(experiment: Experiment) -> tuple[int | None, ...]:
    """The folds by number, from 0; a single None where there are none."""
    n_folds = experiment.config.dataset.splits.folds
    return (None,) if n_folds is None else tuple(range(n_folds))


def row_sets_of(experiment: Experiment) -> tuple[str, ...]:
    """The row sets that an experiment needs: the evaluated rows, then what normalisation and calibration name."""
    return (EVAL, *named_row_sets(experiment.config, experiment.folder))


def train_fields(experiment: Experiment, fold: int | None = None) -> Fields:
    """What a training depends on, for one fold where there are folds."""
    config = experiment.config
    objective = training_objective_of(config)
    trainer_args = chosen_trainer_args(config)
    with_dev = evaluates_while_training(trainer_args)
    dev = without_none({"max_n_dev": config.dataset.dev_cap}) if with_dev else {}
    return (
        _stage("train", experiment)
        | _answered_by(experiment)
        | training_examples(experiment)
        | dev
        | without_none({"fold": fold})
        | {
            "reading": reading(experiment, ("train", "dev") if with_dev else ("train",)),
            "pool": pool(config),
            "model": _model(experiment),
            "prompting": _prompting(config, config.prompting),
            "method": config.adapter_method,
            "options": without_none(_with_code(experiment, adapter_section(config).counted())),
            "trainer_args": by_content(experiment, "train", fields_for_key(trainer_args, config.adapter_method)),
            "init_seed": config.seed_of("init"),
            "training_seed": config.seed_of("training"),
        }
        | ({"class_weights": "balanced"} if weighs_labels(config) else {})
        | ({"last_layer": True} if config.trains_head else {})
        | drawn_negatives(config)
        | ({"objective": objective.name} if objective.own_loss else {})
    )


def infer_fields(
    experiment: Experiment, train_key: str | None, row_set: str = EVAL, fold: int | None = None
) -> Fields:
    """What the outputs for a row set depend on, for one fold where they depend on it."""
    config = experiment.config
    inference = config.inference
    rows = RowSet.parse(row_set)
    sees_evaluated = rows.kind == "eval" or rows.per_row
    sees_pool = rows.kind == "train" or rows.content == "domain"
    fields: Fields = (
        _stage("infer", experiment)
        | _answered_by(experiment)
        | {
            "row_set": row_set,
            "model": _model(experiment),
            "prompting": _prompting(config, config.inference_prompting),
        }
    )
    roles: tuple[str, ...] = ()
    if sees_evaluated:
        roles = ("dev", "test") if experiment.has_dev else ("test",)
        fields["rows"] = row_caps(experiment)
    if train_key is not None:
        fields["train"] = train_key
    if fold is not None:
        fields["fold"] = fold
    if inference.max_seq_length is not None:
        fields["max_seq_length"] = inference.max_seq_length
    if inference.icl_examples or sees_pool:
        roles = ("train", *roles)
        fields["pool"] = pool(config)
    fields |= inference_examples(experiment, drawn_per_row=rows.kind != "content_free" or rows.per_row)
    if task_of(config).uses("inference.generation_args"):
        fields |= _generation(config)
    of_all_folds = fold is None and config.dataset.splits.folds is not None
    return fields | {"reading": reading(experiment, roles, of_all_folds=of_all_folds)}


def evaluate_fields(experiment: Experiment, infers: Mapping[tuple[str, int | None], str]) -> Fields:
    """What the predictions and metrics depend on.

    Args:
        experiment: the resolved experiment.
        infers: as in `StageKeys`.
    """
    config, task = experiment.config, task_of(experiment.config)
    optional: Fields = {
        "arguments": by_content(experiment, "evaluate", metric_arguments(experiment)) or None,
        "modules": metric_modules(experiment) or None,
        "code": {name: experiment.fingerprints.code[name] for name in own_evaluation_code(experiment)} or None,
        "tokenizer": word_tokenizer(experiment),
        "keep_columns": config.dataset.keep_columns,
        "corrections": corrected_gold(experiment),
        "slices": config.evaluation.slices or None,
        # Each prediction says which fold its row is of.
        "reading": None if config.dataset.splits.folds is None else reading(experiment, ("train", "test")),
    }
    if task.uses("inference.label_scoring"):
        optional["label_scoring"] = written(config.inference.label_scoring) or None
    if task.uses(THRESHOLD) and config.inference.threshold != DEFAULT_THRESHOLD:
        optional["threshold"] = config.inference.threshold
    if task.uses("inference.calibration_args"):
        optional["calibration_args"] = _calibration(experiment) or None
    named = {StageInput("infer", row_set, fold).name: key for (row_set, fold), key in infers.items()}
    return _stage("evaluate", experiment) | named | {"metrics": list(experiment.metrics)} | without_none(optional)


def baseline_fields(experiment: Experiment) -> Fields:
    """What the baselines beside an experiment depend on: no model that answers, and shots only where it has some."""
    config, labels = experiment.config, experiment.fingerprints.labels
    roles = ("train", "dev", "test") if experiment.has_dev else ("train", "test")
    values = {"labels": None if labels is None else [value for value, _ in labels]}
    own = {
        "reading": reading(experiment, roles) | without_none(values),
        "pool": pool(config) if config.uses_shots else without_none({"max_n_train": config.dataset.max_n_train}),
        "rows": row_caps(experiment),
        "prompting": config.prompting.model_dump(include={"input_columns", "output_column"}),
        "arguments": baseline_arguments(experiment),
    }
    return _stage("baseline", experiment) | read_by_baselines(experiment) | own


def _calibration(experiment: Experiment) -> Fields:
    """The calibrator, where there is one, and its options that are not at their default."""
    config = experiment.config
    if config.calibration == "none":
        return {}
    if is_own_code(config.calibration):
        return {"calibration_fn": config.calibration, **config.calibration_options}
    options = calibrator_of(config.calibration, experiment.folder).options(**options_in_force(config))
    return {"calibration_fn": config.calibration, **written(options)}


def _answered_by(experiment: Experiment) -> Fields:
    """What of the objective counts for trained weights and outputs."""
    config = experiment.config
    return dict(objective_of(config, task_of(config).objectives).key_fields)


def _stage(name: StageName, experiment: Experiment) -> Fields:
    fields = {"stage": name, "version": VERSIONS[name], "revision": revisions_of(name, experiment)}
    return without_none(fields)


def _model(experiment: Experiment) -> Fields:
    model = experiment.config.model
    prints = experiment.fingerprints
    quantization: Fields | None = None
    if model.quantization is not None:
        args = quantization_section(experiment.config).counted() or None
        quantization = without_none({"config_class": model.quantization.config_class, "args": args})
    fields = {
        "content": prints.model,
        "quantization": quantization,
        "model_args": without({"revision"}, model_section(experiment.config).counted()) or None,
        "chat_template": prints.chat_template,
        "chat_template_args": model.chat_template_args or None,
        "adapter": prints.adapter,
    }
    return without_none(fields)


def _prompting(config: ExperimentConfig, prompting: PromptingConfig) -> Fields:
    """What is written of a prompting; a label is never cut, so its length limit counts for free texts only."""
    cuts_outputs = task_of(config).uses("prompting.max_output_length")
    unused = set() if cuts_outputs else {"max_output_length"}
    unused |= set() if task_of(config).uses("prompting.label_template") else {"label_template"}
    return without(unused if prompting.is_conversation else {*unused, "train_turns"}, written(prompting))


def _generation(config: ExperimentConfig) -> Fields:
    fields: Fields = {"generation_args": generation_section(config).counted()}
    if is_sampling(config.inference.generation_args):
        fields |= {"seed": config.seed, "batch_size": sampling_batch_size(config.inference.batch_size)}
    return fields


def _with_code(experiment: Experiment, options: Fields) -> Fields:
    """The adapter's options, with the content of own code in place of its file."""
    code = experiment.fingerprints.code
    own = adapter_method(experiment.config.adapter_method).own_code(options)
    return options | {key: [name.rpartition(":")[2], code[name]] for key, name in own.items()}
