"""What is left of trainings for other programs: jobs of their own, for which no experiment waits."""

import dataclasses
from collections.abc import Iterable

from sft.config.canonical import key_of
from sft.config.training import SaveMethod
from sft.pipeline.experiment import Experiment
from sft.pipeline.jobs import JobMaker, PlannedJob
from sft.pipeline.key_fields import Fields
from sft.pipeline.keys import StageKeys
from sft.runs.files import ResultsFolder
from sft.runs.records import StageInput

VERSION = 1


def export_fields(experiment: Experiment, keys: StageKeys) -> dict[StageInput, Fields]:
    """What each export of an experiment depends on: a training, and the form; none where none is asked for."""
    method = experiment.config.save_method
    if method == "adapter":
        return {}
    return {StageInput("export", fold=fold): fields_of(key, method) for fold, key in keys.trainings.items()}


def fields_of(train: str, form: SaveMethod) -> Fields:
    """What the export of a training in a form depends on.

    Args:
        train: the training's key.
        form: none but the adapter's own.
    """
    return {"stage": "export", "version": VERSION, "train": train, "save_method": form}


def export_keys(experiment: Experiment, keys: StageKeys) -> dict[StageInput, str]:
    """The key of each export of an experiment; in no other key, so that another form trains nothing again."""
    return {item: key_of(fields) for item, fields in export_fields(experiment, keys).items()}


def export_jobs(experiments: Iterable[tuple[Experiment, StageKeys]], results: ResultsFolder) -> list[PlannedJob]:
    """The exports of experiments, each once, for the first that asks for it; each needs its training."""
    jobs: dict[str, PlannedJob] = {}
    for experiment, keys in experiments:
        for item, fields in export_fields(experiment, keys).items():
            key = key_of(fields)
            if key not in jobs:
                maker = JobMaker(experiment, dataclasses.replace(keys, fields={key: fields}))
                trained = {"train": results.stage("train", keys.trainings[item.fold])}
                jobs[key] = maker.job("export", key, results.stage("export", key), trained, item=item)
    return list(jobs.values())
