"""A signal to every process of a group reaches the workers of a data loader too."""

import os
import signal
from pathlib import Path

import pytest

from sft.training.checkpoints import CheckpointFolder
from sft.training.options import effective_trainer_args
from sft.training.trainer import TrainerSettings, _build_trainer


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "eval"])
def test_workers_of_a_loader_outlive_a_signal_to_the_group(base, adapted, rows, tokenizer, tmp_path: Path, split: str):
    written = {"dataloader_num_workers": 1, "per_device_train_batch_size": 2, "per_device_eval_batch_size": 2}
    settings = TrainerSettings(effective_trainer_args(written, "lora"), 13, CheckpointFolder(tmp_path / "work"))
    trainer = _build_trainer(adapted(base), tokenizer, rows, rows, settings)
    loader = trainer.get_train_dataloader() if split == "train" else trainer.get_eval_dataloader()
    batches = iter(loader.base_dataloader)
    next(batches)
    for worker in batches._workers:
        os.kill(worker.pid, signal.SIGTERM)
        os.kill(worker.pid, signal.SIGINT)
    assert len(list(batches)) == 5
