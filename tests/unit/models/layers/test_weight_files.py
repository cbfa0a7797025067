"""A tensor of a model's files, by the first of its names, from a folder or from the cache of the hub."""

import json

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from sft.models.layers.weight_files import WeightFiles, note_weight_files, weight_files_of
from sft.models.loading import ModelSource, load_model
from sft.objectives import objective_named
from tests.support.tiny_models import llama

COMMIT = "0" * 39 + "1"


@pytest.fixture(params=["folder", "hub"])
def place(request, tmp_path, monkeypatch):
    """A folder for files, and how they are found there."""
    if request.param == "folder":
        return tmp_path, WeightFiles(str(tmp_path), None)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--org--name" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    return folder, WeightFiles("org/name", COMMIT)


def test_the_first_name_that_a_file_holds_counts(place):
    folder, files = place
    save_file({"b": torch.ones(2), "c": torch.zeros(2)}, folder / "model.safetensors")
    assert torch.equal(files.tensor(["a", "b", "c"]), torch.ones(2))
    assert files.tensor(["a"]) is None


def test_an_index_says_which_of_several_files(place):
    folder, files = place
    save_file({"a": torch.ones(2)}, folder / "one.safetensors")
    save_file({"b": torch.zeros(2)}, folder / "two.safetensors")
    places = {"a": "one.safetensors", "b": "two.safetensors", "gone": "three.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert torch.equal(files.tensor(["x", "b"]), torch.zeros(2))
    assert files.tensor(["gone"]) is None


def test_where_there_are_no_files_there_is_no_tensor(place):
    assert place[1].tensor(["a"]) is None


def test_what_was_noted_at_loading_counts_before_the_name(tmp_path):
    model = llama()
    assert weight_files_of(model) is None
    model.name_or_path = str(tmp_path)
    assert weight_files_of(model) == WeightFiles(str(tmp_path), None)
    note_weight_files(model, WeightFiles("org/name", COMMIT))
    assert weight_files_of(model) == WeightFiles("org/name", COMMIT)


def test_a_model_knows_where_it_was_loaded_from(tmp_path):
    llama().save_pretrained(tmp_path)
    model = load_model(ModelSource(str(tmp_path), tmp_path, COMMIT), objective_named("causal_lm"))
    assert weight_files_of(model) == WeightFiles(str(tmp_path), COMMIT)
