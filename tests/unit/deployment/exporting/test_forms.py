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


def test_without_room_nothing_is_written(
    make_model: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 5, 5))
    with pytest.raises(StageFailure, match=r"takes 67.\d MB, and 5 bytes are free.*take the form 'adapter'") as told:
        write_form(make_model("fp32"), "merged", tmp_path / "export")
    assert told.value.kind == "disk_full"
    assert list(tmp_path.iterdir()) == []
