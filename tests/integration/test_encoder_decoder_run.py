"""Encoder-decoders from a grid to a board: label scores, texts, languages."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sft.processes import fault_injection
from sft.runs.files import ResultsFolder
from sft.runs.records import read_error
from tests.support import short_of_memory
from tests.support.encoder_decoders import write_pair

pytestmark = pytest.mark.slow

ARGUMENTS = {"num_train_epochs": 2, "per_device_train_batch_size": 6, "learning_rate": 0.01}
BOTH = ("short", "roomy")
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


def test_with_less_memory_they_give_the_same(place: Any, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(models / "t5", place.folder / "model")
    told = json.loads((place.folder / "model" / "config.json").read_text("utf-8"))
    # what is dropped out of a batch is drawn for each of its parts
    (place.folder / "model" / "config.json").write_text(json.dumps({**told, "dropout_rate": 0.0}), "utf-8")
    t5 = {"model": {"name": "model"}}
    configs = {"labels": place.trained(**t5), "texts": place.generation(**t5, dataset={"shots": 8}, **LORA)}
    (place.folder / "grid.json").write_text(json.dumps({"configs": configs}), "utf-8")
    assert place.sft("run-experiments", "grid.json", "--results-path", "roomy").returncode == 0
    told = {"stage": f"{Path(short_of_memory.__file__).resolve()}:run", short_of_memory.FITS_FROM_STEP: 2}
    monkeypatch.setenv(fault_injection.VARIABLE, json.dumps(told))
    ended = place.sft(
        "run-experiments", "grid.json", "--results-path", "short", "--on-oom", "ladder", "--retries", "0"
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    for stage in ("train", "infer"):
        jobs = ResultsFolder(place.folder / "short").job_folders(stage)
        assert len(jobs) == 2
        for job in jobs:
            tries = job.attempts()
            assert [read_error(one.error).kind for one in tries[:2]] == ["oom_gpu"] * 2
            assert (json.loads(job.job.read_text("utf-8"))["memory_step"], len(tries)) == (2, 3)
    for job in ResultsFolder(place.folder / "short").job_folders("train"):
        short, roomy = (place.json(results, "stages", "train", job.path.name, "training.json") for results in BOTH)
        assert short["gradient_checkpointing"]
        assert short["micro_batch_size"] < roomy["micro_batch_size"]
        assert short["micro_batch_size"] * short["gradient_accumulation_steps"] == roomy["micro_batch_size"]
        losses = [[point["loss"] for point in told["loss_curve"]] for told in (short, roomy)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for name in configs:
        short, roomy = ([line["predictions"] for line in place.lines(results, name)] for results in BOTH)
        assert short == roomy


def test_an_unknown_language_is_refused_by_the_plan(place: Any, models: Path) -> None:
    languages = {"source_lang": "de_DE", "target_lang": "ro_RQ"}
    config = place.generation(model={"name": str(models / "mbart")}, prompting=languages)
    said = place.run("plan", config, expected=2)
    assert "target_lang 'ro_RQ' is no language of the tokenizer (did you mean ro_RO?)" in said
