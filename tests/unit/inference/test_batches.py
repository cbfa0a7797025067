import pytest
import torch

from sft.inference.batches import length_sorted, pad_left


def test_the_longest_come_first_and_equal_lengths_keep_their_order():
    assert length_sorted([2, 5, 2, 9, 2], 2) == [[3, 1], [0, 2], [4]]


def test_every_row_is_in_one_batch():
    assert sorted(row for batch in length_sorted([3] * 10, 4) for row in batch) == list(range(10))


def test_no_rows_no_batches():
    assert length_sorted([], 4) == []


def test_a_batch_has_at_least_one_row():
    with pytest.raises(ValueError, match="batch_size"):
        length_sorted([1], 0)


def test_padding_is_on_the_left_masked_and_without_position():
    batch = pad_left([[7, 8, 9], [5]], pad_id=0, device=torch.device("cpu"))
    assert batch.input_ids.tolist() == [[7, 8, 9], [0, 0, 5]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert batch.position_ids.tolist() == [[0, 1, 2], [0, 0, 0]]
    assert batch.lengths.tolist() == [3, 1]
