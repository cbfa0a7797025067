"""Reads the experiments of one or several results folders, also while they are being written.

Only what a valid manifest lists counts as a result; every other experiment is kept with its state and its reason, so
that a board can be made at any moment, of a grid of which all, some or no experiment has ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sft.errors import UserError
from sft.reporting.leaves import leaves
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import finished_files
from sft.runs.records import StatusRecord, read_json_or_none, read_status


@dataclass(frozen=True)
class ExperimentError:
    """Why an experiment has no result."""

    kind: str
    message: str
    stage: str | None = None


@dataclass(frozen=True)
class ExperimentRecord:
    """One name of one experiment, as its files tell it.

    Attributes:
        name: as in the grid.
        id: key of its evaluate stage.
        state: of section "states" of the results folder; `damaged` where files differ from the manifest.
        folder: of the experiment.
        config: canonical resolved config.
        metrics: content of `metrics.json`; empty unless the state is `done`.
        error: why there is no result; None where there is one, or where the experiment has not ended.
    """

    name: str
    id: str
    state: str
    folder: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: ExperimentError | None = None

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every leaf of the config by dotted path."""
        return leaves(self.config)

    @property
    def seed(self) -> int | None:
        """The experiment's seed."""
        seed: int | None = self.config.get("seed")
        return seed

    def part(self, name: str) -> Mapping[str, Any]:
        """A map of `metrics.json` (`results`, `data`, `timing`, ...); empty where it is not there."""
        value = self.metrics.get(name)
        return value if isinstance(value, Mapping) else {}

    def setting(self, path: str) -> Any:
        """The config's value (a section too) at a dotted path; None where it is not there."""
        value: Any = self.config
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


@dataclass(frozen=True)
class Collected:
    """What the results folders hold: experiments of their grids, and those that stand in no grid any more."""

    in_grid: tuple[ExperimentRecord, ...]
    others: tuple[ExperimentRecord, ...]


def collect(folders: Sequence[ResultsFolder]) -> Collected:
    """Read results folders; an experiment that several of them hold is kept once, finished rather than not.

    Raises:
        UserError: a folder is not there.
    """
    in_grid: dict[tuple[str, str], ExperimentRecord] = {}
    others: dict[tuple[str, str], ExperimentRecord] = {}
    for results in folders:
        if not results.path.is_dir():
            raise UserError(f"no results folder {results.path}")
        read = _read_folder(results)
        for records, kept in ((read.in_grid, in_grid), (read.others, others)):
            for record in records:
                known = kept.get((record.name, record.id))
                if known is None or (record.state == "done" and known.state != "done"):
                    kept[record.name, record.id] = record
    return Collected(tuple(in_grid.values()), tuple(record for key, record in others.items() if key not in in_grid))


def _read_folder(results: ResultsFolder) -> Collected:
    """The experiments of one folder: of its grid in the grid's order, then the rest by folder name."""
    by_id = {_id_of(folder): folder for folder in results.experiment_folders() if folder.config.is_file()}
    grid = _grid_configs(results)
    if grid is None:
        return Collected(tuple(record for folder in by_id.values() for record in _records(folder)), ())
    in_grid = []
    for name, entry in grid.items():
        folder = by_id.get(entry["id"], JobFolder(results.path / str(entry.get("folder", ""))))
        in_grid.append(_record(folder, name, entry["id"], entry.get("config") or {}))
    ids = {entry["id"] for entry in grid.values()}
    rest = [record for key, folder in by_id.items() if key not in ids for record in _records(folder)]
    return Collected(tuple(in_grid), tuple(rest))


def _grid_configs(results: ResultsFolder) -> Mapping[str, Mapping[str, Any]] | None:
    """Name -> entry of `grid.json`; None where the folder has no grid that can be read."""
    grid = read_json_or_none(results.grid)
    configs = grid.get("configs") if isinstance(grid, dict) else None
    if not isinstance(configs, dict):
        return None
    return {name: entry for name, entry in configs.items() if isinstance(entry, dict) and "id" in entry}


def _id_of(folder: JobFolder) -> str:
    config = read_json_or_none(folder.config)
    return str(config.get("id", folder.path.name)) if isinstance(config, dict) else folder.path.name


def _records(folder: JobFolder) -> list[ExperimentRecord]:
    """One record for each name of an experiment whose grid is not known."""
    written = read_json_or_none(folder.config)
    known = written if isinstance(written, dict) else {}
    names = known.get("names") or [folder.path.name]
    return [_record(folder, str(name), _id_of(folder), known.get("config") or {}) for name in names]


def _record(folder: JobFolder, name: str, key: str, config: Mapping[str, Any]) -> ExperimentRecord:
    finished = finished_files(folder)
    status = read_status(folder.status)
    if folder.metrics.relative_to(folder.path).as_posix() in finished:
        metrics = read_json_or_none(folder.metrics)
        if isinstance(metrics, dict):
            return ExperimentRecord(name, key, "done", folder.path, config, metrics)
        finished = frozenset()
    if finished:
        return ExperimentRecord(name, key, "predicted", folder.path, config)
    state, error = _unfinished(status)
    return ExperimentRecord(name, key, state, folder.path, config, error=error)


def _unfinished(status: StatusRecord | None) -> tuple[str, ExperimentError | None]:
    if status is None:
        return "pending", None
    if status.state in ("done", "predicted"):
        return "damaged", ExperimentError("no_result", "its result files are not those of its manifest", status.stage)
    error = None if status.error is None else ExperimentError(status.error.kind, status.error.message, status.stage)
    return status.state, error
