"""AdaLoRA is trained as PEFT's own loop trains it: the same penalty, and ranks that go down to those asked for."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.method import TASK_TYPE, adapter_method
from sft.adapters.saving import save_adapter
from sft.exceptions import UserError
from sft.objectives.seq2seq import OBJECTIVE as SEQ2SEQ
from sft.runs.progress import Progress
from sft.training.checkpoints import CheckpointFolder
from sft.training.options import effective_trainer_args
from sft.training.rank_allocation import penalty
from sft.training.trainer import TrainerSettings, train_model
from tests.support.taken_ranks import watched_ranks
from tests.support.tiny_models import MAKERS, unpacked
from tests.support.tiny_training import tiny_rows, tiny_source_rows, tiny_tokenizer

IDS = torch.arange(2, 22).reshape(2, 10)


def attached(**options: Any) -> Any:
    return attach_adapter(MAKERS["fp32"](), "adalora", {TASK_TYPE: "CAUSAL_LM", **options}, Path(), 7)


def trained(folder: Path, **options: Any) -> Any:
    model = attached(**options)
    args = effective_trainer_args({"max_steps": 6, "per_device_train_batch_size": 4}, "adalora")
    own = adapter_method("adalora").own_tensors
    settings = TrainerSettings(args, 13, CheckpointFolder(folder / "work"), own_tensors=own)
    train_model(model, tiny_tokenizer(), tiny_rows(), None, settings, Progress(folder / "progress.json", "train"))
    return model


def gradients(model: Any, loss: Any) -> dict[str, torch.Tensor]:
    loss.backward()
    found = {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if ".lora_" in name and weight.requires_grad
    }
    model.zero_grad()
    return found


def test_the_penalty_is_that_of_peft_s_own_forward_pass() -> None:
    model = attached(orth_reg_weight=0.7)
    own = gradients(model, model(input_ids=IDS, labels=IDS).loss)
    plain = model.base_model.model(input_ids=IDS, labels=IDS).loss
    ours = gradients(model, plain + penalty(model))
    assert float(penalty(model)) == 0.0
    assert own.keys() == ours.keys()
    assert all(torch.allclose(own[name], ours[name], atol=1e-7) for name in own)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_ranks_go_down_to_what_is_asked_for(tmp_path: Path) -> None:
    model = trained(tmp_path, init_r=6, target_r=2)
    kept = [
        int((weight.abs().sum(dim=1) > 0).sum()) for name, weight in model.named_parameters() if ".lora_E." in name
    ]
    assert sum(kept) == 2 * len(kept)
    assert len(set(kept)) > 1
    save_adapter(model, "adalora", tmp_path / "adapter")


@pytest.mark.filterwarnings("ignore")
def test_a_training_too_short_to_find_ranks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tinit 4 and tfinal 2 leave none of the 6 steps"):
        trained(tmp_path, tinit=4, tfinal=2)


def losing(base: Any, folder: Path) -> tuple[dict[str, torch.Tensor], dict[int, set[str]]]:
    """What six steps make of the factors on an encoder-decoder, and which layers lost all ranks, by step."""
    model = attach_adapter(base, "adalora", {TASK_TYPE: SEQ2SEQ.peft_task_type}, Path(), 7)
    asked = {"max_steps": 6, "per_device_train_batch_size": 4, "learning_rate": 0.1}
    settings = TrainerSettings(
        effective_trainer_args(asked, "adalora"),
        13,
        CheckpointFolder(folder / "work"),
        own_tensors=adapter_method("adalora").own_tensors,
    )
    with watched_ranks() as taken:
        progress = Progress(folder / "progress.json", "train")
        train_model(model, tiny_tokenizer(), tiny_source_rows(), None, settings, progress)
    return {name: weight.detach() for name, weight in model.named_parameters() if ".lora_" in name}, taken


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_layer_that_loses_all_ranks_is_trained_as_on_the_same_weights_unpacked(tmp_path: Path) -> None:
    """All layers share the budget: one that counts least ends where it began, moved by each step nevertheless."""
    pytest.importorskip("bitsandbytes")
    kind = "bart_source_nf4"
    found, taken = losing(MAKERS[kind](), tmp_path / "packed")
    expected, taken_of_plain = losing(unpacked(MAKERS[kind](), MAKERS["bart_source"]), tmp_path / "plain")
    assert taken == taken_of_plain
    assert len(taken) == 6
    assert taken[6]
    assert {name for name, weight in found.items() if not weight.any()} == taken[6]
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-5) for name in found)
