"""A model whose files lack weights is refused: transformers would fill them at random."""

from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.models.loading import ModelSource, load_model
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM


def test_a_model_that_lacks_weights_is_refused(make_model: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    make_model("fp32").save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"no weights for model\.layers\.1\.mlp\.up_proj\.weight \(1 in all\)"):
        load_model(ModelSource(str(tmp_path), tmp_path), CAUSAL_LM)


def test_a_whole_model_loads(make_model: Any, tmp_path: Path) -> None:
    make_model("fp32").save_pretrained(tmp_path)
    assert load_model(ModelSource(str(tmp_path), tmp_path), CAUSAL_LM).training is False
