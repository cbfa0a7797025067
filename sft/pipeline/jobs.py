"""The jobs of an experiment: their folders, what each needs finished first, and whether it can do with less memory."""

import dataclasses
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sft.inference.answering import answering_of
from sft.pipeline.experiment import Experiment
from sft.pipeline.keys import StageKeys
from sft.runs.files import ID_DIGITS, JobFolder, ResultsFolder, slug
from sft.runs.manifest import finished_files
from sft.runs.records import EVAL, JobRecord, StageInput, StageName, read_json_or_none
from sft.tasks.planned import own_code_of
from sft.training.memory import recomputes, with_less_memory
from sft.training.options import trainer_args_of

Goal = Literal["adapter", "predictions", "metrics"]


@dataclass(frozen=True)
class PlannedJob:
    """One stage to run, and the folders whose manifests it needs."""

    folder: JobFolder
    record: JobRecord
    needs: tuple[Path, ...]

    @property
    def is_done(self) -> bool:
        """Whether the folder holds a valid manifest of what this job is to make."""
        return self.is_made_by(finished_files(self.folder))

    def is_made_by(self, files: Collection[str]) -> bool:
        """Whether these files of a valid manifest are what this job is to make."""
        if self.record.stage == "evaluate" and self.record.with_metrics:
            return self.folder.metrics.relative_to(self.folder.path).as_posix() in files
        return bool(files)


class ExperimentFolders:
    """Finds the folder of an experiment by its id; the slug is that of the first name it was run under."""

    def __init__(self, results: ResultsFolder) -> None:
        self._results = results
        self._by_id: dict[str, JobFolder] = {}
        self._taken: set[str] = set()
        for folder in results.experiment_folders():
            record = read_json_or_none(folder.config)
            if isinstance(record, dict) and isinstance(record.get("id"), str):
                self._taken.add(folder.path.name)
                self._by_id[record["id"]] = folder

    def known(self, experiment_id: str) -> JobFolder | None:
        """The folder of an experiment that has one."""
        return self._by_id.get(experiment_id)

    def folder(self, experiment_id: str, name: str) -> JobFolder:
        """The folder of an experiment, a new name where it has none; 16 digits where another id has its 8."""
        if experiment_id not in self._by_id:
            short = f"{slug(name)}-{experiment_id[:ID_DIGITS]}"
            chosen = f"{slug(name)}-{experiment_id}" if short in self._taken else short
            self._taken.add(chosen)
            self._by_id[experiment_id] = JobFolder(self._results.experiments / chosen)
        return self._by_id[experiment_id]


def jobs_of(
    experiment: Experiment, keys: StageKeys, folders: ExperimentFolders, results: ResultsFolder, goal: Goal
) -> list[PlannedJob]:
    """The jobs that lead to the goal, in the order of their stages.

    Args:
        experiment: the resolved experiment.
        keys: its stage keys.
        folders: where experiments lie.
        results: where stages lie.
        goal: what is wanted at the end.
    """
    make = JobMaker(experiment, keys)
    jobs: list[PlannedJob] = []
    trained: dict[str, JobFolder] = {}
    infers: dict[str, JobFolder] = {}
    for item, key in keys.inputs.items():
        folder = results.stage(item.stage, key)
        if item.stage == "train":
            trained[item.name] = folder
            jobs.append(make.job("train", key, folder, {}, item=item))
        elif goal != "adapter":
            infers[item.name] = folder
            adapter = trained.get(StageInput("train", fold=item.fold).name)
            jobs.append(make.job("infer", key, folder, {} if adapter is None else {"train": adapter}, item=item))
    if goal == "adapter":
        return jobs
    evaluate = folders.folder(keys.experiment_id, experiment.name)
    jobs.append(make.job("evaluate", keys.evaluate, evaluate, infers | trained, with_metrics=goal == "metrics"))
    return jobs


def baseline_jobs(experiments: Iterable[tuple[Experiment, StageKeys]], results: ResultsFolder) -> list[PlannedJob]:
    """The baselines on the shots and evaluated rows of experiments, each once, for the first that has them.

    Names of one experiment have the baselines of its first name, which its `config.json` says.
    """
    jobs: dict[str, PlannedJob] = {}
    seen = set[str]()
    for experiment, keys in experiments:
        if keys.experiment_id in seen:
            continue
        seen.add(keys.experiment_id)
        if keys.baseline is not None and keys.baseline not in jobs:
            folder = results.stage("baseline", keys.baseline)
            jobs[keys.baseline] = JobMaker(experiment, keys).job("baseline", keys.baseline, folder, {})
    return list(jobs.values())


def with_adapters(job: PlannedJob, adapter_jobs: Mapping[Path, JobFolder]) -> PlannedJob:
    """The same job reading trained adapters from other results folders.

    Args:
        job: an infer or evaluate stage.
        adapter_jobs: the folder of a train stage beside the job -> the one that takes its place.
    """
    places = {os.path.abspath(own): other.path for own, other in adapter_jobs.items()}
    inputs = {}
    for name, relative in job.record.inputs.items():
        path = places.get(os.path.abspath(job.folder.path / relative))
        inputs[name] = relative if path is None else os.path.relpath(path, job.folder.path)
    needs = tuple(places.get(os.path.abspath(need), need) for need in job.needs)
    return PlannedJob(folder=job.folder, record=dataclasses.replace(job.record, inputs=inputs), needs=needs)


def has_memory_step(record: JobRecord, step: int) -> bool:
    """Whether a stage knows how to run after `step` steps towards less memory (`JobRecord.memory_step`).

    Args:
        record: the job.
        step: 0 is the stage as configured.
    """
    if record.stage == "train":
        config = record.experiment
        return with_less_memory(trainer_args_of(config), step, recomputes(config)) is not None
    if record.stage == "infer":
        return answering_of(record.experiment).has_step(record.experiment, step)
    return step == 0


class JobMaker:
    """Makes the jobs of one experiment; their records share what is large."""

    def __init__(self, experiment: Experiment, keys: StageKeys) -> None:
        self._experiment = experiment
        self._keys = keys
        self._config = experiment.resolved_config()
        self._fingerprints = experiment.fingerprint_record()

    def job(
        self,
        stage: StageName,
        key: str,
        folder: JobFolder,
        inputs: dict[str, JobFolder],
        *,
        item: StageInput | None = None,
        with_metrics: bool = True,
    ) -> PlannedJob:
        """The job of one stage; `item` says of a train, infer or export stage whose rows it is for."""
        code = self._experiment.code
        record = JobRecord(
            stage=stage,
            key=key,
            name=self._experiment.name,
            config=self._config,
            config_folder=str(self._experiment.folder),
            fingerprints=self._fingerprints,
            inputs={name: os.path.relpath(job.path, folder.path) for name, job in inputs.items()},
            row_set=EVAL if item is None else item.row_set,
            fold=None if item is None else item.fold,
            with_metrics=with_metrics,
            key_fields=self._keys.fields.get(key, {}),
            folder=os.path.abspath(folder.path),
            code={name: code[name] for name in own_code_of(stage, self._experiment.config, code)},
        )
        return PlannedJob(folder=folder, record=record, needs=tuple(job.path for job in inputs.values()))
