"""Each way in which training goes wrong without an error, closed by a test."""

import copy
import json
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from torch.nn.functional import cross_entropy

from sft.exceptions import DataError, StageFailure
from sft.prompts.train_row import IGNORED, TrainRow
from sft.training import callbacks
from sft.training.checkpoints import CheckpointFolder

ONE_STEP = {"max_steps": 1, "per_device_train_batch_size": 12}


def trainable(model):
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def copies(model):
    return {name: parameter.detach().clone() for name, parameter in trainable(model).items()}


def summed_loss(model, rows):
    """Cross-entropy of each labelled token given all before it, row by row and without padding; sum and count."""
    total, count = 0.0, 0
    for row in rows:
        with torch.no_grad():
            logits = model(torch.tensor([row.input_ids])).logits[0]
        for position in range(1, len(row.input_ids)):
            if row.labels[position] != IGNORED:
                total += cross_entropy(logits[position - 1], torch.tensor(row.labels[position])).item()
                count += 1
    return total, count


def test_the_loss_is_the_shifted_cross_entropy_of_the_completion(base, adapted, rows, train):
    model = adapted(base)
    total, count = summed_loss(model.eval(), rows)
    record = train(model, rows, ONE_STEP)
    assert count == 3 * len(rows), "answer and both stop tokens of every row"
    assert record.loss_curve[0].loss == pytest.approx(total / count, abs=1e-5)


def test_the_loss_over_accumulated_batches_is_the_mean_per_token(base, adapted, rows, train):
    uneven = [*rows[:5], TrainRow((1, 2, 3, 4, 5, 6, 7, EOS := 61), (IGNORED, 2, 3, 4, 5, 6, 7, EOS))]
    model = adapted(base)
    total, count = summed_loss(model.eval(), uneven)
    args = {"max_steps": 1, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 3}
    record = train(model, uneven, args)
    assert record.loss_curve[0].loss == pytest.approx(total / count, abs=1e-5)
    assert record.effective_batch_size == 6


def test_only_completion_tokens_get_a_gradient_at_the_output(base, rows, train):
    """With nothing but the output layer's bias trained, its gradient is softmax minus one-hot of trained tokens."""
    base.requires_grad_(False)
    base.lm_head.bias = torch.nn.Parameter(torch.zeros(64))
    row = rows[0]
    with torch.no_grad():
        probabilities = base(torch.tensor([row.input_ids])).logits[0].softmax(-1)
    trained = [position for position, label in enumerate(row.labels) if label != IGNORED]
    expected = sum(probabilities[position - 1] - torch.eye(64)[row.input_ids[position]] for position in trained) / len(
        trained
    )
    record = train(base, [row], {"max_steps": 1, "learning_rate": 1.0, "optim": "sgd", "max_grad_norm": 100.0})
    assert torch.allclose(base.lm_head.bias, -expected, atol=1e-5)
    assert record.loss_curve[0].grad_norm == pytest.approx(expected.norm().item(), abs=1e-5)


