"""What lies in an exported folder, and that it reads as what was written."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from sft.config.training import SaveMethod
from sft.deployment.exporting.forms import FORMS, read_form, write_form
from sft.exceptions import StageFailure
from sft.models.answering.heads import describe_head
from sft.models.objective import Output
from sft.objectives.sequence_head import OBJECTIVE as SEQUENCE_HEAD
from tests.support.tiny_models import llama_head

SETTINGS = {"config.json", "generation_config.json"}
FILES = {
    "merged": {"model.safetensors"},
    "safetensors": {"model.safetensors"},
    "state_dict": {"pytorch_model.bin"},
    "full_model": {"model.pt"},
}


def test_every_form_but_the_adapter_is_known() -> None:
    assert {"adapter", *FORMS} == set(get_args(SaveMethod))


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("kind", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
def test_what_is_written_reads_as_the_same_model(
    make_model: Callable[[str], Any], tmp_path: Path, kind: str, form: SaveMethod
) -> None:
    from transformers import AutoModelForCausalLM

    model = make_model(kind)
    folder = tmp_path / "deep" / "export"
    write_form(model, form, folder)
    assert {path.name for path in folder.iterdir()} == SETTINGS | FILES[form]
    again = read_form(AutoModelForCausalLM, form, folder, {"dtype": "auto"})
    assert type(again) is type(model)
    assert again.dtype == model.dtype
    own, read = model.state_dict(), again.state_dict()
    assert own.keys() == read.keys()
    assert all(torch.equal(own[name], read[name]) for name in own)


def test_a_model_that_is_larger_than_a_shard_stays_in_one_file_as_safetensors(
    make_model: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model("fp32")
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(type(model), "save_pretrained", lambda self, folder, **args: written.append(args))
    write_form(model, "safetensors", tmp_path / "one")
    assert written[0]["max_shard_size"] > 1 << 50


@pytest.mark.parametrize("output", ["label_scores", "label_sets"])
def test_a_pipeline_answers_as_a_head_was_measured(tmp_path: Path, output: Output) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, pipeline

    words = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1, "good": 5, "bad": 9}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>")
    model = llama_head()
    model.config.pad_token_id, model.config.id2label = None, dict(enumerate("cab"))
    describe_head(model, tokenizer, SEQUENCE_HEAD.answers[output].problem_type)
    write_form(model, "merged", tmp_path / "export")
    answers = pipeline("text-classification", str(tmp_path / "export"), tokenizer=tokenizer, top_k=None, batch_size=2)
    texts = ["good", "bad good bad"]
    for text, found in zip(texts, answers(texts), strict=True):
        logits = model(input_ids=torch.tensor([tokenizer(text)["input_ids"]])).logits[0]
        wanted = logits.softmax(-1) if output == "label_scores" else logits.sigmoid()
        told = {one["label"]: one["score"] for one in found}
        assert told == pytest.approx(dict(zip("cab", wanted.tolist(), strict=True)), abs=1e-5)


def test_without_room_nothing_is_written(
    make_model: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 5, 5))
    with pytest.raises(StageFailure, match=r"takes 67.\d MB, and 5 bytes are free.*take the form 'adapter'") as told:
        write_form(make_model("fp32"), "merged", tmp_path / "export")
    assert told.value.kind == "disk_full"
    assert list(tmp_path.iterdir()) == []
