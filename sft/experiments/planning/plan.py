"""A plan: the experiments of a grid, checked and keyed, and what was found about them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sft.config.experiment import ExperimentConfig
from sft.data.profile.profile import DataProfile
from sft.experiments.executors.choice import ExecutorChoice
from sft.experiments.planning.checks.data import DataFacts
from sft.pipeline.experiment import Experiment
from sft.pipeline.keys import StageKeys
from sft.pipeline.unused_keys import without_effect


@dataclass(frozen=True)
class PlannedExperiment:
    """An experiment with its keys and what the plan shows of its data."""

    experiment: Experiment
    keys: StageKeys
    data: DataFacts


@dataclass(frozen=True)
class GridPlan:
    """A grid that can be run."""

    source: str
    folder: Path
    experiments: tuple[PlannedExperiment, ...]
    pinned: Mapping[str, str]
    """Hub commits in force."""
    warnings: tuple[str, ...]
    data: tuple[DataProfile, ...] = ()
    """What is known of each distinct data section, where it was looked at."""
    executor: ExecutorChoice | None = None
    """Where the grid says that its stages run; in no key."""

    def named(self) -> dict[str, PlannedExperiment]:
        """The experiments by name."""
        return {planned.experiment.name: planned for planned in self.experiments}

    def without_effect(self) -> dict[str, list[str]]:
        """Each written key that changes nothing with the names of the experiments that it has no effect in."""
        return self._by_text(lambda experiment: (*experiment.dropped, *without_effect(experiment.config)))

    def by_text(self, texts_of: Callable[[ExperimentConfig], Iterable[str]]) -> dict[str, list[str]]:
        """Each text with the names of the experiments that it is true of."""
        return self._by_text(lambda experiment: texts_of(experiment.config))

    def _by_text(self, texts_of: Callable[[Experiment], Iterable[str]]) -> dict[str, list[str]]:
        names: dict[str, list[str]] = {}
        for planned in self.experiments:
            for text in texts_of(planned.experiment):
                names.setdefault(text, []).append(planned.experiment.name)
        return names