@pytest.fixture
def seen(monkeypatch):
    """Collects the unpadded ids of every row that a training step gets."""
    from sft.training import trainer

    collected = []
    step = trainer.CheckedTrainer.training_step

    def watched(self, model, inputs, *args, **kwargs):
        for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True):
            collected.append(tuple(ids[mask.bool()].tolist()))
        return step(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(trainer.CheckedTrainer, "training_step", watched)
    return collected


def test_every_row_is_seen_in_every_epoch(base, adapted, rows, train, seen):
    record = train(adapted(base), rows, {"num_train_epochs": 2, "per_device_train_batch_size": 5, "max_length": 64})
    assert sorted(seen[:12]) == sorted(row.input_ids for row in rows)
    assert sorted(seen[12:]) == sorted(row.input_ids for row in rows)
    assert seen[:12] != seen[12:], "shuffled anew"
    assert (record.n_rows, record.n_steps, record.n_trained_tokens) == (12, 6, 36)


def test_the_seed_orders_the_rows(base, adapted, rows, train, seen):
    model = adapted(base)
    for seed in (13, 13, 14):
        train(model, rows, ONE_STEP, seed=seed)
    first, second, other = seen[:12], seen[12:24], seen[24:]
    assert first == second
    assert first != other


def test_max_length_refuses_a_long_row_and_drops_none(base, adapted, rows, train):
    with pytest.raises(DataError, match=r"more than 8 tokens \(max_length\) in training rows 3, 7, 11 of 12"):
        train(adapted(base), rows, {**ONE_STEP, "max_length": 8})


def test_a_row_without_trainable_token_is_refused_by_number(base, adapted, rows, train):
    empty = TrainRow((1, 2, 3), (IGNORED,) * 3)
    first_only = TrainRow((1, 2), (1, IGNORED))
    with pytest.raises(DataError, match=r"no trainable token in training rows 1, 3 of 4 \(counted from 0\)"):
        train(adapted(base), [rows[0], empty, rows[1], first_only], ONE_STEP)


def test_every_trainable_tensor_moves(base, adapted, rows, train):
    model = adapted(base)
    before = copies(model)
    train(model, rows, {"max_steps": 3})
    unmoved = [name for name, parameter in trainable(model).items() if torch.equal(parameter, before[name])]
    assert len(before) == 28
    assert unmoved == []


def test_equal_seeds_give_equal_bytes_and_another_seed_does_not(base, adapted, rows, train):
    runs = []
    for seed in (13, 13, 14):
        model = adapted(copy.deepcopy(base), dropout=0.1)
        record = train(model, rows, {"max_steps": 4, "per_device_train_batch_size": 5}, seed=seed)
        weights = b"".join(parameter.detach().numpy().tobytes() for parameter in trainable(model).values())
        runs.append((weights, [point.loss for point in record.loss_curve]))
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[2][0]


def test_a_seed_beyond_32_bits_is_taken(base, adapted, rows, train):
    assert train(adapted(base), rows, ONE_STEP, seed=2**53 - 1).n_steps == 1


def test_nothing_of_the_model_but_the_adapter_changes(base, adapted, rows, train, tokenizer):
    base.generation_config.eos_token_id = [7, 8]
    base.config.eos_token_id = 7
    model = adapted(base)
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    settings = copy.deepcopy((model.config.to_dict(), model.generation_config.to_dict()))
    train(model, rows, ONE_STEP)
    assert (model.config.to_dict(), model.generation_config.to_dict()) == settings
    assert all(torch.equal(parameter, frozen[name]) for name, parameter in model.named_parameters() if name in frozen)
    assert not model.training
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<pad>", "<eos>")


def test_nothing_is_printed(base, adapted, rows, train, capfd, caplog):
    args = {"max_steps": 2, "packing": True, "max_length": 32, "eval_strategy": "steps"}
    train(adapted(base), rows, args, dev_rows=rows[:3])
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


def test_what_depends_on_the_machine(tmp_path: Path):
    from sft.training import trainer
    from sft.training.options import effective_trainer_args

    def built(written):
        settings = trainer.TrainerSettings(effective_trainer_args(written, "lora"), 13, CheckpointFolder(tmp_path))
        return trainer._sft_config(settings)

    cuda = torch.cuda.is_available()
    plain = built({"max_length": 9, "output_dir": "elsewhere"})
    assert (plain.bf16, plain.use_cpu) == (cuda, not cuda)
    assert (plain.activation_checkpointing, plain.report_to, plain.max_length) == (False, [], None)
    assert Path(plain.output_dir) == tmp_path
    assert built({"gradient_checkpointing": True}).activation_checkpointing is True
    assert built({"bf16": True}).bf16 is True
    assert built({"packing": True, "max_length": 9}).max_length == 9


@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_batch_is_as_large_as_written_however_many_gpus_are_seen(tmp_path: Path, monkeypatch, count: int):
    from sft.training import trainer
    from sft.training.options import effective_trainer_args

    for name, value in (("is_available", True), ("is_bf16_supported", True), ("device_count", count)):
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    written = effective_trainer_args({"per_device_train_batch_size": 3, "per_device_eval_batch_size": 5}, "lora")
    args = trainer._sft_config(trainer.TrainerSettings(written, 13, CheckpointFolder(tmp_path)))
    assert (args.n_gpu, args.train_batch_size, args.eval_batch_size, args.use_cpu) == (1, 3, 5, False)
    AcceleratorState._reset_state(reset_partial_state=True)


def test_the_record_and_the_heartbeat(base, adapted, rows, train, tmp_path: Path):
    args = {"num_train_epochs": 2, "per_device_train_batch_size": 6, "learning_rate": 1e-3, "eval_strategy": "epoch"}
    record = train(adapted(base), rows, args, dev_rows=rows[:5])
    assert [point.step for point in record.loss_curve] == [1, 2, 3, 4]
    assert [point.learning_rate for point in record.loss_curve] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])
    assert [(point.step, point.epoch) for point in record.eval_curve] == [(2, 1.0), (4, 2.0)]
    assert all(point.grad_norm > 0 for point in record.loss_curve)
    assert json.loads(json.dumps(record.as_dict()))["loss_curve"][0]["loss"] == record.loss_curve[0].loss
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert (progress["step"], progress["total"], progress["loss"]) == (4, 4, record.loss_curve[-1].loss)


