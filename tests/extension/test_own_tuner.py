"""The method that docs/extending.md shows: one file and a line in the registry; its base class does the rest."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.adapters import adapter_registry
from sft.adapters.support import support_matrix
from sft.exceptions import UserError
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from tests.contract.documents import blocks, section
from tests.extension.conftest import Run

TRAINED = {
    "lora": ...,
    "adapter": {"method": "steering", "blocks": 2},
    "training": {"trainer_args": {"learning_rate": 0.1, "num_train_epochs": 2, "per_device_train_batch_size": 3}},
}
Raw = Callable[..., dict[str, Any]]


@pytest.fixture
def steering(with_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its module, outside of the project, which the registry names."""
    (with_weights / "site").mkdir()
    (shown,) = blocks(section("docs/extending.md", "Adding a method"), "python")
    (with_weights / "site" / "steering_of_mine.py").write_text(shown.text)
    monkeypatch.syspath_prepend(str(with_weights / "site"))
    monkeypatch.setitem(adapter_registry, "steering", "steering_of_mine:METHOD")  # type: ignore[arg-type]
    return importlib.import_module("steering_of_mine")


def test_what_is_measured_is_what_was_trained(steering: Any, run: Run, raw: Raw, project: Path) -> None:
    from safetensors.torch import load_file

    trained = run("results", raw(TRAINED), "adapter")["train"]
    assert sorted(path.name for path in trained.adapter.iterdir()) == ["method.json", "method.safetensors"]
    written = json.loads((trained.adapter / "method.json").read_text())
    assert (written["method"], written["options"]) == ("steering", {"blocks": 2})
    vectors = load_file(trained.adapter / "method.safetensors")
    assert [vector.abs().min() > 0 for vector in vectors.values()] == [True, True]
    assert json.loads(trained.training.read_text())["trainable_parameters"] == sum(map(len, vectors.values()))
    untrained = raw({"lora": ..., "training": ..., "dataset": {"shots": 0}})
    measured, of_base = (
        np.load(run("results", config, "predictions")["infer"].scores)["answer_logprobs"]
        for config in (raw(TRAINED), untrained)
    )
    assert np.abs(measured - of_base).max() > 0.1


@pytest.mark.slow
def test_an_interrupted_training_ends_as_a_whole_one(
    steering: Any, run: Run, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sft.processes.signals import StopRequested
    from sft.training import checked_trainer

    whole = run("whole", raw(TRAINED), "adapter")["train"]
    is_asked = iter([True])
    monkeypatch.setattr(checked_trainer, "stop_requested", lambda: next(is_asked, False))
    with pytest.raises(StopRequested):
        run("pieces", raw(TRAINED), "adapter")
    pieces = run("pieces", raw(TRAINED), "adapter")["train"]
    first, second = ((folder.adapter / "method.safetensors").read_bytes() for folder in (whole, pieces))
    assert first == second


@pytest.mark.slow
def test_a_trained_one_is_gone_on_with_as_it_is(steering: Any, run: Run, raw: Raw) -> None:
    from safetensors.torch import load_file

    first = run("results", raw(TRAINED), "adapter")["train"].adapter
    patch = {"model": {"adapter": str(first)}, "adapter": {"blocks": ...}}
    on = raw(TRAINED, patch, {"training": {"trainer_args": {"learning_rate": 1e-6}}})
    second = load_file(run("results", on, "adapter")["train"].adapter / "method.safetensors")
    apart = [
        float((second[name] - vector).abs().max()) for name, vector in load_file(first / "method.safetensors").items()
    ]
    assert 0 < min(apart) <= max(apart) < 1e-4
    with pytest.raises(UserError, match=r"adapter.blocks: 1, but model.adapter has 2; leave it out"):
        run("results", raw(TRAINED, patch, {"adapter": {"blocks": 1}}), "adapter")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"block": 1}, r"adapter.block: unknown key \(did you mean blocks\?\); allowed: blocks"),
        ({"blocks": 0}, "adapter.blocks: 0: input should be greater than or equal to 1"),
        ({"blocks": "1"}, "adapter.blocks: '1': input should be a valid integer"),
    ],
)
def test_what_is_wrong_is_found_by_the_plan(
    steering: Any, project: Path, raw: Raw, plan_of: Callable[..., Any], options: dict[str, Any], part: str
) -> None:
    with pytest.raises(UserError, match=part):
        plan_of(project, a=raw(TRAINED, {"adapter": options}))


def test_it_stands_in_the_table_of_methods_and_bases(steering: Any) -> None:
    assert set(support_matrix(CAUSAL_LM)["steering"].values()) == {None}
    assert "steering is no part of the base's weights" in steering.METHOD.unmergeable({}, "plain")
