"""Folds through real processes: killed, continued, and equal to trainings on files that hold the same rows."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.tasks.inputs import load_inputs
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

N_FOLDS = 2
N_ROWS = 18


def _rows_file(place: Any) -> Path:
    rows = (place.tiny / "tickets" / "train.jsonl").read_text("utf-8").splitlines(keepends=True)[:N_ROWS]
    path: Path = place.folder / "rows.jsonl"
    path.write_text("".join(rows), "utf-8")
    return path


def _configs(place: Any) -> dict[str, Any]:
    """Folds, zero-shot and trained, and for each fold the same training over files of its rows."""
    path = _rows_file(place)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    cut = {"path": path.name, "splits": {"folds": N_FOLDS}, "max_n_test": None, "shots": "all"}
    configs = {
        "zero": place.classification(dataset=cut | {"shots": 0}),
        "lora": place.trained(dataset={**cut, "splits": {"test": None, "folds": N_FOLDS}}),
    }
    for config in configs.values():
        config["dataset"]["splits"] = {"folds": N_FOLDS}
    whole = load_inputs(ExperimentConfig.model_validate(configs["lora"]), place.folder, {})
    for fold, own in enumerate(whole.splits.folds):
        for name, has in (("train", False), ("test", True)):
            rows = "".join(line for index, line in enumerate(lines) if (index in own) is has)
            (place.folder / f"{name}{fold}.jsonl").write_text(rows, "utf-8")
        splits = {"train": f"train{fold}.jsonl", "test": f"test{fold}.jsonl"}
        configs[f"file{fold}"] = place.trained(dataset=cut | {"splits": splits})
    return configs


def _killed_after_a_training(place: Any) -> None:
    """Start the grid and kill the runner once a fold is trained."""
    command = [sys.executable, "-m", "sft.cli", "run-experiments", "grid.json", "--jobs", "1"]
    settings = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        command, cwd=place.folder, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: list(place.folder.glob("results/stages/train/*/manifest.json")), 300)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_folds_are_continued_and_give_what_files_of_their_rows_give(place: Any) -> None:
    configs = _configs(place)
    folds = {name: configs[name] for name in ("zero", "lora")}
    (place.folder / "grid.json").write_text(json.dumps({"configs": folds}), "utf-8")
    _killed_after_a_training(place)
    trained = {path.parent.name for path in place.folder.glob("results/stages/train/*/manifest.json")}
    before = len(place.events())
    (place.folder / "grid.json").write_text(json.dumps({"configs": configs}), "utf-8")
    ended = place.sft("run-experiments", "grid.json", "--jobs", "1")
    assert ended.returncode == 0, ended.stderr
    again = {Path(event["job"]).name for event in place.events()[before:] if event.get("state") == "running"}
    assert trained
    assert trained.isdisjoint(again)
    lines = place.lines(name="lora-")
    assert [line["source_index"] for line in lines] == list(range(N_ROWS))
    for fold in range(N_FOLDS):
        own = [line for line in lines if line["fold"] == fold]
        files = place.lines(name=f"file{fold}-")
        assert [line["text"] for line in own] == [line["text"] for line in files]
        assert [line["label_logprobs"] for line in own] == [line["label_logprobs"] for line in files]
    rows = {row["name"]: row for row in place.json("results", "leaderboard.json")["rows"]}
    assert rows["lora"]["board"] == rows["zero"]["board"]
    assert place.metrics(name="lora-")["data"]["n_test"] == N_ROWS
    for command in (["verify"], ["status"], ["logs", "lora"]):
        shown = place.sft(*command)
        assert shown.returncode == 0, shown.stdout + shown.stderr


def test_single_commands_take_all_folds_or_say_what_they_lack(place: Any) -> None:
    config = _configs(place)["lora"]
    refused = place.run("evaluate", config, expected=2)
    assert refused.count("\n") == 1
    assert "its adapter is not trained yet" in refused
    adapters = place.run("train", config, "--results-path", "trained").split()
    assert len([path for path in adapters if path.endswith("/adapter")]) == N_FOLDS
    place.run("evaluate", config, "--results-path", "trained")
    assert {line["fold"] for line in place.lines("trained")} == set(range(N_FOLDS))
    shown = place.run("inspect", config, "--rows", "1", "--results-path", "trained")
    assert "fold 0 of dataset.splits.folds" in shown
    (place.folder / "new.jsonl").write_text('{"text": "a refund"}\n', "utf-8")
    new = place.sft("predict", "config", "--input", "new.jsonl", "--results-path", "trained")
    assert new.returncode == 2
    assert "each of its 2 folds has a training or examples of its own" in new.stderr
    assert new.stderr.count("\n") == 1
