"""Adapters on torchao, GPTQ, AWQ and quanto bases, in the environment that has their packages."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.packing import write_packed

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = REPOSITORY / ".venv-storages" / "bin" / "python"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="make storages builds the environment that this needs"),
]


def test_adapters_keep_their_promises_on_bases_of_other_packages(tmp_path: Path):
    ran = subprocess.run(
        [PYTHON, "-m", "tests.support.stored_bases", tmp_path],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout.strip().splitlines()[-1]) == {}


def test_such_bases_go_through_all_stages(place: Any, monkeypatch: pytest.MonkeyPatch):
    from transformers import AutoModelForCausalLM

    packed = place.folder / "packed"
    write_packed(AutoModelForCausalLM.from_pretrained(place.tiny / "model"), packed, "gptq")
    for file in (place.tiny / "model").glob("*token*"):
        shutil.copy(file, packed)
    eight_bits = {"config_class": "TorchAoConfig", "args": {"quant_type": "Int8WeightOnlyConfig"}}
    experiments = {
        "torchao": place.trained(model={"quantization": eight_bits}, lora={"init_lora_weights": "pissa"}),
        "gptq": place.trained(model={"name": str(packed)}),
    }
    monkeypatch.setattr(sys, "executable", str(PYTHON))
    place.run("run-experiments", {"configs": experiments})
    for name in experiments:
        assert 0 <= place.metrics(name=f"{name}-")["results"]["accuracy"] <= 1
        stages = json.loads((place.experiment(name=f"{name}-") / "config.json").read_text("utf-8"))["stages"]
        curve = place.json("results", "stages", "train", stages["train"], "training.json")["loss_curve"]
        assert curve[-1]["loss"] < curve[0]["loss"]
    dynamic = {"config_class": "TorchAoConfig", "args": {"quant_type": "Int8DynamicActivationInt8WeightConfig"}}
    said = place.run("plan", place.trained(model={"quantization": dynamic}), expected=2)
    assert "its kernels pass no gradient on; lora works on plain, nf4" in said