def test_the_dev_loss_is_that_of_the_dev_rows(base, adapted, rows, train):
    model = adapted(base)
    record = train(model, rows[:6], {"max_steps": 1, "eval_strategy": "epoch"}, dev_rows=rows[6:])
    total, count = summed_loss(model, rows[6:])
    assert record.eval_curve[-1].loss == pytest.approx(total / count, abs=1e-5)


@pytest.mark.parametrize(
    ("rate", "message"),
    [(1e30, r"loss became NaN at step 2 of 300 \(learning_rate 1e\+30\). The adapter was not saved."), (1e-4, None)],
)
def test_a_loss_that_is_no_number_ends_the_run(base, adapted, rows, train, rate, message):
    args = {"max_steps": 300 if message else 3, "learning_rate": rate, "logging_steps": 100}
    if message is None:
        assert train(adapted(base), rows, args).n_steps == 3
        return
    with pytest.raises(StageFailure, match=message) as raised:
        train(adapted(base), rows, args)
    assert raised.value.kind == "diverged"


@pytest.mark.parametrize("spoiled", [0, 1, 2])
def test_a_loss_that_is_no_number_in_any_part_of_a_step_ends_the_run_before_that_step(
    base, adapted, rows, train, spoiled, monkeypatch
):
    from sft.training import checked_trainer

    losses, read = iter([3.0, 2.0, *(float("nan") if part == spoiled else 1.0 for part in range(3))]), []
    monkeypatch.setattr(checked_trainer.SFTTrainer, "training_step", lambda *_, **__: torch.tensor(next(losses)))
    monkeypatch.setattr(checked_trainer, "check_finite", lambda what, *rest: read.append(what) or check(what, *rest))
    check = callbacks.check_finite
    model = adapted(base)
    before = copies(model)
    args = {"max_steps": 9, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 5}
    with pytest.raises(StageFailure, match=r"loss became NaN at step 1 of 9 .*not saved") as raised:
        train(model, rows, args)
    assert raised.value.kind == "diverged"
    assert read == ["loss"], "one look at the device for the five parts of the step"
    assert all(torch.equal(before[name], now) for name, now in copies(model).items())


def test_a_gradient_that_is_no_number_ends_the_run(base, adapted, rows, train):
    model = adapted(base)
    next(iter(trainable(model).values())).register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(StageFailure, match="gradient became NaN at step 1 of 1") as raised:
        train(model, rows, ONE_STEP)
    assert raised.value.kind == "diverged"


def test_an_adapter_out_of_reach_of_the_loss_ends_the_run(base, rows, train):
    base.requires_grad_(False)
    base.unused = torch.nn.Linear(2, 2)
    base.lm_head.register_forward_hook(lambda module, args, output: output)
    base.model.norm.register_forward_hook(lambda module, args, output: output.requires_grad_())
    with pytest.raises(StageFailure, match="no gradient reached any trainable tensor"):
        train(base, rows, ONE_STEP)


@pytest.mark.slow
def test_packed_rows_give_the_loss_of_rows_apart(base, adapted, rows, train):
    alone = train(adapted(copy.deepcopy(base)), rows, ONE_STEP)
    packed = train(adapted(copy.deepcopy(base)), rows, {**ONE_STEP, "packing": True, "max_length": 40})
    assert packed.loss_curve[0].loss == pytest.approx(alone.loss_curve[0].loss, abs=1e-5)
    assert (packed.n_rows, packed.n_trained_tokens) == (12, 36)


@pytest.mark.slow
def test_the_best_step_is_kept(base, adapted, rows, train, tmp_path: Path):
    """The model first learns the dev rows, which the training rows contradict: the first evaluation is the best."""
    other = [TrainRow((*row.input_ids[:-3], 5, 5, 5), (*row.labels[:-3], 5, 5, 5)) for row in rows[:4]]
    model = adapted(base)
    train(model, other, {"num_train_epochs": 20, "learning_rate": 1e-2})
    saving = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    record = train(model, rows, {"num_train_epochs": 3, "learning_rate": 1e-2, **saving}, dev_rows=other)
    losses = [point.loss for point in record.eval_curve]
    best = record.eval_curve[losses.index(min(losses))]
    assert losses[-1] > best.loss
    assert record.best_step == best.step
    total, count = summed_loss(model, other)
    assert total / count == pytest.approx(best.loss, abs=1e-5)


@pytest.mark.slow
def test_a_few_steps_teach_answer_and_stop(base, adapted, rows, train):
    model = adapted(base)
    train(model, rows, {"num_train_epochs": 40, "learning_rate": 1e-2, "per_device_train_batch_size": 12})
    for row in rows:
        prompt = len(row.input_ids) - 3
        generated = model.generate(torch.tensor([row.input_ids[:prompt]]), max_new_tokens=3, do_sample=False)
        assert tuple(generated[0, prompt:].tolist()) == row.input_ids[prompt:]
