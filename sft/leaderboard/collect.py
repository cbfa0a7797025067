"""Reads the experiments of a results folder, also while it is being written.

Only what a valid manifest lists counts as a result; every other experiment is kept with its state and its reason, so
that a board can be made at any moment, of a grid of which all, some or no experiment has ended.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sft.config.seeds import SEEDS
from sft.leaderboard.cache.file_cache import FileCache, Signature
from sft.leaderboard.cache.parts import Document, Split
from sft.leaderboard.in_force import NOT_A_SETTING, InForce, in_force, leaves, settings_in_force, with_method
from sft.leaderboard.records import SeedKey
from sft.runs.experiments import ListedExperiment, Standings
from sft.runs.files import JobFolder
from sft.runs.manifest import ListedFile, finished_files, listed_json
from sft.runs.states import METRICS_FILE, Standing
from sft.tasks import task_registry
from sft.tasks.inputs import task_named

if TYPE_CHECKING:
    from sft.config.experiment import ExperimentConfig


_EMPTY: Mapping[str, Any] = {}

Remember = Callable[[str, Callable[[], Any]], Any]
"""Name of a value and what makes it -> the value."""


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
        state: as `sft.runs.states` tells it; `damaged` also where the metrics are not those that were written.
        folder: of the experiment.
        config: canonical resolved config.
        metrics: content of `metrics.json`; empty unless the state is `done`.
        error: why there is no result; None where there is one, or where the experiment has not ended.
        baseline: folder of the job that measures baselines on its shots and evaluated rows, which need not be there;
            None where none is known.
        in_grid: whether the grid of its results folder holds it.
        also_in: further results folders that hold the same experiment under this name.
    """

    name: str
    id: str
    state: str
    folder: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: ExperimentError | None = None
    baseline: Path | None = None
    look_up: Callable[[Mapping[str, Any]], InForce] = field(default=in_force, repr=False, compare=False)
    """Tells what of a config has an effect."""
    remember: "Remember" = field(default=lambda _, make: make(), repr=False, compare=False)
    """Gives a JSON value that is made of its results by a name, and need not make it twice."""
    in_grid: bool = True
    also_in: tuple[Path, ...] = ()

    @property
    def results_folder(self) -> Path:
        """The results folder whose files are read, as it was named."""
        return self.folder.parent.parent

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every leaf of the config by dotted path."""
        return leaves(self.config)

    @cached_property
    def in_force(self) -> InForce:
        """What of the config has an effect."""
        return self.look_up(self.config)

    @cached_property
    def settings_in_force(self) -> dict[str, Any]:
        """The leaves by dotted path: what has no effect is as if not written, and the adapter method has its name."""
        return with_method(settings_in_force(self.settings, self.in_force))

    @cached_property
    def experiment(self) -> "ExperimentConfig":
        """The config as an object, read once.

        Raises:
            ValidationError: another version of this program wrote a config that this one does not take.
        """
        from sft.config.experiment import ExperimentConfig

        return ExperimentConfig.model_validate(dict(self.config))

    @property
    def seed(self) -> int | None:
        """The experiment's seed."""
        seed: int | None = self.config.get("seed")
        return seed

    @property
    def shots_sha256(self) -> str:
        """Names its shots: of the JSON list of their positions in the train split; none give an empty list."""
        indices = self.part("data").get("train_indices") or ()
        return hashlib.sha256(json.dumps(list(indices)).encode()).hexdigest()

    @cached_property
    def seeds(self) -> SeedKey:
        """The seeds in force."""
        own = self.config.get("seeds")
        sources = own if isinstance(own, Mapping) else {}
        return self.seed, *(self.seed if sources[name] is None else sources[name] for name in sorted(sources))

    @property
    def measures_texts(self) -> bool:
        """Whether texts are measured whole, so that the gold is what is read and no prediction is right or wrong."""
        name = self.setting("dataset.task_type")
        return name in task_registry and task_named(name).reads == "whole"

    def part(self, name: str) -> Mapping[str, Any]:
        """A map of `metrics.json` (`results`, `data`, `timing`, ...); empty where it is not there."""
        value = self.metrics.get(name)
        return value if isinstance(value, dict | Document) else _EMPTY

    def number(self, result: str) -> float | None:
        """A number of `results`; None where there is none, or none that is finite."""
        return finite_number(self.part("results").get(result))

    def setting(self, path: str) -> Any:
        """The config's value (a section too) at a dotted path; None where it is not there."""
        value: Any = self.config
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


