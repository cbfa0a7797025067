"""The stage keys and ids of every example; `python -m tests.contract.pinned_keys` writes those of today's code.

A key that moves makes every user's finished stages of its kind run again, so each line that changes needs a reason.
Models stand for their names: the converted weights of the demo model may differ from machine to machine. So may the
rows of `make demo-data-tasks`, which follow from installed packages: examples with them are not held. Encoder-decoders
have no other, so that theirs are keys of a grid on rows that are written here.
"""

import json
import tempfile
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
WRITTEN_HERE = "encoder-decoders"
ROWS = [{"en": f"word {number}", "de": f"Wort {number}", "kind": ("noun", "verb")[number % 2]} for number in range(12)]
MODELS = {"small": {"model_type": "t5"}, "many-languages": {"model_type": "mbart"}}
_READ = {"input_columns": ["en"], "input_template": "to German: {en}"}
_KIND = {
    "dataset": {"path": "rows", "task_type": "classification", "shots": 2},
    "model": {"name": "small"},
    "prompting": {**_READ, "output_column": "kind"},
}
_GERMAN = {
    "dataset": {"path": "rows", "task_type": "translation", "shots": 4},
    "model": {"name": "small"},
    "prompting": {**_READ, "output_column": "de", "max_output_length": 16},
}
_LANGUAGES = {"source_lang": "en_XX", "target_lang": "de_DE"}
CONFIGS = {
    "scored": {**_KIND, "inference": {"icl_examples": 1, "calibration_args": {"calibration_fn": "contextual"}}},
    "scored-trained": {**_KIND, "lora": {}},
    "written": {**_GERMAN, "dataset": {**_GERMAN["dataset"], "shots": 0}},
    "written-trained": {**_GERMAN, "adapter": {"method": "full"}},
    "summed-up": {**_GERMAN, "dataset": {**_GERMAN["dataset"], "task_type": "summarization"}, "lora": {}},
    "in-languages": {
        **_GERMAN,
        "model": {"name": "many-languages"},
        "prompting": {**_GERMAN["prompting"], **_LANGUAGES},
        "lora": {},
    },
}


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


def keys_of_encoder_decoders(folder: Path) -> Keys:
    """The keys of today's code of encoder-decoders.

    Args:
        folder: an empty one, for their rows and the configurations of their models.
    """
    (folder / "rows").mkdir()
    for split in ("train", "test"):
        (folder / "rows" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    for name, told in MODELS.items():
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(told), "utf-8")
    (folder / "grid.json").write_text(json.dumps({"configs": CONFIGS}), "utf-8")
    return {WRITTEN_HERE: dict(_keys_of(folder / "grid.json"))}


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
    with tempfile.TemporaryDirectory() as scratch:
        found = keys_of_examples() | keys_of_encoder_decoders(Path(scratch))
    PINNED.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
