"""A method of another file and one line in the registry: planned, trained, saved, loaded, resumed and continued."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.adapters import adapter_registry
from sft.exceptions import UserError

SHIFT = '''
"""One trained vector, added to what the last layer gives."""

import torch
from pydantic import BaseModel
from safetensors.torch import load_file, save_file

from sft.adapters.method import OptionFinding
from sft.adapters.parameters import trained_tensors

SAVED = []


class Options(BaseModel):
    start: float = 0.0


class Shift:
    options = Options
    saved_as = "shift.safetensors"
    trainer_defaults = {}

    def check(self, options, folder):
        return [OptionFinding(key, "unknown key; allowed: start") for key in options if key != "start"]

    def require_packages(self, options):
        pass

    def check_on_model(self, options, config):
        return []

    def supports(self, options, storage, objective):
        return None if storage == "plain" else f"shift is not tried on {storage}"

    def unmergeable(self, options, storage):
        return "a shift of the last layer is in no weight"

    def merge(self, model):
        raise NotImplementedError

    def known_defaults(self, *, continued):
        return {} if continued else {"start": 0.0}

    def own_code(self, options):
        return {}

    def attach(self, model, options, folder, rows):
        return shifted(model, torch.full((model.config.hidden_size,), options.get("start", 0.0)))

    def check_continued(self, options, adapter):
        return [OptionFinding("start", "is in the trained adapter; leave it out")] if "start" in options else []

    def continued(self, model, options, adapter):
        return shifted(model, load_file(adapter / self.saved_as)["shift"])

    def own_tensors(self, model):
        return trained_tensors(model)

    def save(self, model, folder):
        folder.mkdir()
        SAVED.append(model)
        save_file({"shift": model.shift.data}, folder / self.saved_as)
        return {"shifted": len(model.shift)}

    def load(self, model, folder):
        return self.continued(model, {}, folder).requires_grad_(False).eval()

    def save_start(self, model, options, folder):
        pass

    def restored(self, model, options, folder):
        return self.attach(model, options, folder, ())


def shifted(model, vector):
    model.requires_grad_(False)
    model.shift = torch.nn.Parameter(vector)
    model.model.norm.register_forward_hook(lambda layer, given, found: found + model.shift)
    return model


METHOD = Shift()
'''
TRAINED = {
    "lora": ...,
    "adapter": {"method": "shift"},
    "training": {"trainer_args": {"learning_rate": 0.1, "num_train_epochs": 2, "per_device_train_batch_size": 3}},
}
Raw = Callable[..., dict[str, Any]]
Run = Callable[..., Any]


@pytest.fixture
def shift(with_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the method, which the registry names, beside a model with weights."""
    project = with_weights
    (project / "site").mkdir()
    (project / "site" / "shift_of_mine.py").write_text(SHIFT)
    monkeypatch.syspath_prepend(str(project / "site"))
    monkeypatch.setitem(adapter_registry, "shift", "shift_of_mine:METHOD")  # type: ignore[arg-type]
    module = importlib.import_module("shift_of_mine")
    module.SAVED.clear()
    return module


def test_what_is_measured_is_what_was_trained(shift: Any, run: Run, raw: Raw, project: Path) -> None:
    import torch

    from sft.adapters.saving import load_adapter
    from sft.models.loading import ModelSource, load_model
    from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

    trained = run("results", raw(TRAINED), "adapter")["train"]
    record = json.loads(trained.training.read_text())
    assert record["shifted"] == record["trainable_parameters"] > 0
    assert [path.name for path in trained.adapter.iterdir()] == ["shift.safetensors"]
    ids = torch.arange(40, 60)[None]
    base = load_model(ModelSource("model", project), CAUSAL_LM)
    before = base(ids).logits
    again = load_adapter(base, trained.adapter)
    assert torch.equal(again(ids).logits, shift.SAVED[0](ids).logits)
    assert (again(ids).logits - before).abs().max() > 0.1
    untrained = raw({"lora": ..., "training": ..., "dataset": {"shots": 0}})
    measured, of_base = (
        np.load(run("results", config, "predictions")["infer"].scores)["answer_logprobs"]
        for config in (raw(TRAINED), untrained)
    )
    assert np.abs(measured - of_base).max() > 0.1


def test_the_head_is_trained_beside_an_adapter(shift: Any, run: Run, raw: Raw) -> None:
    trained = run("results", raw(TRAINED, {"lora": {}, "adapter": ..., "training": {"last_layer": True}}), "adapter")
    saved = json.loads((trained["train"].adapter / "adapter_config.json").read_text())
    assert saved["modules_to_save"] == ["lm_head"]


def test_an_interrupted_training_ends_as_a_whole_one(
    shift: Any, run: Run, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sft.processes.signals import StopRequested
    from sft.training import checked_trainer

    whole = run("whole", raw(TRAINED), "adapter")["train"]
    is_asked = iter([True])
    monkeypatch.setattr(checked_trainer, "stop_requested", lambda: next(is_asked, False))
    with pytest.raises(StopRequested):
        run("pieces", raw(TRAINED), "adapter")
    pieces = run("pieces", raw(TRAINED), "adapter")["train"]
    assert json.loads(pieces.training.read_text())["n_resumed_from"] == 1
    first, second = ((folder.adapter / "shift.safetensors").read_bytes() for folder in (whole, pieces))
    assert first == second


def test_a_trained_one_is_gone_on_with(
    shift: Any, run: Run, raw: Raw, plan_of: Callable[..., Any], project: Path
) -> None:
    from safetensors.torch import load_file

    first = run("results", raw(TRAINED), "adapter")["train"].adapter
    on = raw(TRAINED, {"model": {"adapter": str(first)}, "training": {"trainer_args": {"learning_rate": 1e-6}}})
    second = run("results", on, "adapter")["train"].adapter
    apart = load_file(first / "shift.safetensors")["shift"] - load_file(second / "shift.safetensors")["shift"]
    assert 0 < apart.abs().max() < 1e-4


@pytest.mark.parametrize(
    ("patch", "part"),
    [
        ({"adapter": {"end": 1.0}}, "adapter.end: unknown key; allowed: start"),
        ({"adapter": {"method": "shfit"}}, "did you mean shift"),
        ({"model": {"adapter": "data"}}, "no adapter_config.json.* or shift.safetensors there"),
        ({"model": {"adapter": "mine"}, "adapter": {"start": 1.0}}, "adapter.start: is in the trained adapter"),
        ({"model": {"name": "mine"}}, "name it in model.adapter"),
        (
            {"adapter": {"method": "full"}, "training": {"last_layer": True}},
            "last_layer: true: method full trains the",
        ),
    ],
)
def test_what_is_wrong_is_found_by_the_plan(
    shift: Any, project: Path, raw: Raw, plan_of: Callable[..., Any], patch: dict[str, Any], part: str
) -> None:
    (project / "mine").mkdir()
    (project / "mine" / "shift.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match=part):
        plan_of(project, a=raw(TRAINED, patch))
