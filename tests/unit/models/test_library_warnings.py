"""What libraries warn of while they load is judged: it ends the loading, is left, or is noted."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.models.library_warnings import judged_warnings, noted_warnings
from sft.models.loading import ModelSource, load_model
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

WRONG = [
    "Found missing adapter keys while loading the checkpoint: ['lora_A']",
    "Some weights of LlamaForCausalLM were not initialized from the model checkpoint at x and are newly initialized",
    "You passed `model_init_kwargs` to the `SFTConfig`. The `model_init_kwargs` will be ignored.",
    "The following parameters were not used and will be ignored: ['x']",
    "You have passed exclude_modules=['x'] but no modules were excluded.",
    "Already found a `peft_config` attribute in the model.",
    "You are using a model of type `a` to instantiate a model of type `b`.",
]
LEFT = [
    "The following rank_pattern keys did not match any targeted module and were ignored: ['x']",
    "`torch_dtype` is deprecated! Use `dtype` instead!",
    "Special tokens have been added in the vocabulary, make sure the associated word embeddings are trained.",
]
NEW = "A thing that nobody has judged:\n it may matter"


def of_a_logger(text: str) -> None:
    logging.getLogger("transformers.modeling_utils").warning(text)


def of_python(text: str) -> None:
    """As if a line of PEFT had said it."""
    warnings.warn_explicit(text, UserWarning, "/somewhere/peft/peft_model.py", 1, module="peft.peft_model")


SAID = pytest.mark.parametrize("say", [of_a_logger, of_python])


@SAID
@pytest.mark.parametrize("text", WRONG)
@pytest.mark.filterwarnings("ignore")
def test_what_means_wrong_weights_ends_the_loading(say: Callable[[str], None], text: str):
    told = r"^model 'x': (transformers|peft) warns: "
    with pytest.raises(UserError, match=told) as caught, judged_warnings("model 'x'"):
        say(text)
    assert "\n" not in str(caught.value)


@SAID
@pytest.mark.parametrize("text", LEFT)
@pytest.mark.filterwarnings("ignore")
def test_what_means_nothing_here_is_left(say: Callable[[str], None], text: str):
    with judged_warnings("model 'x'"):
        say(text)
    assert noted_warnings() == []


@SAID
@pytest.mark.unknown_library_warnings
def test_what_nobody_has_judged_is_noted_once_and_shown(say: Callable[[str], None], caplog: Any, recwarn: Any):
    for _ in range(2):
        with judged_warnings("model 'x'"):
            say(NEW)
    (noted,) = noted_warnings()
    assert noted.endswith("warns: A thing that nobody has judged: it may matter")
    assert "nobody has judged" in caplog.text + "".join(str(warning.message) for warning in recwarn)


def test_warnings_of_others_pass(recwarn: Any):
    with judged_warnings("model 'x'"):
        warnings.warn("the model is changed before the first step", stacklevel=1)
    assert len(recwarn) == 1
    assert noted_warnings() == []


def with_tensor(folder: Path, model: Any, name: str, *shape: int) -> ModelSource:
    """A saved model with one more tensor, or another in its place."""
    import torch
    from safetensors.torch import load_file, save_file

    model.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    tensors[name] = torch.ones(shape)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return ModelSource(str(folder), folder)


def test_weights_that_the_model_has_no_place_for(make_model: Any, tmp_path: Path):
    source = with_tensor(tmp_path, make_model("fp32"), "model.layers.0.self_attn.q_proj.bias", 64)
    with pytest.raises(UserError, match=r"no place for: model\.layers\.0\.self_attn\.q_proj\.bias \(1 in all\)"):
        load_model(source, CAUSAL_LM)


def test_tables_that_older_versions_wrote_are_left(make_model: Any, tmp_path: Path):
    load_model(with_tensor(tmp_path, make_model("fp32"), "model.layers.0.self_attn.rotary_emb.inv_freq", 8), CAUSAL_LM)


@pytest.mark.parametrize("args", [{}, {"ignore_mismatched_sizes": True}])
def test_weights_of_another_shape(make_model: Any, tmp_path: Path, args: dict[str, Any]):
    source = with_tensor(tmp_path, make_model("fp32"), "model.layers.1.mlp.up_proj.weight", 8, 64)
    with pytest.raises(UserError, match=r"layers\.1\.mlp\.up_proj\.weight") as caught:
        load_model(ModelSource(source.name, source.folder, model_args=args), CAUSAL_LM)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
