"""`sft export` gives other programs what an experiment trained."""

from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_a_trained_experiment_as_adapter_and_as_one_model(place: Any) -> None:
    config = place.trained()
    place.run("run-experiment", config)
    ended = place.sft("export", "config", "--to", "adapter")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "adapter\n"
    files = {path.name for path in (place.folder / "adapter").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= files

    ended = place.sft("export", "best", "--to", "model", "--as", "merged")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith("config [")
    assert {path.name for path in place.folder.glob(".sft-export-*")} == set()
    before = [line["label_logprobs"] for line in place.lines()]
    place.run("run-experiment", place.classification(model={"name": "model"}), "--results-path", "merged")
    for line, own in zip(place.lines("merged"), before, strict=True):
        assert line["label_logprobs"] == pytest.approx(own, abs=1e-4)

    ended = place.sft("export", "config", "--to", "model", "--as", "merged")
    assert (ended.returncode, ended.stderr) == (2, "--to model: is not empty; name a folder that is new\n")
