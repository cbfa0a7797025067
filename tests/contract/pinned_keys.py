"""The stage keys and ids of every example; `python -m tests.contract.pinned_keys` writes those of today's code.

A key that moves makes every user's finished stages of its kind run again, so each line that changes needs a reason.
Models stand for their names: the converted weights of the demo model may differ from machine to machine. So may the
rows of `make demo-data-tasks`, which follow from installed packages: examples with them are not held.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from sft.config.reading import read_experiment
from sft.data.loading import local_source
from sft.experiments.grids.loading import GridOptions, load_grid
from sft.experiments.planning.checks.data import DataChecks, DataFacts
from sft.experiments.planning.checks.model_files import known_config
from sft.experiments.planning.fingerprinting import Contents
from sft.experiments.planning.objective_choice import with_objective
from sft.models.references import locate
from sft.pipeline.experiment import Experiment
from sft.pipeline.keys import StageKeys, stage_keys
from tests.support.examples import OF_TASK_DATA, missing

ROOT = Path(__file__).resolve().parents[2]
PINNED = Path(__file__).with_name("pinned_keys.json")
FOLDERS = ("etc/configs/json", "etc/configs/jsonnet", "etc/demo")
COMMIT = "0" * 40


class _WithoutHub(Contents):
    def _pin(self, key: str, ask: Callable[[], str]) -> str:
        return COMMIT


Keys = dict[str, dict[str, dict[str, str]]]
"""Example -> experiment -> stage, or infer stage's row set -> key."""


def examples() -> list[Path]:
    """The files of all examples and of the demo."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).iterdir()]
    return sorted(path for path in found if path.suffix in (".json", ".jsonnet"))


def keys_of_examples() -> Keys:
    """The keys of today's code, of the examples whose models and data are there."""
    held = (path for path in examples() if is_held(path.relative_to(ROOT).as_posix()))
    return {path.relative_to(ROOT).as_posix(): dict(_keys_of(path)) for path in held}


def is_held(place: str) -> bool:
    """Whether the keys of an example can be told here, and are the same everywhere.

    Args:
        place: of its file, from the root.
    """
    name = place.removeprefix("etc/configs/")
    return missing(name) is None and name not in OF_TASK_DATA


def _keys_of(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    grid = load_grid(path, GridOptions())
    folder = grid.folder
    contents = _WithoutHub(grid.folder, {})
    data = DataChecks(grid.folder, contents.dataset_revision)
    for name, raw in grid.configs.items():
        config, found = read_experiment(raw, name)
        assert config is not None, found
        config = with_objective(config, grid.folder, lambda model, _: known_config(model, folder)).config
        labels = None
        if local_source(config.dataset, grid.folder) is not None:
            facts = data.facts(config, with_gold=True)
            assert isinstance(facts, DataFacts), facts
            labels = facts.labels
        fingerprints = contents.fingerprints(config, labels)
        if locate(config.model.name, grid.folder) is not None:
            fingerprints = replace(fingerprints, model=f"name:{config.model.name}")
        yield name, _named(stage_keys(Experiment(name, config, grid.folder, fingerprints)))


def _named(keys: StageKeys) -> dict[str, str]:
    train = {} if keys.train is None else {"train": keys.train}
    return {**train, **keys.row_sets, "evaluate": keys.evaluate}


if __name__ == "__main__":
    PINNED.write_text(json.dumps(keys_of_examples(), indent=1) + "\n", "utf-8")
