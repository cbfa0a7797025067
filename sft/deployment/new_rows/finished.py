"""A finished experiment of a results folder: the files that new rows are answered with, and whether they are whole."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sft.exceptions import DataError, UserError
from sft.experiments.upkeep.results_view import find_experiment, unknown, view_of
from sft.runs.files import ID_DIGITS, JobFolder, ResultsFolder
from sft.runs.manifest import difference, finished_files, listed_files
from sft.runs.records import EVAL, JobRecord, read_job, read_json_or_none
from sft.tasks.row_sets import RowSet
from sft.wording import one_line, shown_path

AGAIN = "run its grid again with sft run-experiments, which makes what is missing"


@dataclass(frozen=True)
class FinishedExperiment:
    """An experiment that has predictions, and the stages that they were made from."""

    folder: JobFolder

    @cached_property
    def record(self) -> JobRecord:
        """Its evaluate job: config, folder of its local paths, and what its inputs contained."""
        return read_job(self.folder.job)

    @cached_property
    def infers(self) -> dict[str, JobFolder]:
        """Row set -> its finished infer stage."""
        return {name: JobFolder(path) for name, path in self.record.infer_folders(self.folder.path).items()}

    @cached_property
    def model_job(self) -> JobRecord:
        """The job of the evaluated rows' infer stage, with the config of this experiment.

        Another experiment, whose settings differ after the model alone, may have been the first to need that stage.
        """
        first = read_job(self.infers[EVAL].job)
        own = self.record
        return dataclasses.replace(
            first,
            config=own.config,
            config_folder=own.config_folder,
            fingerprints=own.fingerprints,
            code=own.code,
        )

    @property
    def train(self) -> JobFolder | None:
        """The finished train stage; None where nothing was trained."""
        found = self.model_job.input_folder("train", self.infers[EVAL].path)
        return None if found is None else JobFolder(found)

    @property
    def inference(self) -> dict[str, Any]:
        """What the infer stage of the evaluated rows recorded."""
        record: dict[str, Any] = read_json_or_none(self.infers[EVAL].inference) or {}
        return record

    @property
    def title(self) -> str:
        """Its name and the beginning of its id."""
        return f"{one_line(self.record.name)} [{self.record.key[:ID_DIGITS]}]"

    @property
    def reads_pool(self) -> bool:
        """Whether its training rows are needed: they are shown, or a calibrator was fitted on their labels."""
        labelled = any(RowSet.parse(name).kind == "train" for name in self.infers)
        return labelled or self.record.experiment.inference.icl_examples > 0

    def require_whole(self) -> None:
        """Compare everything that new rows are answered with with its manifest.

        Raises:
            DataError: a file is missing or damaged.
        """
        require_whole(self.folder, *self.infers.values(), *([self.train] if self.train else []))


def require_whole(*jobs: JobFolder) -> None:
    """Compare the results of finished jobs with their manifests.

    Raises:
        DataError: a file is missing or damaged.
    """
    for job in jobs:
        listed = listed_files(job)
        if not listed:
            raise DataError(f"{shown_path(job.path)}: no valid manifest, so it is not finished; {AGAIN}")
        for name, file in listed.items():
            fault = difference(job.path / name, file)
            if fault is not None:
                raise DataError(f"{shown_path(job.path / name)} {fault}; {AGAIN}")


def find_finished(results: ResultsFolder, wanted: str, best: Callable[[], str | None]) -> FinishedExperiment:
    """The finished experiment that a user means, all files of it whole.

    Args:
        results: the results folder.
        wanted: a name, the beginning of an id, or `best`.
        best: tells the id of the experiment that leads the leaderboard.

    Raises:
        UserError: none, or several, are meant; it is not finished; or its folds differ in more than their rows.
        DataError: a file of it is missing or damaged.
    """
    view = view_of(results)
    found = find_experiment(view, wanted, best)
    if found is None:
        path = Path(wanted)
        if path.is_file():
            raise UserError(
                f"{wanted}: with --input an experiment of {shown_path(results.path)} answers, so give its name, the "
                "beginning of its id, or `best`; a config needs no --input"
            )
        raise unknown(view, wanted)
    if not finished_files(found.folder):
        state = view.standings.of_experiment(found).state
        raise UserError(
            f"{one_line(found.name)} [{found.key[:ID_DIGITS]}] is not finished ({state}), so nothing can be answered "
            f"with it; sft logs {found.key[:ID_DIGITS]} says more"
        )
    experiment = FinishedExperiment(found.folder)
    if experiment.record.folds != (None,):
        raise UserError(
            f"{experiment.title}: each of its {len(experiment.record.folds)} folds has a training or examples of its "
            "own, so none of them is the one to answer; run its config once more with shares or files in place of "
            "dataset.splits.folds"
        )
    experiment.require_whole()
    return experiment