_SPLITS: Mapping[str, Split] = {
    "grid.json": {"configs": {"*": {"config": {}}}},
    "config.json": {"config": {}},
    "metrics.json": {"config": {}, "data": {}, "details": {}},
}
"""Of files, the maps whose values are kept one by one: experiments share most of them."""

_NOT_OF_SET_UPS = frozenset({*SEEDS, *NOT_A_SETTING})
"""Keys of a config whose values change nothing of what has an effect in it."""


@dataclass(frozen=True)
class Reader:
    """Reads one results folder, as far as its cache does not know it."""

    cache: FileCache
    standings: Standings
    looked_at: dict[tuple[int, ...], InForce] = field(default_factory=dict)
    """By the parts of a config without its seeds."""

    def json(self, path: str) -> Any:
        """The content of `grid.json` or a `config.json`; None where it is not there or cannot be read."""
        return self.cache.json(path, _SPLITS[path[path.rfind("/") + 1 :]])

    def record(self, experiment: ListedExperiment) -> ExperimentRecord:
        """An experiment as it stands; one whose manifest and listed files are as they were is done as it was."""
        name, key, folder, config = experiment.name, experiment.key, experiment.folder, experiment.config
        place = self.cache.name_of(str(folder.path))
        metrics = self.cache.known(f"{place}/result")
        if metrics is None:
            manifest = self.cache.signature(f"{place}/result", [folder.manifest.name])
            standing = Standing("done", files=finished_files(folder))
            if METRICS_FILE not in standing.files:
                standing = self.standings.of_experiment(experiment)
            if standing.state != "done":
                return self._without_result(experiment, standing)
            metrics = self._metrics(place, folder, standing.files, manifest)
            if metrics is None:
                return self._without_result(experiment, replace(self.standings.of(folder), state="damaged"))
        baseline = None if experiment.baseline is None else experiment.baseline.path
        remember = partial(self.cache.remember, f"{place}/result")
        return ExperimentRecord(
            name, key, "done", folder.path, config, metrics, None, baseline, self.in_force, remember
        )

    def _without_result(self, experiment: ListedExperiment, standing: Standing) -> ExperimentRecord:
        error, status, folder = standing.error, standing.status, experiment.folder.path
        told = None if error is None else ExperimentError(error.kind, error.message, status.stage if status else None)
        name, key, config = experiment.name, experiment.key, experiment.config
        return ExperimentRecord(name, key, standing.state, folder, config, error=told, look_up=self.in_force)

    def in_force(self, config: Mapping[str, Any]) -> InForce:
        """As `in_force.in_force`; for configs of the cache, each of which is looked at once for all times."""
        if not isinstance(config, Document):
            return in_force(config)
        parts = config.numbers(_NOT_OF_SET_UPS)
        if parts not in self.looked_at:
            name = f"in force {parts}"
            known = self.cache.known(name)
            if known is None:
                found = dataclasses.asdict(in_force(config))
                known = self.cache.keep(name, (), b"", found | {"unused": sorted(found["unused"])})
            self.looked_at[parts] = InForce(**known | {"unused": frozenset(known["unused"])})
        return self.looked_at[parts]

    def _metrics(
        self, place: str, folder: JobFolder, files: Mapping[str, ListedFile], manifest: Signature | None
    ) -> Mapping[str, Any] | None:
        """The metrics of a finished experiment, None where they are not those that its stage wrote.

        Args:
            place: of the experiment, in the results folder.
            folder: the same.
            files: that its manifest lists.
            manifest: the state of the manifest before it was read.
        """
        name, names = f"{place}/result", [folder.manifest.name, *files]
        signature = self.cache.signature(name, names)
        found = _metrics(folder, files)
        if found is None or signature is None or manifest is None or not signature.startswith(manifest):
            return found
        kept: Mapping[str, Any] = self.cache.keep(name, names, signature, found, _SPLITS["metrics.json"])
        return kept


def _metrics(folder: JobFolder, files: Mapping[str, ListedFile]) -> Mapping[str, Any] | None:
    """The metrics of a finished experiment, None where they are not those that its stage wrote."""
    record = listed_json(folder, folder.metrics, files)
    return record if isinstance(record, dict) else None


def finite_number(value: Any) -> float | None:
    """The value where it is a finite number; None for anything else, a truth value too."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if is_number else None


def finite_numbers(values: Iterable[Any]) -> list[float]:
    """Those of the values that are finite numbers."""
    return [number for value in values if (number := finite_number(value)) is not None]


def mean(values: Iterable[Any]) -> float | None:
    """The mean of those values that are finite numbers, as of the runs that have one; None where there is none."""
    known = finite_numbers(values)
    return fmean(known) if known else None
