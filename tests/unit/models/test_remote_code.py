"""Python code that comes with a model runs only where the config allows it, and nobody is asked at a terminal."""

import json
import shutil
from functools import partial

import pytest

from sft.exceptions import UserError
from sft.models.loading import ModelSource, load_config, load_model
from sft.models.tokenizers import load_tokenizer
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

ALLOWED = {"trust_remote_code": True}
SPLIT = {"parallelize": True, "no_split_module_classes": ["LlamaDecoderLayer"]}
SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

Path({canary!r}).touch()


class OwnConfig(LlamaConfig):
    model_type = "own_llama"


class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig


class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `model`, whose classes stand in a file beside its weights."""
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("own")
    LlamaForCausalLM(LlamaConfig(vocab_size=16, **SIZES)).save_pretrained(folder / "model")
    core = Tokenizer(models.WordLevel({"<eos>": 0, "a": 1}, unk_token="<eos>"))
    PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>").save_pretrained(folder / "model")
    classes = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    _change(folder / "model" / "config.json", model_type="own_llama", auto_map=classes)
    (folder / "model" / "own.py").write_text(CODE.format(canary=str(folder / "canary")))
    return folder


@pytest.fixture
def canary(place, tmp_path, monkeypatch):
    """The file that the code touches. Whoever is asked would say yes, but nobody is asked."""
    asked = []
    modules = str(tmp_path / "modules")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", modules)
    monkeypatch.syspath_prepend(modules)
    monkeypatch.setattr("builtins.input", lambda *_: asked.append(1) or "y")
    (place / "canary").unlink(missing_ok=True)
    yield place / "canary"
    assert not asked


def _change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("load", [partial(load_model, objective=CAUSAL_LM), load_config], ids=["model", "config"])
@pytest.mark.parametrize("args", [{}, {"trust_remote_code": False}, SPLIT], ids=["unsaid", "refused", "split"])
def test_code_of_a_model_does_not_run_unless_it_is_allowed(load, args, place, canary):
    with pytest.raises(UserError, match=r"set model\.model_args\.trust_remote_code to true") as told:
        load(ModelSource("model", place, model_args=args))
    assert told.value.kind == "model"
    assert not canary.exists()


@pytest.mark.parametrize("args", [ALLOWED, {**ALLOWED, **SPLIT}], ids=["whole", "split"])
def test_code_that_is_allowed_runs(args, place, canary):
    assert type(load_model(ModelSource("model", place, model_args=args), CAUSAL_LM)).__name__ == "OwnModel"
    assert canary.exists()
    assert load_config(ModelSource("model", place, model_args=args)).model_type == "own_llama"


def test_code_of_a_tokenizer_never_runs(place, canary):
    assert load_tokenizer("model", place).pad_token == "<eos>"
    shutil.copytree(place / "model", place / "coded")
    classes = {"AutoTokenizer": [None, "own.OwnTokenizer"]}
    _change(place / "coded" / "tokenizer_config.json", tokenizer_class="OwnTokenizer", auto_map=classes)
    with pytest.raises(UserError, match="Python code that comes with it, which is never run") as told:
        load_tokenizer("coded", place)
    assert told.value.kind == "tokenizer"
    assert not canary.exists()
