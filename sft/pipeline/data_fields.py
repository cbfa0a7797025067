"""Key fields of the data: what is read, which rows are evaluated, where shots come from."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from sft.config.dataset import DatasetConfig, SplitsConfig
from sft.config.experiment import ExperimentConfig
from sft.data.sources import BUILDERS
from sft.pipeline.experiment import Experiment
from sft.pipeline.key_fields import Fields
from sft.tasks.inputs import task_of, used_columns


def reading(experiment: Experiment, roles: tuple[str, ...], *, of_all_folds: bool = False) -> Fields:
    """The rows of some splits as they are read, and the label set.

    Args:
        experiment: the resolved experiment.
        roles: `train`, `dev`, `test`; none for what depends on no row.
        of_all_folds: whether the rows are those of all folds, for which it does not matter how these are cut.
    """
    dataset = experiment.config.dataset
    is_cut = dataset.splits.cut_one_split and not of_all_folds
    data = experiment.fingerprints.data
    # Where shares cut one split there is but one role; prompts that hold no row depend on no content at all.
    content = {role: data[role] for role in roles if role in data} or (dict(data) if roles else {})
    in_content = {"revision", "data_files"} if dataset.path in BUILDERS else {"revision"}
    fields = {
        "content": content,
        "args": without(in_content, dataset.args) or None,
        "read": written(dataset.read) or None,
        "task_type": dataset.task_type,
        "splits": _splits(dataset.splits, is_cut=is_cut) or None,
        # `empty` and `error` read the same rows wherever both read any, so that neither is in a key.
        "on_missing": "drop" if dataset.on_missing == "drop" else None,
        # The columns that are used, in training or at inference, then decide which rows each split has.
        "columns": list(used_columns(experiment.config)) if is_cut or dataset.on_missing == "drop" else None,
        "labels": experiment.fingerprints.labels,
        "labels_separator": dataset.labels_separator if task_of(experiment.config).has_label_sets else None,
    }
    return without_none(fields)


def _splits(splits: SplitsConfig, *, is_cut: bool) -> Fields:
    """A cut decides which rows are which; a named split is its content, and only the seed of samples remains."""
    if is_cut:
        return written(splits)
    return {"seed": splits.seed} if splits.seed else {}


def row_caps(experiment: Experiment) -> Fields:
    """The caps of the evaluated rows; that of dev rows where there are any and it is not that of test rows."""
    dataset = experiment.config.dataset
    own = dataset.dev_cap if experiment.has_dev and dataset.dev_cap != dataset.max_n_test else None
    return without_none({"max_n_test": dataset.max_n_test, "max_n_dev": own})


def pool(config: ExperimentConfig) -> Fields:
    """Which rows of the train split are the shots."""
    dataset: DatasetConfig = config.dataset
    fields: Fields = {"shots": dataset.shots, "max_n_train": dataset.max_n_train}
    if dataset.if_fewer != "error":
        fields["if_fewer"] = dataset.if_fewer
    if dataset.shots not in (0, "all"):
        fields["shots_seed"] = config.seed_of("shots")
        if dataset.shots_by != "label" and task_of(config).counts_per_label:
            fields["shots_by"] = dataset.shots_by
    return without_none(fields)


def written(section: BaseModel) -> Fields:
    """The fields that are not at their default."""
    return section.model_dump(exclude_defaults=True)


def without(names: set[str], fields: Mapping[str, Any]) -> Fields:
    """All fields but some."""
    return {key: value for key, value in fields.items() if key not in names}


def without_none(fields: Fields) -> Fields:
    """The fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}
