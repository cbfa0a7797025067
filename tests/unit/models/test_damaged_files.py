"""Files that are cut, of another model or newer than the library: one line with the file, kind model or tokenizer."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.adapters.attach import attach_adapter
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError
from sft.models.loading import ModelSource, load_config, load_model
from sft.models.tokenizers import load_tokenizer
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

Change = Callable[[Path], object]
WEIGHTS, PART = "model.safetensors", "model-2.safetensors"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as one file in `whole`, in several in `parts`, and a tokenizer in `tokenizer`."""
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("folders")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, **sizes))
    model.save_pretrained(folder / "whole")
    model.save_pretrained(folder / "parts", max_shard_size="6KB")
    index = folder / "parts" / f"{WEIGHTS}.index.json"
    (second,) = (folder / "parts").glob("model-00002-of-*")
    index.write_text(index.read_text().replace(second.name, PART))
    second.rename(second.with_name(PART))
    core = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>").save_pretrained(folder / "tokenizer")
    return folder


@pytest.fixture
def changed(folders: Path, tmp_path: Path) -> Callable[[str, Change], str]:
    """A copy of one of the folders, damaged; its path."""

    def change(name: str, damage: Change) -> str:
        copy = shutil.copytree(folders / name, tmp_path / "copy")
        damage(copy)
        return str(copy)

    return change


def cut(name: str, size: int) -> Change:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def text(name: str, content: str) -> Change:
    return lambda folder: (folder / name).write_text(content)


def edited(name: str, **values: Any) -> Change:
    def edit(folder: Path) -> None:
        written = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**written, **values}))

    return edit


NEWER = r"or newer than what is installed \(transformers [\d.]+, tokenizers [\d.]+\)"
MODELS = [
    ("whole", cut(WEIGHTS, 9000), rf"/copy/{WEIGHTS} is cut or damaged \(.*not fully covered\); copy it again"),
    ("whole", cut(WEIGHTS, 100), rf"/copy/{WEIGHTS} is cut or damaged"),
    ("whole", cut(WEIGHTS, 0), rf"/copy/{WEIGHTS} is cut or damaged"),
    ("whole", text(WEIGHTS, "<html>" * 99), rf"/copy/{WEIGHTS} is cut or damaged"),
    ("whole", text(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:1\n"), r"git lfs pull brings"),
    ("parts", cut(PART, 90), rf"/copy/{PART} is cut or damaged"),
    ("parts", lambda folder: (folder / PART).unlink(), f"No such file or directory: .*/{PART}"),
    ("parts", cut(f"{WEIGHTS}.index.json", 20), rf"/copy/{WEIGHTS}.index.json is cut or damaged"),
    ("parts", text(f"{WEIGHTS}.index.json", "{}"), f"KeyError: 'weight_map'; .*{NEWER}"),
    ("whole", text("config.json", '{"model_type": "lla'), "config.json' is not a valid JSON file"),
    ("whole", text("config.json", "[]"), "Should have a `model_type` key in its config.json"),
    ("whole", edited("config.json", hidden_act="tomorrow"), f"KeyError: 'tomorrow'; .*{NEWER}"),
    ("whole", edited("config.json", rope_parameters={"rope_type": "tomorrow", "rope_theta": 1.0}), "'tomorrow'"),
    ("whole", edited("config.json", hidden_size="16"), "expected int, got str"),
    ("whole", edited("config.json", num_attention_heads=5), "not a multiple of the number of attention heads"),
    ("whole", edited("config.json", hidden_size=32), r"MISMATCH .*torch.Size\(\[.*16.*\]\) vs model:torch.Size"),
    (
        "whole",
        edited("config.json", vocab_size=70),
        r"MISMATCH .*torch.Size\(\[64, 16\]\) vs model:torch.Size\(\[70, 16",
    ),
]


@pytest.mark.parametrize(("name", "damage", "message"), MODELS, ids=range(len(MODELS)))
def test_a_model_of_such_files_is_told_in_a_line(
    name: str, damage: Change, message: str, changed: Callable[[str, Change], str], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as told:
        load_model(ModelSource(changed(name, damage), tmp_path), CAUSAL_LM)
    assert told.value.kind == "model"
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 800


def test_a_configuration_alone_is_told_as_well(changed: Callable[[str, Change], str], tmp_path: Path) -> None:
    source = ModelSource(changed("whole", edited("config.json", hidden_size="16")), tmp_path)
    with pytest.raises(UserError, match="expected int, got str"):
        load_config(source)


FILE = "tokenizer.json"
TOKENIZERS = [
    (edited(FILE, model={"type": "Tomorrow"}), f"did not match any variant of untagged enum.*{NEWER}"),
    (edited(FILE, pre_tokenizer={"type": "Tomorrow"}), NEWER),
    (cut(FILE, 40), "/copy/tokenizer.json is cut or damaged"),
    (text(FILE, ""), "/copy/tokenizer.json is cut or damaged"),
    (text(FILE, "[]"), NEWER),
    (cut("tokenizer_config.json", 5), "/copy/tokenizer_config.json is cut or damaged"),
    (text("tokenizer_config.json", "[]"), NEWER),
]


@pytest.mark.parametrize(("damage", "message"), TOKENIZERS, ids=range(len(TOKENIZERS)))
def test_a_tokenizer_of_such_files_is_told_in_a_line(
    damage: Change, message: str, changed: Callable[[str, Change], str], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as told:
        load_tokenizer(changed("tokenizer", damage), tmp_path)
    assert told.value.kind == "tokenizer"
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut("adapter_model.safetensors", 50), "/adapter_model.safetensors is cut or damaged"),
        (cut("adapter_config.json", 50), r"/adapter_config.json is not JSON \("),
        (text("adapter_config.json", "[]"), "/adapter_config.json is no object of settings"),
        (edited("adapter_config.json", peft_type="TOMORROW"), "TOMORROW"),
    ],
    ids=range(4),
)
def test_an_adapter_of_such_files_is_told_in_a_line(
    damage: Change, message: str, make_model: Any, tmp_path: Path
) -> None:
    save_adapter(attach_adapter(make_model("fp32"), "lora", {"r": 2}, Path(), 1), "lora", tmp_path / "adapter")
    damage(tmp_path / "adapter")
    with pytest.raises(UserError, match=message) as told:
        load_adapter(make_model("fp32"), tmp_path / "adapter")
    assert told.value.kind == "model"
    assert "\n" not in str(told.value)
