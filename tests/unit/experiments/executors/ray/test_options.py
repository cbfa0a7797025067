"""Options of Ray as they are written."""

import pytest

from sft.exceptions import UserError
from sft.experiments.executors.options import options_of
from sft.experiments.executors.ray.cluster import RayExecutor
from sft.experiments.executors.ray.options import RayOptions


@pytest.mark.parametrize(
    ("written", "size"),
    [("1000", 1000), ("16G", 16 * 1024**3), ("1.5k", 1536), ("2GiB", 2 * 1024**3), ("3MB", 3 * 1024**2)],
)
def test_a_size_is_read_in_any_of_the_usual_forms(written: str, size: int) -> None:
    assert options_of(RayOptions, {"memory": written}).memory_bytes == size


@pytest.mark.parametrize("written", ["auto", "local", "head:6379", "10.0.0.1:6379", "[::1]:6379"])
def test_a_cluster_is_named_by_its_address(written: str) -> None:
    assert options_of(RayOptions, {"address": written}).address == written


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("address", "ray://head:10001", "address=ray://head:10001: Ray's client is not used"),
        ("address", "head", "address=head: write HOST:PORT, auto or local"),
        ("gpus", "1.5", "gpus=1.5: more than one GPU is a whole number"),
        ("gpus", "-1", "gpus=-1: "),
        ("memory", "much", "memory=much: write a number of bytes"),
        ("autoscaling", "true", "autoscaling=true: set gpus too"),
        ("cpus_per_task", "0", "cpus_per_task=0: "),
        ("adress", "auto", r"unknown option 'adress' \(did you mean address\?\)"),
    ],
)
def test_a_wrong_option_is_told_with_its_value(name: str, value: str, told: str) -> None:
    with pytest.raises(UserError, match=f"--executor-option {told}"):
        options_of(RayOptions, {name: value})


def test_an_address_of_the_environment_is_checked_as_a_written_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(UserError, match="address=ray://head:10001"):
        RayExecutor()
