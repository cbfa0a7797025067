"""A quantised base model, trained and measured by the product on a CPU."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.slow

KINDS = {
    "four-bit": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32"},
    "eight-bit": {"load_in_8bit": True},
}


def test_quantized_models_are_trained_and_measured(place: Any):
    pytest.importorskip("bitsandbytes")
    quantized = {
        name: place.trained(
            model={"quantization": {"config_class": "BitsAndBytesConfig", "args": arguments}},
            lora={"init_lora_weights": "pissa"} if name == "four-bit" else {},
        )
        for name, arguments in KINDS.items()
    }
    place.run("run-experiments", {"configs": quantized})
    scores = {name: [line["label_logprobs"] for line in place.lines(name=f"{name}-")] for name in KINDS}
    assert scores["four-bit"] != scores["eight-bit"]
    for name in KINDS:
        metrics = place.metrics(name=f"{name}-")
        assert 0 <= metrics["results"]["accuracy"] <= 1
        stages = json.loads((place.experiment(name=f"{name}-") / "config.json").read_text("utf-8"))["stages"]
        training = place.json("results", "stages", "train", stages["train"], "training.json")
        losses = [point["loss"] for point in training["loss_curve"]]
        assert all(isinstance(loss, float) for loss in losses)
        assert all(point["grad_norm"] > 0 for point in training["loss_curve"])


def test_an_argument_nobody_takes_is_refused_before_anything_starts(place: Any):
    quantization = {"config_class": "BitsAndBytesConfig", "args": {"load_in_4bits": True}}
    said = place.run("run-experiment", place.trained(model={"quantization": quantization}), expected=2)
    assert "load_in_4bits" in said
    assert "load_in_4bit" in said.replace("load_in_4bits", "")
    assert not (place.folder / "results").exists()
