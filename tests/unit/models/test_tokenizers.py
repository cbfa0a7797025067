"""Tokenizers: fast, with a pad token, without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sft.exceptions import UserError
from sft.models.tokenizers import chat_template_in_force, default_template_args, load_tokenizer

WORDS = ["[UNK]", "<eos>", "<pad>", "a", "b"]


@pytest.fixture
def save_tokenizer(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    def save(name, template=None, **special):
        core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
        core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **special)
        tokenizer.chat_template = template
        tokenizer.save_pretrained(tmp_path / name)
        return name

    return save


@pytest.mark.parametrize(
    ("special", "pad"),
    [
        ({"pad_token": "<pad>", "eos_token": "<eos>"}, "<pad>"),
        ({"eos_token": "<eos>", "unk_token": "[UNK]"}, "<eos>"),
        ({"unk_token": "[UNK]"}, "[UNK]"),
    ],
)
def test_the_pad_token_is_the_own_one_else_eos_else_unk_and_ids_stay(special, pad, save_tokenizer, tmp_path):
    tokenizer = load_tokenizer(save_tokenizer("tokenizer", **special), tmp_path)
    assert tokenizer.pad_token == pad
    assert tokenizer.pad_token_id == WORDS.index(pad)
    assert tokenizer.is_fast
    assert len(tokenizer) == len(WORDS)
    assert tokenizer("a b c")["input_ids"] == [3, 4, 0]


def test_no_token_to_pad_with_and_no_tokenizer_are_told(save_tokenizer, tmp_path):
    with pytest.raises(UserError, match="neither a pad, an end-of-text nor an unknown token") as told:
        load_tokenizer(save_tokenizer("bare"), tmp_path)
    assert told.value.kind == "tokenizer"
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "tokenizer_config.json").write_text("{}")
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "llama"}')
    told = "^no tokenizer can be read from 'empty': its folder holds no tokenizer \\(tokenizer.json\\); copy"
    with pytest.raises(UserError, match=told):
        load_tokenizer("empty", tmp_path)


def test_a_chat_template_comes_from_a_file_or_a_tokenizer(save_tokenizer, tmp_path):
    (tmp_path / "own.jinja").write_text("\ufeff{{ messages }}", "utf-8")
    (tmp_path / "latin.jinja").write_text("é", "latin-1")
    save_tokenizer("with", template="{{ 1 }}", pad_token="<pad>")
    save_tokenizer("without", pad_token="<pad>")
    bare = load_tokenizer("without", tmp_path)
    assert chat_template_in_force(bare, None, tmp_path) is None
    assert chat_template_in_force(load_tokenizer("with", tmp_path), None, tmp_path) == "{{ 1 }}"
    assert chat_template_in_force(bare, "own.jinja", tmp_path) == "{{ messages }}"
    assert chat_template_in_force(bare, "with", tmp_path) == "{{ 1 }}"
    with pytest.raises(UserError, match="'without' has no chat template"):
        chat_template_in_force(bare, "without", tmp_path)
    with pytest.raises(UserError, match=r"no file .*other\.jinja"):
        chat_template_in_force(bare, "other.jinja", tmp_path)
    with pytest.raises(UserError, match=r"latin\.jinja is not UTF-8"):
        chat_template_in_force(bare, "latin.jinja", tmp_path)


def test_of_several_templates_the_default_is_in_force(save_tokenizer, tmp_path):
    several = {"default": "\ufeff{{ 1 }}", "tool_use": "{{ 2 }}"}
    save_tokenizer("several", template=several, pad_token="<pad>")
    save_tokenizer("named", template={"rag": "{{ 1 }}", "tool_use": "{{ 2 }}"}, pad_token="<pad>")
    bare = load_tokenizer(save_tokenizer("bare", pad_token="<pad>"), tmp_path)
    assert chat_template_in_force(load_tokenizer("several", tmp_path), None, tmp_path) == "{{ 1 }}"
    assert chat_template_in_force(bare, "several", tmp_path) == "{{ 1 }}"
    with pytest.raises(UserError, match=r"several chat templates \(rag, tool_use\) and none named default; set"):
        chat_template_in_force(load_tokenizer("named", tmp_path), None, tmp_path)


@pytest.mark.parametrize("written", ["{{ 1 }}", {"default": "{{ 1 }}", "tool_use": "{{ 2 }}"}])
def test_the_template_of_a_processor_is_the_tokenizer_s_where_that_has_none(save_tokenizer, tmp_path, written):
    save_tokenizer("with", template="{{ 3 }}", pad_token="<pad>")
    save_tokenizer("without", pad_token="<pad>")
    for name in ("with", "without"):
        (tmp_path / name / "chat_template.json").write_text(json.dumps({"chat_template": written}))
    assert chat_template_in_force(load_tokenizer("with", tmp_path), None, tmp_path) == "{{ 3 }}"
    assert chat_template_in_force(load_tokenizer("without", tmp_path), None, tmp_path) == "{{ 1 }}"
    (tmp_path / "without" / "chat_template.json").write_text("[]")
    with pytest.raises(UserError, match=r"chat_template\.json of 'without' is not"):
        load_tokenizer("without", tmp_path)


def test_thinking_is_off_where_the_template_knows_it():
    knows, other = "{% if enable_thinking is defined %}x{% endif %}", "{{ enable_thinking_mode }}"
    assert default_template_args(knows, {}) == {"enable_thinking": False}
    assert default_template_args(knows, {"enable_thinking": True, "x": 1}) == {"enable_thinking": True, "x": 1}
    assert default_template_args(other, {"x": 1}) == {"x": 1}


@pytest.mark.slow
def test_tokenizers_load_with_torch_blocked(save_tokenizer, tmp_path):
    save_tokenizer("tokenizer", template="{{ messages[0]['content'] }}", eos_token="<eos>")
    code = (
        "import sys; sys.modules['torch'] = None; from pathlib import Path;"
        "from sft.models.tokenizers import load_tokenizer;"
        f"t = load_tokenizer('tokenizer', Path({str(tmp_path)!r}));"
        "print(t.pad_token, t.apply_chat_template([{'role': 'user', 'content': 'a b'}], return_dict=False))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "<eos> [3, 4]\n"


def test_a_hub_name_that_is_not_cached_is_a_machine_error_offline(monkeypatch):
    import huggingface_hub

    from sft.exceptions import MachineError

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(MachineError, match='model "org/nam" not found locally') as told:
        load_tokenizer("org/nam", Path())
    assert told.value.kind == "network"
