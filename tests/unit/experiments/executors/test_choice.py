"""The executor that a grid names beside its configs."""

from typing import Any

import pytest

from sft.exceptions import UserError
from sft.experiments.executors import make_executor
from sft.experiments.executors.choice import ExecutorChoice, in_force, read_choice
from sft.experiments.executors.options import ExecutorOptions


def test_a_grid_names_an_executor_with_its_options_or_alone() -> None:
    written = {"name": "slurm", "partition": "gpu", "cpus_per_task": 4, "mem": None}
    assert read_choice(written) == ExecutorChoice("slurm", {"partition": "gpu", "cpus_per_task": "4"})
    assert read_choice("ray") == ExecutorChoice("ray", {})
    assert read_choice(None) is None


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"name": "slrum"}, "executor: unknown executor 'slrum' (did you mean slurm?)"),
        ({"name": "slurm", "partion": "gpu"}, "executor: unknown option 'partion' (did you mean partition?)"),
        ({"name": "slurm", "cpus_per_task": 0}, "executor: cpus_per_task=0: "),
        ({"name": "slurm", "gres": ["gpu:1"]}, "executor: gres: must be text, a number or true or false, got a list"),
        ({"name": "local", "partition": "gpu"}, "executor: partition goes with a cluster, and local is none"),
        ({"partition": "gpu"}, "its name is missing or no text"),
        (["slurm"], "got a list"),
    ],
)
def test_a_wrong_one_is_refused_by_its_place(written: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        read_choice(written)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("executor", "options", "expected"),
    [
        (None, {}, ("slurm", {"partition": "gpu", "mem": "8G"})),
        ("slurm", {"mem": "16G"}, ("slurm", {"partition": "gpu", "mem": "16G"})),
        (None, {"mem": "16G"}, ("slurm", {"partition": "gpu", "mem": "16G"})),
        ("ray", {"memory": "8G"}, ("ray", {"memory": "8G"})),
        ("local", {}, ("local", {})),
    ],
)
def test_a_command_wins_over_the_grid(executor: str | None, options: dict[str, str], expected: Any) -> None:
    grid = ExecutorChoice("slurm", {"partition": "gpu", "mem": "8G"})
    found = in_force(ExecutorOptions(executor=executor, executor_options=options), grid)
    assert (found.executor, found.executor_options) == expected


@pytest.mark.parametrize("name", [None, "local", "ray"])
def test_what_ends_with_the_command_cannot_be_left(name: str | None) -> None:
    with pytest.raises(UserError, match=r"--detach: what runs on .* ends with the command"):
        make_executor(ExecutorOptions(executor=name, detach=True), print)
