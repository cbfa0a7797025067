"""What a run writes about its grid before the first job: `grid.json`, and `config.json` of every experiment.

Of thousands of experiments most sections are the same few objects, whose text is made once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any

from sft.experiments.planning.plan import GridPlan, PlannedExperiment
from sft.pipeline.exports import export_keys
from sft.pipeline.jobs import PlannedJob
from sft.runs.atomic import write_text
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import JobRecord, read_json_or_none, refuse_newer

SCHEMA = 1

_COMPACT = json.JSONEncoder(allow_nan=False)

JobsByName = Mapping[str, Sequence[PlannedJob]]
"""Experiment name -> its jobs; the last one's folder is that of the experiment."""


@dataclass(frozen=True)
class GridRecord:
    """What `grid.json` holds."""

    configs: Mapping[str, Any] = field(default_factory=dict)
    """The experiments of the folder's boards by name."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    """Hub commits in force."""


class SectionTexts:
    """Indents each section that records share once: the standard library does it in Python, which takes long."""

    def __init__(self) -> None:
        self._shared: dict[int, tuple[Any, str]] = {}
        """By identity each section, which is kept so that no other takes its place, and its text."""
        self._equal: dict[str, str] = {}
        """Compact text of a section, which is made in C, and its indented text."""

    def text(self, value: Any, depth: int, newline: str = "\n") -> str:
        """What `json.dumps(value, indent=2)` gives.

        Args:
            value: the record; its keys are text.
            depth: how many levels of mappings lie above the sections that are shared.
            newline: a line break, and the spaces before the closing bracket of the record.

        Raises:
            ValueError: a number is not finite.
        """
        if type(value) is str:
            return encode_basestring_ascii(value)
        if type(value) is not dict or depth == 0 or not value:
            return self._section(value).replace("\n", newline)
        inner = newline + "  "
        items = [f"{encode_basestring_ascii(key)}: {self.text(item, depth - 1, inner)}" for key, item in value.items()]
        return "{" + inner + ("," + inner).join(items) + newline + "}"

    def _section(self, value: Any) -> str:
        known = self._shared.get(id(value))
        if known is not None:
            return known[1]
        compact = _COMPACT.encode(value)
        if compact not in self._equal:
            self._equal[compact] = json.dumps(value, indent=2, allow_nan=False)
            self._shared[id(value)] = value, self._equal[compact]
        return self._equal[compact]


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
    record = {"schema": SCHEMA, "source": plan.source, "configs": kept | added, "pinned": pinned}
    write_text(results.grid, SectionTexts().text(record, depth=4) + "\n")


def write_configs(plan: GridPlan, jobs: JobsByName) -> None:
    """Write `config.json` of each experiment, with all names it has been run under."""
    named: dict[Path, list[PlannedExperiment]] = {}
    for planned in plan.experiments:
        named.setdefault(jobs[planned.experiment.name][-1].folder.path, []).append(planned)
    texts = SectionTexts()
    for path, same in named.items():
        _write_config(JobFolder(path), same, jobs[same[0].experiment.name][-1].record, texts)


def _write_config(folder: JobFolder, same: Sequence[PlannedExperiment], job: JobRecord, texts: SectionTexts) -> None:
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
        write_text(folder.config, texts.text(record, depth=2) + "\n", durable=False)
