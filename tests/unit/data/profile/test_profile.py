from collections.abc import Callable
from typing import Any

import pytest

from sft.config.dataset import DatasetConfig
from sft.data.profile.profile import split_remarks
from sft.data.rows import Splits


@pytest.mark.parametrize(
    ("unused", "written"),
    [
        (("Validation",), [("the split 'Validation' is there", "dataset.splits.dev: 'Validation'")]),
        (
            ("extra", "val"),
            [("the split 'extra' is there", None), ("the split 'val' is there", "dataset.splits.dev: 'val'")],
        ),
        ((), []),
    ],
)
def test_splits_that_lie_there_unused(
    splits_of: Callable[..., Splits], unused: tuple[str, ...], written: list[Any]
) -> None:
    dataset = DatasetConfig(path="data", task_type="classification", shots=0)
    found = list(split_remarks(dataset, splits_of(unused, test=[("a", "b")])))
    assert [(remark.text.partition(" and is not")[0], remark.write) for remark in found] == written


def test_a_second_dev_split_is_only_named(splits_of: Callable[..., Splits]) -> None:
    dataset = DatasetConfig(path="data", task_type="classification", shots=0)
    (found,) = split_remarks(dataset, splits_of(("val",), dev=[("a", "b")], test=[("a", "b")]))
    assert (found.text, found.write) == ("the split 'val' is there and is not used", None)
