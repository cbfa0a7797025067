"""What an experiment depends on by its config alone: row sets beside its evaluated rows, and whether a seed changes
anything.
"""

from pathlib import Path

from sft.calibration.priors import LABELLED_ROWS, labelled_rows
from sft.calibration.selection import needed_row_sets, options_in_force
from sft.config.examples import inference_choice
from sft.config.experiment import ExperimentConfig
from sft.inference.options import is_sampling
from sft.objectives import objective_of
from sft.registry import is_own_code
from sft.runs.records import EVAL
from sft.tasks.inputs import task_of
from sft.tasks.row_sets import PMI_ROWS, RowSet
from sft.tasks.task import Setting

NORMALIZATION = "inference.label_scoring.normalization"

CALIBRATION: Setting = "inference.calibration_args"

THRESHOLD: Setting = "inference.threshold"


def named_row_sets(config: ExperimentConfig, folder: Path) -> dict[str, str]:
    """Row set -> dotted path of the key that names it; none where no labels are scored.

    Args:
        config: a config whose calibrator and options were checked.
        folder: what its local paths are relative to; own code is read there and not imported.
    """
    task = task_of(config)
    with_pmi = task.uses("inference.label_scoring") and config.inference.label_scoring.normalization == "pmi"
    found = {PMI_ROWS: NORMALIZATION} if with_pmi else {}
    if task.uses(CALIBRATION):
        for name in needed_row_sets(config.calibration, options_in_force(config), folder):
            found.setdefault(name, CALIBRATION)
    if fits_threshold(config):
        found.setdefault(labelled_rows(LABELLED_ROWS), THRESHOLD)
    return {name: path for name, path in found.items() if name != EVAL}


def fits_threshold(config: ExperimentConfig) -> bool:
    """Whether the least probability of a predicted label is chosen on rows of the pool."""
    return task_of(config).uses(THRESHOLD) and config.inference.threshold == "fit"


def asks_about_labels(config: ExperimentConfig) -> bool:
    """Whether prompts ask about each label by itself, so that training draws labels to ask about."""
    task = task_of(config)
    return task.questions is not None and objective_of(config, task.objectives).reads == "prompt"


def calibrates_on_pool(config: ExperimentConfig) -> bool:
    """Whether calibration reads rows of the pool, or words of them; own code is taken to."""
    if fits_threshold(config):
        return True
    if not task_of(config).uses(CALIBRATION):
        return False
    if is_own_code(config.calibration):
        return True
    named = needed_row_sets(config.calibration, options_in_force(config), Path())
    return any(row_set.kind == "train" or row_set.content == "domain" for row_set in map(RowSet.parse, named))


def differs_by_fold(config: ExperimentConfig, row_set: str) -> bool:
    """Whether the outputs for a row set depend on the fold: through a training, examples, or rows of the pool."""
    rows = RowSet.parse(row_set)
    from_pool = rows.kind == "train" or rows.content == "domain"
    return config.trains or inference_choice(config).k > 0 or from_pool


def samples_texts(config: ExperimentConfig) -> bool:
    """Whether the experiment writes texts that are drawn at random."""
    return task_of(config).uses("inference.generation_args") and is_sampling(config.inference.generation_args)


def seed_has_effect(config: ExperimentConfig) -> bool:
    """Whether any seed changes what the experiment computes."""
    choice = inference_choice(config)
    reads_pool = choice.k > 0 or calibrates_on_pool(config)
    draws_pool = reads_pool and config.dataset.shots not in (0, "all")
    return config.trains or samples_texts(config) or draws_pool or choice.is_seeded(task_of(config).examples_per_label)
