"""What Slurm's commands are given, and what their answers mean; no Slurm is needed."""

import stat
from pathlib import Path

import pytest

from sft.exceptions import MachineError, UserError
from sft.experiments.executors.chains.cluster import NoAnswer
from sft.experiments.executors.chains.options import options_of
from sft.experiments.executors.protocol import Request
from sft.experiments.executors.slurm.cluster import Slurm
from sft.experiments.executors.slurm.commands import answer, batch_command, minutes_of, script_of, seen_of
from sft.experiments.executors.slurm.options import SlurmOptions


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs come first."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def write_program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("state", "standing", "kind", "ended_as"),
    [
        ("PENDING", "queued", None, "failed"),
        ("RUNNING", "running", None, "failed"),
        ("COMPLETING", "running", None, "failed"),
        ("COMPLETED", "ended", None, "failed"),
        ("FAILED", "ended", None, "failed"),
        ("TIMEOUT", "ended", "timeout", "timeout"),
        ("OUT_OF_MEMORY", "ended", "oom_host", "failed"),
        ("NODE_FAIL", "ended", "node_lost", "failed"),
        ("PREEMPTED", "ended", "killed", "preempted"),
        ("CANCELLED by 1000", "ended", "killed", "interrupted"),
        ("CANCELLED+", "ended", "killed", "interrupted"),
        ("A_STATE_OF_THE_FUTURE", "ended", None, "failed"),
        ("", "ended", None, "failed"),
    ],
)
def test_states_mean(state: str, standing: str, kind: str | None, ended_as: str) -> None:
    seen = seen_of(state)
    assert (seen.standing, seen.error and seen.error.kind, seen.ended_as) == (standing, kind, ended_as)


def test_a_job_that_slurm_could_not_run_says_why() -> None:
    error = seen_of("FAILED", "BadConstraints").error
    assert error is not None
    assert "BadConstraints" in error.message
    assert seen_of("FAILED", "NonZeroExitCode").error is None


def test_a_job_is_asked_for_as_the_options_say() -> None:
    written = {"partition": "gpu", "gres": "gpu:a100:1", "mem": "16G", "cpus_per_task": "4"}
    words = batch_command("sft-x", Path("/r/log"), options_of(SlurmOptions, written), 1, 600.0, 30.0)
    assert words[:3] == ["sbatch", "--parsable", "--no-requeue"]
    expected = ("--partition=gpu", "--gres=gpu:a100:1", "--mem=16G", "--cpus-per-task=4", "--signal=B:TERM@30")
    assert set(expected) <= set(words)
    assert f"--time={minutes_of(600.0, 30.0)}" in words
    assert not [word for word in words if word.startswith(("--account", "--qos", "--constraint"))]


@pytest.mark.parametrize(
    ("gres", "gpus", "expected", "per_job"),
    [
        (None, 1, None, 0),
        ("gpu:1", 0, None, 1),
        ("gpu", 2, "gpu:2", 1),
        ("gpu:a100:1", 4, "gpu:a100:4", 1),
        ("shard:4,gpu:2", 2, "shard:4,gpu:2", 2),
        ("shard:4", 1, "shard:4", 0),
    ],
)
def test_gpus_of_a_job(gres: str | None, gpus: int, expected: str | None, per_job: int) -> None:
    options = SlurmOptions(gres=gres)
    assert (options.gres_for(gpus), options.gpus) == (expected, per_job)


def test_the_command_takes_the_place_of_the_shell_behind_setup_and_prefix() -> None:
    options = SlurmOptions(setup="module load cuda", prefix="apptainer exec --nv i.sif")
    lines = script_of(["python", "a b"], options).splitlines()
    assert lines == ["#!/bin/sh", "module load cuda", "exec apptainer exec --nv i.sif python 'a b'"]


def test_time_limits_are_three_times_what_is_expected_and_never_short() -> None:
    assert minutes_of(1.0, 30.0) == "10"
    assert int(minutes_of(3600.0, 30.0)) == pytest.approx(180 + 2.5, abs=1)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"partion": "gpu"}, "did you mean partition?"),
        ({"cpus_per_task": "many"}, "cpus_per_task=many"),
        ({"cpus_per_task": "0"}, "greater than or equal to 1"),
        ({"max_pending": "0"}, "max_pending=0"),
    ],
)
def test_options_that_are_none_are_refused_in_one_line(written: dict[str, str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        options_of(SlurmOptions, written)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_controller_that_cannot_be_reached_is_asked_again(program: Path) -> None:
    write_program(program, "squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(NoAnswer, match="Unable to contact"):
        answer(["squeue"])


def test_a_refusal_is_the_users_to_read(program: Path) -> None:
    write_program(program, "sbatch", "echo 'sbatch: error: invalid account' >&2; exit 1")
    with pytest.raises(MachineError, match="sbatch: error: invalid account"):
        answer(["sbatch"], "script")


def test_without_slurm_it_is_said_where_to_run(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program))
    with pytest.raises(MachineError, match="sinfo is not installed here"):
        Slurm(SlurmOptions(), None).check([])


def test_a_partition_that_is_not_there_is_named_with_those_that_are(program: Path) -> None:
    write_program(program, "sinfo", "echo gpu; echo main")
    with pytest.raises(
        UserError, match=r"partition=gpus: no such partition \(did you mean gpu\?\); there are gpu, main"
    ):
        Slurm(SlurmOptions(partition="gpus"), None).check([])


def test_what_nobody_has_is_found_before_anything_starts(program: Path) -> None:
    write_program(program, "sinfo", "echo main")
    write_program(program, "sbatch", "echo 'allocation failure: configuration is not available' >&2; exit 1")
    with pytest.raises(MachineError, match="configuration is not available; --executor-option sets"):
        Slurm(SlurmOptions(), None).check([Request(1)])


def test_one_question_tells_of_all_and_the_accounts_of_what_the_queue_forgot(program: Path) -> None:
    write_program(
        program, "squeue", "echo '1|RUNNING|node7|None'; echo '2|PENDING||Priority'; echo '9|RUNNING|x|None'"
    )
    write_program(program, "sacct", '[ "$5" = 3 ] && echo COMPLETED; exit 0')
    write_program(program, "scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    found = Slurm(SlurmOptions(), None).look(["1", "2", "3", "4"])
    assert {job: seen.standing for job, seen in found.items()} == {"1": "running", "2": "queued", "3": "ended"}
    assert found["1"].host == "node7"


@pytest.mark.parametrize(("jobs", "max_pending", "expected"), [(None, None, 100), (3, None, 12), (3, "7", 7)])
def test_how_many_are_submitted_at_once(jobs: int | None, max_pending: str | None, expected: int) -> None:
    written = {} if max_pending is None else {"max_pending": max_pending}
    assert Slurm(options_of(SlurmOptions, written), jobs).at_once == expected
