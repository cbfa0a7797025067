"""Each method that says that it can be merged is exported as what its adapter computes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.adapters import adapter_registry
from sft.adapters.attach import attach_adapter
from sft.adapters.method import TASK_TYPE, adapter_method
from sft.adapters.saving import save_adapter
from sft.deployment.exporting.comparison import distance, logits_of
from sft.deployment.exporting.forms import read_form, write_form
from sft.deployment.exporting.merging import merged_model
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from tests.support.tiny_models import MAKERS

ROWS = [[3, 5, 8, 13, 21, 34], [2, 4]]
OPTIONS: dict[str, dict[str, Any]] = {
    "trainable_tokens": {"token_indices": [3, 5]},
    "shira": {"r": 4},
    "waveft": {"n_frequency": 500},
    "last_layer": {"blocks": 0},
}
"""Where the default does not fit a model this small, or where there is none."""
STORAGES = {"fp32": "plain", "nf4": "nf4"}


def mergeable(kind: str) -> list[str]:
    """The methods that train a base of this kind and can be merged into its plain weights."""
    methods = {name: adapter_method(name) for name in adapter_registry if name != "none"}
    return [
        name
        for name, method in methods.items()
        if method.supports(OPTIONS.get(name, {}), STORAGES[kind], CAUSAL_LM) is None
        and method.unmergeable(OPTIONS.get(name, {}), "plain") is None
    ]


def loaded(kind: str) -> Any:
    """A base as transformers loads it."""
    model = MAKERS[kind]()
    model.is_quantized = kind == "nf4"
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", STORAGES)
def test_what_is_exported_computes_what_the_adapter_does(
    train_steps: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    from transformers import AutoModelForCausalLM

    names = mergeable(kind)
    assert {"lora", "ssf", "ia3", "vera"} <= set(names)
    for name in names:
        folder = tmp_path / name
        options = {TASK_TYPE: "CAUSAL_LM", **OPTIONS.get(name, {})}
        model = attach_adapter(MAKERS[kind](), name, options, tmp_path, 0)
        train_steps(model, rate=0.03)
        save_adapter(model, name, folder / "adapter")
        model, measured = merged_model(lambda: loaded(kind), folder / "adapter", ROWS, lambda: None)
        write_form(model, "merged", folder / "export")
        again = read_form(AutoModelForCausalLM, "merged", folder / "export", {"dtype": "auto"})
        assert measured.distances.merged < 1e-5, name
        assert measured.distances.base > 1e-3, f"{name} learned nothing that could be lost"
        assert distance(measured.logits, logits_of(again, ROWS, lambda: None)) < 1e-6, name
