"""Checkpoints that a user asked to keep: each an adapter's folder of its own."""

from types import SimpleNamespace

import torch
from peft import PeftModel
from safetensors.torch import load_file

from sft.adapters.parameters import trained_tensors
from sft.runs.files import JobFolder
from sft.training import stage
from sft.training.checkpoints import TENSORS, CheckpointFolder


def test_each_kept_checkpoint_is_a_folder_that_peft_loads(base, adapted, rows, train, tmp_path):
    model, prompt = adapted(base), torch.tensor([[1, 2, 3]])
    train(model, rows, {"max_steps": 3, "save_strategy": "steps", "save_steps": 1, "learning_rate": 0.1})
    with torch.no_grad():
        last = model(prompt).logits
    checkpoints, job = CheckpointFolder(tmp_path / "work"), JobFolder(tmp_path / "job")
    settings = SimpleNamespace(checkpoints=checkpoints, own_tensors=trained_tensors)
    config, objective = SimpleNamespace(adapter_method="lora"), SimpleNamespace(has_head=False)
    material = SimpleNamespace(trainer_args={"save_strategy": "steps"}, config=config, objective=objective)
    checkpoints.at(1).mkdir()  # half written, and passed over
    assert stage._keep_checkpoints(job, material, model, settings)
    assert sorted(path.name for path in job.kept.iterdir()) == ["checkpoint-2", "checkpoint-3"]
    trained = load_file(checkpoints.at(2) / TENSORS)
    kept = load_file(job.kept / "checkpoint-2" / "adapter_model.safetensors")
    assert sorted(map(float, map(torch.sum, kept.values()))) == sorted(map(float, map(torch.sum, trained.values())))
    loaded = PeftModel.from_pretrained(model.unload(), str(job.kept / "checkpoint-3")).eval()
    with torch.no_grad():
        assert torch.allclose(loaded(prompt).logits, last, atol=1e-5)


def test_without_a_saving_strategy_nothing_is_kept(tmp_path):
    material = SimpleNamespace(trainer_args={"save_strategy": "no"})
    settings = SimpleNamespace(checkpoints=CheckpointFolder(tmp_path))
    assert not stage._keep_checkpoints(JobFolder(tmp_path / "job"), material, None, settings)
    assert not (tmp_path / "job").exists()
