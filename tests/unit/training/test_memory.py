"""The steps a training takes towards less memory; the effective batch stays."""

import pytest

from sft.training.memory import LIBRARY_DEFAULTS, batch_record, with_less_memory

RECORDED = ("gradient_checkpointing", "micro_batch_size", "gradient_accumulation_steps")


def batches(args, upto=20):
    """(checkpointing, micro-batch, accumulation) after each step, until there is none."""
    steps = []
    for step in range(upto):
        changed = with_less_memory(args, step)
        if changed is None:
            return steps
        record = batch_record(changed)
        steps.append(tuple(record[name] for name in RECORDED))
    raise AssertionError("no end")


def test_first_checkpointing_then_halves():
    args = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2, "gradient_checkpointing": False}
    assert batches(args) == [(False, 8, 2), (True, 8, 2), (True, 4, 4), (True, 2, 8), (True, 1, 16)]


def test_checkpointing_that_is_on_is_no_step():
    args = {"per_device_train_batch_size": 2, "gradient_checkpointing": True}
    assert batches(args) == [(True, 2, 1), (True, 1, 2)]


def test_odd_numbers_take_the_largest_divisor_of_the_effective_batch_up_to_half():
    assert batches({"per_device_train_batch_size": 6}) == [(False, 6, 1), (True, 6, 1), (True, 3, 2), (True, 1, 6)]
    args = {"per_device_train_batch_size": 5, "gradient_accumulation_steps": 4}
    assert [micro for _, micro, _ in batches(args)] == [5, 5, 2, 1]
    assert batches({"per_device_train_batch_size": 7})[-1] == (True, 1, 7)


@pytest.mark.parametrize("micro", [1, 2, 3, 5, 6, 8, 12, 30, 64])
@pytest.mark.parametrize("accumulation", [1, 2, 3, 7])
def test_the_effective_batch_stays_and_every_step_is_smaller(micro, accumulation):
    args = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": accumulation}
    steps = batches(args)
    assert {size * times for _, size, times in steps} == {micro * accumulation}
    sizes = [size for _, size, _ in steps[1:]]
    assert sizes == sorted(set(sizes), reverse=True)
    assert sizes[-1] == 1


def test_nothing_else_changes_but_the_batch_of_evaluations():
    args = {"learning_rate": 1e-3, "per_device_train_batch_size": 8, "per_device_eval_batch_size": 3}
    assert with_less_memory(args, 0) == args
    assert with_less_memory(args, 1) == {**args, "gradient_checkpointing": True}
    fourth = with_less_memory(args, 4)
    assert fourth is not None
    assert (fourth["learning_rate"], fourth["per_device_eval_batch_size"]) == (1e-3, 1)
    second = with_less_memory(args, 2)
    assert second is not None
    assert second["per_device_eval_batch_size"] == 3
    assert args["per_device_train_batch_size"] == 8


def test_a_last_batch_that_is_dropped_fixes_the_micro_batch():
    assert batches({"dataloader_drop_last": True}) == [(False, 8, 1), (True, 8, 1)]


def test_the_defaults_are_those_of_the_library():
    from trl import SFTConfig

    fields = SFTConfig.__dataclass_fields__
    assert {name: fields[name].default for name in LIBRARY_DEFAULTS} == dict(LIBRARY_DEFAULTS)
