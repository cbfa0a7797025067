"""What a run writes about its grid before the first job: `grid.json`, and `config.json` of every experiment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sft.experiments.planning.plan import GridPlan, PlannedExperiment
from sft.pipeline.exports import export_keys
from sft.pipeline.jobs import PlannedJob
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import JobRecord, read_json_or_none, refuse_newer

SCHEMA = 1

JobsByName = Mapping[str, Sequence[PlannedJob]]
"""Experiment name -> its jobs; the last one's folder is that of the experiment."""


@dataclass(frozen=True)
class GridRecord:
    """What `grid.json` holds."""

    configs: Mapping[str, Any] = field(default_factory=dict)
    """The experiments of the folder's boards by name."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    """Hub commits in force."""


def read_grid(results: ResultsFolder) -> GridRecord:
    """The grid of a results folder; empty where it has none.

    Raises:
        MachineError: a newer version wrote the folder.
    """
    record = read_json_or_none(results.grid)
    refuse_newer(results.grid, record, SCHEMA)
    if not isinstance(record, dict):
        return GridRecord()
    return GridRecord(record.get("configs", {}), record.get("pinned", {}))


def write_grid(
    plan: GridPlan, jobs: JobsByName, results: ResultsFolder, *, sets_grid: bool, adds_to_grid: bool
) -> None:
    """Write `grid.json`: the experiments of the folder's boards, and the hub commits in force.

    Args:
        plan: the plan of this run.
        jobs: its jobs.
        results: the results folder.
        sets_grid: whether the plan takes the place of what was there.
        adds_to_grid: whether its experiments stand on the folder's boards.
    """
    # Not what the plan was made by: until the lock was taken, another run may have written the file.
    previous = read_grid(results)
    kept = {} if sets_grid else dict(previous.configs)
    added = {}
    if adds_to_grid:
        added = {
            planned.experiment.name: {
                "id": planned.keys.experiment_id,
                "folder": jobs[planned.experiment.name][-1].folder.path.relative_to(results.path).as_posix(),
                "config": jobs[planned.experiment.name][-1].record.config,
            }
            for planned in plan.experiments
        }
    pinned = {**previous.pinned, **plan.pinned}
    write_json(results.grid, {"schema": SCHEMA, "source": plan.source, "configs": kept | added, "pinned": pinned})


def write_configs(plan: GridPlan, jobs: JobsByName) -> None:
    """Write `config.json` of each experiment, with all names it has been run under."""
    named: dict[Path, list[PlannedExperiment]] = {}
    for planned in plan.experiments:
        named.setdefault(jobs[planned.experiment.name][-1].folder.path, []).append(planned)
    for path, same in named.items():
        _write_config(JobFolder(path), same, jobs[same[0].experiment.name][-1].record)


def _write_config(folder: JobFolder, same: Sequence[PlannedExperiment], job: JobRecord) -> None:
    """Write that of one experiment under all its names; each of them may ask for exports."""
    planned, names = same[0], [item.experiment.name for item in same]
    exports = {key for one in same for key in export_keys(one.experiment, one.keys).values()}
    previous = read_json_or_none(folder.config)
    known = previous.get("names", []) if isinstance(previous, dict) else []
    record = {
        "schema": SCHEMA,
        "id": planned.keys.experiment_id,
        "names": list(dict.fromkeys([*known, *names])),
        "config": job.config,
        "config_folder": str(planned.experiment.folder),
        "fingerprints": job.fingerprints,
        "stages": {
            **({} if planned.keys.trainings else {"train": None}),
            **{item.name: key for item, key in planned.keys.inputs.items()},
            **({} if planned.keys.baseline is None else {"baseline": planned.keys.baseline}),
        },
        **({"exports": sorted(exports)} if exports else {}),
    }
    if record != previous:
        # Each run makes it anew, so there is nothing to lose that thousands of flushes would be worth.
        write_json(folder.config, record, durable=False)
