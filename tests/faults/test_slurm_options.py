"""Time limits and amounts of memory: what is taken here is taken by a real sbatch, and what is refused it refuses."""

import os
import subprocess

import pytest

from sft.exceptions import UserError
from sft.experiments.executors.options import options_of
from sft.experiments.executors.slurm.options import SlurmOptions

pytestmark = pytest.mark.slow

TIMES = ("30", "1:30", "01:30", "2:00:00", "99:99:99", "1-0", "1-03:04", "2-03:04:05", "0", "infinite", "UNLIMITED")
NO_TIMES = ("soon", "", "1h", "30m", "1.5", " 30", "30 ", "+30", "1:", ":30", "1::2", "1:2:3:4", "1-2-3", "1-2:3:4:5")
MEMORIES = ("16G", "16g", "16GB", "16000", "0", "016G", "1024K", "100M", "1T", "16mb")
NO_MEMORIES = ("lots", "", "16 G", "1.5G", "-5", "1e3", "16GiB", "16P", "16b", "8G,")
CPUS, NO_CPUS = ("1", "2"), ("x", "1.5", "0", "2x", "")


def cases(*named: tuple[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(name, value) for name, values in named for value in values]


def is_taken_by_sbatch(environment: dict[str, str], name: str, value: str) -> bool:
    words = ["sbatch", "--parsable", "--hold", f"--{name.replace('_', '-')}={value}", "--output=/dev/null"]
    variables = os.environ | environment
    ended = subprocess.run(words, input="#!/bin/sh\n", env=variables, capture_output=True, text=True, check=False)
    if ended.returncode == 0:
        subprocess.run(["scancel", ended.stdout.strip()], env=variables, check=True)
    else:
        assert "nvalid" in ended.stderr, ended.stderr
    return ended.returncode == 0


@pytest.mark.parametrize(("name", "value"), cases(("time", TIMES), ("mem", MEMORIES), ("cpus_per_task", CPUS)))
def test_what_is_taken_here_sbatch_takes(slurm_environment: dict[str, str], name: str, value: str) -> None:
    assert options_of(SlurmOptions, {name: value})
    assert is_taken_by_sbatch(slurm_environment, name, value)


@pytest.mark.parametrize(
    ("name", "value"), cases(("time", NO_TIMES), ("mem", NO_MEMORIES), ("cpus_per_task", NO_CPUS))
)
def test_what_is_refused_here_sbatch_refuses(slurm_environment: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(UserError, match=f"{name}="):
        options_of(SlurmOptions, {name: value})
    assert not is_taken_by_sbatch(slurm_environment, name, value)
