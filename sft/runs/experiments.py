"""The experiments that a results folder names, and how each of them stands."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sft.runs.files import CONFIG_FILE, JobFolder, ResultsFolder
from sft.runs.records import MODEL_STAGES, StageInput, StageName, read_json_or_none, refuse_newer, stage_of
from sft.runs.states import Standing, experiment_standing, standing_of

SCHEMA = 1
"""Of `grid.json` and `config.json`."""


@dataclass(frozen=True)
class ListedExperiment:
    """One name of one experiment."""

    name: str
    key: str
    """Its id."""
    folder: JobFolder
    config: Mapping[str, Any]
    """Canonical resolved config under this name."""
    results: ResultsFolder
    """The folder that names it."""
    keys: Mapping[str, Any]
    """Of its other stages, by the name under which they are read, where they are known."""
    in_grid: bool
    """Whether the folder's grid holds it; without a grid every experiment counts."""
    export_keys: Sequence[Any] = ()
    """Of the exports that were asked for when it was last run."""

    @cached_property
    def stages(self) -> dict[str, JobFolder]:
        """The folders of its train and infer stages by the name under which they are read, where they are known."""
        return {
            str(name): self.results.stage(stage, str(key))
            for stage in MODEL_STAGES
            for name, key in self.keys.items()
            if key and stage_of(str(name)) == stage
        }

    @property
    def trainings(self) -> list[JobFolder]:
        """The folders of its train stages, of each fold one, where they are known."""
        return [folder for name, folder in self.stages.items() if stage_of(name) == "train"]

    @cached_property
    def baseline(self) -> JobFolder | None:
        """The folder of the baselines on its shots and evaluated rows, where one is known; it need not be there."""
        key = self.keys.get("baseline")
        return self.results.stage("baseline", key) if isinstance(key, str) else None

    @property
    def exports(self) -> list[JobFolder]:
        """The folders of the exports that were asked for when it was last run; they need not be there."""
        return [self.results.stage("export", str(key)) for key in self.export_keys]

    def jobs(self) -> dict[str, JobFolder]:
        """The folders of all its stages, in their order."""
        return {**self.stages, "evaluate": self.folder}


Read = Callable[[str], Any]
"""The content of a JSON file by its path, which as text costs least; None where it is not there or cannot be read."""


def _read_file(path: str) -> Any:
    """From the file itself."""
    return read_json_or_none(Path(path))


def listed_experiments(results: ResultsFolder, read: Read = _read_file) -> list[ListedExperiment]:
    """The experiments of the grid in its order, then the others by folder name.

    Args:
        results: the folder.
        read: how its files are read.

    Raises:
        MachineError: a newer version wrote the folder.
    """
    records = {folder.path: _record(f"{folder.path}/{CONFIG_FILE}", read) for folder in results.experiment_folders()}
    known = {str(record.get("id") or path.name): path for path, record in records.items() if record is not None}
    grid = grid_entries(results, read)
    listed = []
    for name, entry in (grid or {}).items():
        path = known.get(entry["id"]) or results.path / str(entry.get("folder", ""))
        known_of = records.get(path) or {}
        keys, config, exports = _map(known_of.get("stages")), _map(entry.get("config")), _list(known_of.get("exports"))
        folder = JobFolder(path)
        listed.append(
            ListedExperiment(name, entry["id"], folder, config, results, keys, in_grid=True, export_keys=exports)
        )
    in_grid = {experiment.key for experiment in listed}
    for key, path in known.items():
        if key not in in_grid:
            record = records[path] or {}
            written = record.get("names")
            names = written if isinstance(written, list) and written else [path.name]
            config, keys = _map(record.get("config")), _map(record.get("stages"))
            folder, stands, exports = JobFolder(path), grid is None, _list(record.get("exports"))
            listed += [
                ListedExperiment(str(name), key, folder, config, results, keys, in_grid=stands, export_keys=exports)
                for name in names
            ]
    return listed


def grid_entries(results: ResultsFolder, read: Read = _read_file) -> dict[str, Mapping[str, Any]] | None:
    """Name -> entry of `grid.json` that has an id; None where the folder has no grid that can be read.

    Raises:
        MachineError: a newer version wrote it.
    """
    grid = read(str(results.grid))
    refuse_newer(results.grid, grid, SCHEMA)
    configs = grid.get("configs") if isinstance(grid, Mapping) else None
    if not isinstance(configs, Mapping):
        return None
    return {name: entry for name, entry in configs.items() if isinstance(_map(entry).get("id"), str)}


def stage_folder(experiment: JobFolder, stage: StageName) -> JobFolder | None:
    """The folder of a stage that an experiment read, there or not; None where it read none.

    Args:
        experiment: its folder.
        stage: `train`, or `infer` for that of the evaluated rows; of folds the first one's.
    """
    stages = _map(_map(read_json_or_none(experiment.config)).get("stages"))
    key = stages.get(stage) or stages.get(StageInput(stage, fold=0).name)
    return ResultsFolder(experiment.path.parent.parent).stage(stage, str(key)) if key else None


class Standings:
    """How the jobs and experiments of a results folder stand; each folder is looked at once."""

    def __init__(self, *, is_locked: bool) -> None:
        """
        Args:
            is_locked: whether a runner holds the folder's lock.
        """
        self._is_locked = is_locked
        self._found: dict[Path, Standing] = {}

    def of(self, folder: JobFolder) -> Standing:
        """How the job of a folder stands."""
        if folder.path not in self._found:
            self._found[folder.path] = standing_of(folder, is_locked=self._is_locked)
        return self._found[folder.path]

    def of_experiment(self, experiment: ListedExperiment) -> Standing:
        """How an experiment stands: by its own result, else by the stage that runs or stopped."""
        own = self.of(experiment.folder)
        return experiment_standing(own, {name: self.of(folder) for name, folder in experiment.stages.items()})


def _record(path: str, read: Read) -> Mapping[str, Any] | None:
    """A `config.json`; None where there is none, empty where it cannot be read."""
    record = read(path)
    if record is None and not os.path.isfile(path):
        return None
    refuse_newer(path, record, SCHEMA)
    return _map(record)


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
