"""A training in pieces ends as one in one piece: the same adapter byte for byte, the same curves."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from trl import SFTTrainer

from sft.adapters.attach import attach_adapter, continue_adapter, restore_adapter
from sft.adapters.method import adapter_method
from sft.adapters.saving import save_adapter
from sft.exceptions import StageFailure
from sft.processes.signals import StopRequested
from sft.prompts.train_row import IGNORED, TrainRow
from sft.runs.progress import Progress
from sft.training import checked_trainer, step_meter
from sft.training.checked_trainer import CheckedTrainer
from sft.training.checkpoints import CheckpointFolder
from sft.training.objectives.answer_loss import AnswerLoss
from sft.training.options import effective_trainer_args
from sft.training.trainer import TrainerSettings, TrainingRecord, train_model

ARGS = {"num_train_epochs": 2, "per_device_train_batch_size": 5, "learning_rate": 1e-3}
"""Of 12 rows: 3 steps an epoch."""

LORA = {"r": 4, "lora_dropout": 0.2}
BEST = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True, "learning_rate": 0.03}


class Trainings:
    """Trains on rows as the stage does, in one piece or in several."""

    def __init__(self, tokenizer: Any, rows: list[TrainRow], folder: Path, stop: SimpleNamespace) -> None:
        self.checkpoints = CheckpointFolder(folder / "checkpoints")
        self._tokenizer = tokenizer
        self._rows = rows
        self._folder = folder
        self._stop = stop
        self.own_loss: Any = None

    def piece(self, make: Callable[[], Any], options: Any, args: Any, stop_at: int | None, start: Any = None) -> Any:
        """One process's share: from the newest checkpoint to the end, or until it is asked to stop during a step."""
        torch.manual_seed(stop_at or 99)
        resumed = self.checkpoints.newest()
        if start is not None:
            model = continue_adapter(make(), "lora", options, start)
        elif resumed is None:
            model = attach_adapter(make(), "lora", options, Path(), 7, self._rows)
        else:
            model = restore_adapter(make(), "lora", options, self.checkpoints.start)
        settings = TrainerSettings(
            effective_trainer_args(args, "lora"),
            13,
            self.checkpoints,
            lambda place: adapter_method("lora").save_start(model, options, place),
            adapter_method("lora").own_tensors,
            resumed,
            own_loss=self.own_loss,
        )
        self._stop.at, self._stop.requested = stop_at, False
        progress = Progress(self._folder / "progress.json", "train")
        record = train_model(model, self._tokenizer, self._rows, self._rows[:3], settings, progress)
        return model, record

    def outcome(self, make: Any, options: Any, args: Any, stops: tuple[int, ...] = (), start: Any = None) -> Any:
        """The files of the adapter and the record of a training that was stopped in these steps."""
        for step in stops:
            with pytest.raises(StopRequested):
                self.piece(make, options, args, step, start)
            assert self.checkpoints.at(step).is_dir()
        model, record = self.piece(make, options, args, None, start)
        assert record.n_resumed_from == (stops[-1] if stops else None)
        self.checkpoints.remove()
        save_adapter(model, "lora", self._folder / "adapter")
        return {path.name: path.read_bytes() for path in (self._folder / "adapter").iterdir()}, record

    def check(self, make: Any, options: Any, args: Any, *stops: tuple[int, ...], start: Any = None) -> TrainingRecord:
        """Asserts that a training stopped in these steps, one after the other, ends as the whole, for each of them."""
        whole, record = self.outcome(make, options, args, start=start)
        for steps in stops:
            pieced, pieced_record = self.outcome(make, options, args, steps, start)
            assert pieced == whole, steps
            assert pieced_record.loss_curve == record.loss_curve
            assert pieced_record.eval_curve == record.eval_curve
            logged = [point.step for point in pieced_record.loss_curve]
            assert [point.step for point in pieced_record.cost_curve] == logged, "points of earlier pieces are kept"
            assert (pieced_record.n_steps, pieced_record.best_step) == (record.n_steps, record.best_step)
        return record


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Asks for a stop while a step is taken."""
    wish = SimpleNamespace(at=None, requested=False)
    step = CheckedTrainer.training_step

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        wish.requested |= self.state.global_step + 1 == wish.at
        return step(self, *args, **kwargs)

    monkeypatch.setattr(CheckedTrainer, "training_step", watched)
    monkeypatch.setattr(checked_trainer, "stop_requested", lambda: wish.requested)
    return wish


@pytest.fixture
def trainings(tokenizer: Any, rows: list[TrainRow], tmp_path: Path, stop: SimpleNamespace) -> Trainings:
    return Trainings(tokenizer, rows, tmp_path, stop)


@pytest.mark.parametrize(
    ("options", "stops"),
    [
        ({}, (2, 4)),
        ({"init_lora_weights": "corda"}, (3,)),
        pytest.param({"init_lora_weights": "pissa"}, (2,), marks=pytest.mark.slow),
        pytest.param({"init_lora_weights": "pca", "use_dora": True}, (1, 5), marks=pytest.mark.slow),
        pytest.param({"init_lora_weights": "pissa", "use_dora": True}, (4,), marks=pytest.mark.slow),
        pytest.param({"init_lora_weights": "pissa_simplified"}, (4,), marks=pytest.mark.slow),
        pytest.param({"init_lora_weights": "milora"}, (2,), marks=pytest.mark.slow),
        pytest.param({"init_lora_weights": "pissa", "bias": "all"}, (4,), marks=pytest.mark.slow),
        pytest.param({"modules_to_save": ["lm_head"]}, (4,), marks=pytest.mark.slow),
        pytest.param({"trainable_token_indices": [3, 4]}, (4,), marks=pytest.mark.slow),
        *(
            pytest.param({"init_lora_weights": name}, (2, 4), marks=pytest.mark.slow)
            for name in ("peft:pissa", "pissa_niter_4", "olora", "lora_ga", "orthogonal", "mica", "gaussian")
        ),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")
def test_every_start_is_taken_up_to_the_last_bit(trainings, make_model, options, stops):
    trainings.check(lambda: make_model("fp32"), {**LORA, **options}, ARGS, stops)


@pytest.mark.parametrize(
    ("kind", "init"),
    [
        *(("bf16", name) for name in (True, "pissa", "pca", "peft:pissa", "olora")),
        *(("nf4", name) for name in (True, "pissa")),
        *(("gpt2", name) for name in ("pissa", "peft:pissa")),
    ],
)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_kind_of_base_is_taken_up_to_the_last_bit(trainings, make_model, kind, init):
    trainings.check(lambda: make_model(kind), {**LORA, "init_lora_weights": init}, ARGS, (4,))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_continued_adapter_is_taken_up_to_the_last_bit(trainings, make_model, tmp_path):
    trained = attach_adapter(make_model("fp32"), "lora", {"r": 2, "init_lora_weights": "pissa"}, Path(), 1)
    save_adapter(trained, "lora", tmp_path / "earlier")
    options = {**LORA, "lora_alpha": 16}
    trainings.check(lambda: make_model("fp32"), options, ARGS, (2, 4), start=tmp_path / "earlier")


@pytest.mark.filterwarnings("ignore")
def test_a_training_on_all_labels_is_taken_up_to_the_last_bit(trainings, make_model, rows):
    answers = [tuple(label for label in row.labels if label != IGNORED) for row in rows]
    trainings.own_loss = lambda model: AnswerLoss(model, answers, rows)
    record = trainings.check(lambda: make_model("fp32"), LORA, {**ARGS, "eval_strategy": "epoch"}, (2, 4))
    assert record.loss_curve[-1].loss < record.loss_curve[0].loss


def test_the_best_step_survives_a_stop_at_and_after_the_end_of_an_epoch(trainings, make_model):
    record = trainings.check(lambda: make_model("fp32"), LORA, {**ARGS, **BEST}, (3,), (4,))
    assert [point.step for point in record.eval_curve] == [3, 6]


@pytest.mark.slow
@pytest.mark.parametrize(
    "args",
    [
        {"logging_steps": 4},
        {"logging_strategy": "epoch", "save_strategy": "steps", "save_steps": 1},
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3, "num_train_epochs": 3},
        {**BEST, "eval_strategy": "steps", "eval_steps": 2, "save_strategy": "best", "eval_on_start": True},
        {"packing": True, "max_length": 24, "per_device_train_batch_size": 1},
        {"gradient_checkpointing": True, "neftune_noise_alpha": 5.0},
        {"optim": "paged_adamw_32bit", "lr_scheduler_type": "cosine"},
        {"optim": "adafactor", "lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "steps", "eval_steps": 1},
    ],
    ids=str,
)
def test_every_way_to_train_is_taken_up_to_the_last_bit(trainings, make_model, args):
    trainings.check(lambda: make_model("fp32"), LORA, {**ARGS, **args}, (1,), (2, 3), (5,))


def test_a_killed_training_goes_on_from_its_newest_checkpoint(trainings, make_model, monkeypatch):
    args = {**ARGS, "save_strategy": "steps", "save_steps": 2, "logging_steps": 3}
    whole, record = trainings.outcome(lambda: make_model("fp32"), LORA, args)
    step = CheckedTrainer.training_step

    def killed(self, *arguments, **named):
        if self.state.global_step == 5:
            raise KeyboardInterrupt
        return step(self, *arguments, **named)

    monkeypatch.setattr(CheckedTrainer, "training_step", killed)
    with pytest.raises(KeyboardInterrupt):
        trainings.piece(lambda: make_model("fp32"), LORA, args, None)
    monkeypatch.setattr(CheckedTrainer, "training_step", step)
    (trainings.checkpoints.at(4) / "optimizer.pt").write_bytes(b"half")
    model, resumed = trainings.piece(lambda: make_model("fp32"), LORA, args, None)
    assert resumed.n_resumed_from == 2
    assert (resumed.loss_curve, resumed.n_steps) == (record.loss_curve, record.n_steps)
    save_adapter(model, "lora", trainings.checkpoints.path.parent / "adapter")
    weights = (trainings.checkpoints.path.parent / "adapter" / "adapter_model.safetensors").read_bytes()
    assert weights == whole["adapter_model.safetensors"]


def test_a_point_counts_the_steps_of_both_pieces(trainings, make_model, rows, monkeypatch):
    clock, step = SimpleNamespace(now=0.0), SFTTrainer.training_step

    def taking_2_seconds(self, *arguments, **named):
        clock.now += 2.0
        return step(self, *arguments, **named)

    monkeypatch.setattr(step_meter, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(SFTTrainer, "training_step", taking_2_seconds)
    _, record = trainings.outcome(lambda: make_model("fp32"), LORA, {**ARGS, "logging_steps": 3}, (2,))
    tokens = sum(len(row.input_ids) for row in rows)
    assert [point.tokens_per_second for point in record.cost_curve] == pytest.approx([tokens / 6.0, tokens / 6.0])


def test_the_last_checkpoint_stays_until_the_next_one_counts(trainings, make_model, monkeypatch):
    args = {**ARGS, "save_strategy": "steps", "save_steps": 2, "save_total_limit": 1}
    write = checked_trainer.write_piece

    def full(folder: Path, piece: Any) -> None:
        if folder.name == "checkpoint-4":
            raise OSError(28, "No space left on device")
        write(folder, piece)

    monkeypatch.setattr(checked_trainer, "write_piece", full)
    with pytest.raises(OSError, match="No space left"):
        trainings.piece(lambda: make_model("fp32"), LORA, args, None)
    found = trainings.checkpoints.newest()
    assert found is not None
    assert found.step == 2


def test_a_training_without_a_wish_to_save_writes_nothing(trainings, make_model):
    trainings.piece(lambda: make_model("fp32"), {**LORA, "init_lora_weights": "pissa"}, ARGS, None)
    assert list(trainings.checkpoints.path.rglob("*")) == []


def test_asked_to_stop_in_its_last_step_it_just_finishes(trainings, make_model):
    _, record = trainings.piece(lambda: make_model("fp32"), LORA, ARGS, 6)
    assert record.n_steps == 6
    assert list(trainings.checkpoints.path.iterdir()) == []


def test_a_checkpoint_holds_tensors_and_numbers_only(trainings, make_model, monkeypatch):
    with pytest.raises(StopRequested):
        trainings.piece(lambda: make_model("fp32"), {**LORA, "init_lora_weights": "pissa"}, ARGS, 2)
    place = trainings.checkpoints.at(2)
    assert {path.name for path in place.iterdir()} == {
        *("adapter.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"),
        *("trainer_state.json", "piece.json", "manifest.json"),
    }
    assert {path.name for path in trainings.checkpoints.start.iterdir()} == {"factors.safetensors", "manifest.json"}
    load, calls = torch.load, []
    monkeypatch.setattr(torch, "load", lambda *a, **k: (calls.append(k.get("weights_only")), load(*a, **k))[1])
    trainings.piece(lambda: make_model("fp32"), {**LORA, "init_lora_weights": "pissa"}, ARGS, None)
    assert calls == [True] * 3


def test_seconds_are_those_of_all_pieces(trainings, make_model):
    with pytest.raises(StopRequested):
        trainings.piece(lambda: make_model("fp32"), LORA, ARGS, 2)
    piece = trainings.checkpoints.at(2) / "piece.json"
    earlier = json.loads(piece.read_text())
    assert 0 < earlier["seconds"] < earlier["stage_seconds"]
    earlier["seconds"] = 1000.0
    piece.write_text(json.dumps(earlier))
    (trainings.checkpoints.at(2) / "manifest.json").unlink()
    trainings.checkpoints.complete(trainings.checkpoints.at(2))
    assert trainings.piece(lambda: make_model("fp32"), LORA, ARGS, None)[1].seconds > 1000


def test_a_checkpoint_of_another_model_is_an_error(trainings, make_model):
    with pytest.raises(StopRequested):
        trainings.piece(lambda: make_model("fp32"), LORA, ARGS, 2)
    with pytest.raises(StageFailure, match="do not fit the model") as raised:
        trainings.piece(lambda: make_model("fp32"), {**LORA, "r": 3}, ARGS, None)
    assert raised.value.kind == "checkpoint"


@pytest.mark.slow
def test_a_smaller_micro_batch_goes_on_from_a_checkpoint_of_a_larger_one(trainings, make_model):
    options = {"r": 4}
    wide = {**ARGS, "per_device_train_batch_size": 4, "save_strategy": "steps", "save_steps": 1}
    narrow = {**wide, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    whole = trainings.piece(lambda: make_model("fp32"), options, wide, None)[0].state_dict()
    trainings.checkpoints.remove()
    with pytest.raises(StopRequested):
        trainings.piece(lambda: make_model("fp32"), options, wide, 4)
    model, record = trainings.piece(lambda: make_model("fp32"), options, narrow, None)
    assert (record.n_resumed_from, record.n_steps, record.effective_batch_size) == (4, 6, 4)
    state = model.state_dict()
    assert all(torch.allclose(state[name], whole[name], atol=1e-5) for name in whole)


@pytest.mark.parametrize("place", ["optimizer", "safetensors"])
def test_a_disk_that_is_full_is_told_as_such(trainings, make_model, monkeypatch, place):
    """`torch.save` raises a bare RuntimeError when a write fails."""
    text = "[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"

    def fails(*args: Any) -> None:
        raise RuntimeError(text if place == "optimizer" else "another reason")

    monkeypatch.setattr(CheckedTrainer, "_save_optimizer_and_scheduler", fails)
    expected = (OSError, "No space left") if place == "optimizer" else (RuntimeError, "another reason")
    with pytest.raises(expected[0], match=expected[1]):
        trainings.piece(lambda: make_model("fp32"), LORA, ARGS, 2)
    assert trainings.checkpoints.newest() is None
