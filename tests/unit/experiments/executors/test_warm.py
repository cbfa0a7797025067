import json
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.executors.warm import Preload, preload_of
from sft.runs.records import JobRecord


def record(stage: Any, folder: Path, name: Any) -> JobRecord:
    return JobRecord(stage, "k", "a", {"model": {"name": name}}, str(folder), {})


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name, text in {
        "llama": json.dumps({"model_type": "llama"}),
        "again": json.dumps({"model_type": "llama"}),
        "gpt2": json.dumps({"model_type": "gpt2"}),
        "odd": json.dumps({"model_type": 3}),
        "list": "[]",
        "broken": "{",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    return tmp_path


def test_stages_and_model_types_are_collected_once(models: Path) -> None:
    names = ("llama", "again", "gpt2", "hub/model", "odd", "list", "broken", None)
    records = [record(stage, models, name) for stage in ("train", "infer", "evaluate") for name in names]
    assert preload_of(records) == Preload(("train", "infer", "evaluate"), ("llama", "gpt2"))


def test_what_only_evaluates_needs_no_model(models: Path) -> None:
    assert preload_of([record("evaluate", models, "llama")]) == Preload(("evaluate",))
    assert preload_of([JobRecord("infer", "k", "a", {}, "", {})]) == Preload(("infer",))
