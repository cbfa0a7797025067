"""Finished stages of other results folders, which a run need not compute again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sft.exceptions import UserError
from sft.pipeline.jobs import ExperimentFolders, PlannedJob
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import finished_files
from sft.wording import shown_path


@dataclass(frozen=True)
class FoundStage:
    """A finished stage, and the results folder that it lies in."""

    results: ResultsFolder
    folder: JobFolder


@dataclass(frozen=True)
class OtherResults:
    """Results folders in which finished stages are looked for, the first first."""

    folders: tuple[ResultsFolder, ...] = ()

    def find(self, job: PlannedJob) -> FoundStage | None:
        """The finished stage with a job's key; None where no folder has it.

        Raises:
            MachineError: a newer version wrote it.
        """
        for results, experiments in self._experiments:
            record = job.record
            is_experiment = record.stage == "evaluate"
            folder = experiments.known(record.key) if is_experiment else results.stage(record.stage, record.key)
            if folder is not None and job.is_made_by(finished_files(folder)):
                return FoundStage(results, folder)
        return None

    @cached_property
    def _experiments(self) -> list[tuple[ResultsFolder, ExperimentFolders]]:
        return [(results, ExperimentFolders(results)) for results in self.folders]


NO_OTHERS = OtherResults()


def other_results(places: Sequence[Path], results: ResultsFolder) -> OtherResults:
    """The results folders that a user names to take finished stages from.

    Args:
        places: as written.
        results: the folder that the stages are for.

    Raises:
        UserError: one is not there, or is that folder itself.
    """
    for place in places:
        if not place.is_dir():
            raise UserError(f"--reuse {place}: no such results folder")
        if place.resolve() == results.path.resolve():
            raise UserError(f"--reuse {shown_path(place)}: is --results-path itself, whose stages count anyway")
    return OtherResults(tuple(ResultsFolder(place.resolve()) for place in places))
