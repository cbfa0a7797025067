"""Encoder-decoders from a grid to a board: label scores, texts, languages."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.encoder_decoders import write_pair

pytestmark = pytest.mark.slow

ARGUMENTS = {"num_train_epochs": 2, "per_device_train_batch_size": 6, "learning_rate": 0.01}
LORA = {"lora": {"r": 4}, "training": {"trainer_args": ARGUMENTS}}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random T5 and a random mBART."""
    folder = tmp_path_factory.mktemp("encoder_decoders")
    for family in ("t5", "mbart"):
        write_pair(family, folder / family)
    return folder


def test_they_stand_on_the_boards_of_decoders(place: Any, models: Path) -> None:
    t5, mbart = ({"model": {"name": str(models / family)}} for family in ("t5", "mbart"))
    configs = {
        "prompted": place.classification(),
        "contextual": place.classification(**t5, inference={"calibration_args": {"calibration_fn": "contextual"}}),
        "trained": place.trained(**t5),
        "texts": place.generation(**t5, dataset={"shots": 8}, **LORA),
        "languages": place.generation(
            **mbart, dataset={"shots": 8}, prompting={"source_lang": "de_DE", "target_lang": "ro_RO"}, **LORA
        ),
    }
    (place.folder / "grid.json").write_text(json.dumps({"configs": configs}), "utf-8")
    ended = place.sft("run-experiments", "grid.json", "--start", "warm")
    assert ended.returncode == 0, ended.stderr
    rows = {row["name"]: row for row in place.json("results", "leaderboard.json")["rows"]}
    assert {row["state"] for row in rows.values()} == {"done"}
    assert rows["prompted"]["board"] == rows["contextual"]["board"] == rows["trained"]["board"]
    assert rows["texts"]["board"] == rows["languages"]["board"]
    assert 0 < rows["trained"]["results"]["label_mass"] <= 1 + 1e-9
    assert "uncalibrated_macro_f1" in rows["contextual"]["results"]


def test_an_unknown_language_is_refused_by_the_plan(place: Any, models: Path) -> None:
    languages = {"source_lang": "de_DE", "target_lang": "ro_RQ"}
    config = place.generation(model={"name": str(models / "mbart")}, prompting=languages)
    said = place.run("plan", config, expected=2)
    assert "target_lang 'ro_RQ' is no language of the tokenizer (did you mean ro_RO?)" in said
