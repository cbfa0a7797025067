"""What Slurm's commands are given, and what their answers mean; no Slurm is needed."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError, UserError
from sft.experiments.executors.chains.cluster import Full, NoAnswer
from sft.experiments.executors.options import ExecutorOptions, options_of
from sft.experiments.executors.protocol import Request
from sft.experiments.executors.slurm.cluster import Slurm, SlurmExecutor
from sft.experiments.executors.slurm.commands import (
    answer,
    batch_command,
    minutes_of,
    own_environment,
    script_of,
    seen_of,
)
from sft.experiments.executors.slurm.options import SlurmOptions, seconds_of


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
        ("A_STATE_OF_THE_FUTURE", "running", None, "failed"),
        ("", "running", None, "failed"),
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


def test_a_lost_node_is_named() -> None:
    error = seen_of("NODE_FAIL", "None", "node7").error
    assert error is not None
    assert error.message == "its node failed (node7)"


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
        ({"cpus_per_task": "x"}, "cpus_per_task=x: Input should be a valid integer"),
        ({"time": "soon"}, "time=soon: is no time limit of sbatch; write minutes, minutes:seconds, hours:minutes:sec"),
        ({"mem": "lots"}, "mem=lots: is no memory of sbatch; write a whole number of K, M, G or T, such as 16G"),
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
    write_program(program, "sinfo", "echo 'gpu|1:00:00'; echo 'main*|infinite'")
    with pytest.raises(
        UserError,
        match=r"^executor option partition=gpus: no such partition \(did you mean gpu\?\); there are gpu, main",
    ):
        Slurm(SlurmOptions(partition="gpus"), None).check([])


def test_what_nobody_has_is_found_before_anything_starts(program: Path) -> None:
    write_program(program, "sinfo", "echo 'main*|infinite'")
    write_program(program, "sbatch", "echo 'allocation failure: configuration is not available' >&2; exit 1")
    with pytest.raises(MachineError, match="configuration is not available; the executor's options"):
        Slurm(SlurmOptions(), None).check([Request(1)])


def told(folder: Path, name: str) -> list[str]:
    """The words with which a program was called, a line for each call."""
    return (folder / f"{name}.calls").read_text().splitlines() if (folder / f"{name}.calls").exists() else []


def write_told_program(folder: Path, name: str, script: str) -> None:
    write_program(folder, name, f'echo "$@" >> {folder}/{name}.calls; {script}')


def test_one_question_tells_of_all_and_the_accounts_of_what_the_queue_forgot(program: Path) -> None:
    write_told_program(
        program, "squeue", "echo '1|RUNNING|node7|None'; echo '2|PENDING||Priority'; echo '9|RUNNING|x|None'"
    )
    write_told_program(program, "sacct", "echo '3|TIMEOUT|0:15|node8|None'; echo '5|RUNNING|0:0|node9|None'")
    slurm = Slurm(SlurmOptions(), None)
    for _ in range(2):
        found = slurm.look(["1", "2", "3", "4", "5"])
    standings = {job: seen.standing for job, seen in found.items()}
    assert standings == {"1": "running", "2": "queued", "3": "ended"}, "what the queue has forgotten does not run"
    assert (found["1"].host, found["2"].waits_for) == ("node7", "Priority")
    assert all(f"--user={os.getuid()}" in words for words in told(program, "squeue")), "nobody else's thousands"
    assert [words.split()[4] for words in told(program, "sacct")] == ["3,4,5", "4,5"], "all in one question"


@pytest.mark.parametrize(
    ("row", "kind", "code", "host", "is_hopeless"),
    [
        ("COMPLETED|0:0|localhost|None", None, 0, "localhost", False),
        ("FAILED|19:0|localhost|Dependency", None, 19, "localhost", False),
        ("FAILED|0:9|localhost|None", "killed", None, "localhost", False),
        ("FAILED|0:53|localhost|None", "refused", None, "localhost", False),
        ("CANCELLED by 0|0:0|localhost|None", "killed", None, "localhost", False),
        ("CANCELLED by 0|0:0|None assigned|JobHeldUser", "killed", None, None, False),
        ("CANCELLED by 0|0:0|None assigned|Dependency", "killed", None, None, False),
        ("CANCELLED|0:0|None assigned|Dependency", None, None, None, True),
        ("TIMEOUT|0:0|localhost|None", "timeout", None, "localhost", False),
        ("OUT_OF_MEMORY|0:125|localhost|None", "oom_host", None, "localhost", False),
    ],
)
def test_accounts_tell_as_much_as_the_queue_does(
    program: Path, row: str, kind: str | None, code: int | None, host: str | None, is_hopeless: bool
) -> None:
    write_program(program, "squeue", "exit 0")
    write_program(program, "sacct", f"echo '3|{row}'")
    seen = Slurm(SlurmOptions(), None).look(["3"])["3"]
    assert (seen.error and seen.error.kind, seen.code, seen.host, seen.is_hopeless) == (kind, code, host, is_hopeless)


def test_accounts_that_do_not_answer_are_left_alone_for_a_while(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(program, "squeue", "exit 0")
    write_told_program(program, "sacct", "echo 'sacct: error: Problem talking to the database' >&2; exit 1")
    slurm = Slurm(SlurmOptions(), None)
    for _ in range(2):
        assert slurm.look(["1"]) == {}
    assert len(told(program, "sacct")) == 1, "each question may take most of a minute"
    monkeypatch.setattr("sft.experiments.executors.slurm.cluster.ACCOUNTS_QUIET_SECONDS", 0.0)
    slurm = Slurm(SlurmOptions(), None)
    for _ in range(2):
        slurm.look(["1"])
    assert len(told(program, "sacct")) == 3


def test_accounts_that_do_not_answer_hold_nothing_up(program: Path) -> None:
    write_program(program, "squeue", "exit 0")
    write_program(program, "sacct", "echo 'sacct: error: slurm_persist_conn_open: Connection refused' >&2; exit 1")
    slurm = Slurm(SlurmOptions(), None)
    assert slurm.look(["1"]) == {}
    assert slurm.find("sft-x") is None


def test_the_code_of_a_job_that_failed_is_asked_for_once(program: Path) -> None:
    write_program(program, "squeue", "echo '1|FAILED|node7|NonZeroExitCode'; echo '2|COMPLETED|node7|None'")
    write_told_program(program, "scontrol", "echo 'JobId=1 JobState=FAILED ExitCode=19:0'")
    slurm = Slurm(SlurmOptions(), None)
    for _ in range(2):
        found = slurm.look(["1", "2"])
    assert (found["1"].code, found["1"].host, found["2"].code) == (19, "node7", 0)
    assert len(told(program, "scontrol")) == 1


@pytest.mark.parametrize("trouble", ["echo 'error: Protocol authentication error' >&2; exit 1", "kill -2 $$"])
def test_trouble_with_a_question_is_no_answer_whatever_it_is(program: Path, trouble: str) -> None:
    write_program(program, "squeue", trouble)
    slurm = Slurm(SlurmOptions(), None)
    with pytest.raises(NoAnswer):
        slurm.look(["1"])
    with pytest.raises(NoAnswer):
        slurm.find("sft-x")


def test_too_many_jobs_are_no_refusal(program: Path) -> None:
    write_program(
        program,
        "sbatch",
        "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2;"
        "echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, "
        "users size and/or time limits)' >&2; exit 1",
    )
    write_program(program, "sinfo", "echo 'main*|infinite'")
    slurm = Slurm(SlurmOptions(), None)
    slurm.check([Request()])
    with pytest.raises(Full, match="QOSMaxSubmitJobPerUserLimit"):
        slurm.submit("sft-x", ["true"], Path("/log"), Request(), 30.0)


@pytest.mark.parametrize(("printed", "expected"), [("12", "12"), ("Welcome to X\n13;east", "13")])
def test_the_id_of_a_job(program: Path, printed: str, expected: str) -> None:
    write_program(program, "sbatch", f"echo '{printed}'")
    assert Slurm(SlurmOptions(), None).submit("sft-x", ["true"], Path("/log"), Request(), 30.0) == expected


@pytest.mark.parametrize(("script", "said"), [("exit 0", "no job id"), ("kill -2 $$", "exit code -2")])
def test_a_submission_that_tells_no_id_may_be_there(program: Path, script: str, said: str) -> None:
    write_program(program, "sbatch", script)
    with pytest.raises(NoAnswer, match=said):
        Slurm(SlurmOptions(), None).submit("sft-x", ["true"], Path("/log"), Request(), 30.0)


def test_a_guessed_time_limit_is_never_above_the_partitions(program: Path) -> None:
    write_program(program, "sinfo", "echo 'short|20:00'; echo 'main*|infinite'")
    write_told_program(program, "sbatch", "echo 1")
    slurm = Slurm(SlurmOptions(partition="short"), None)
    slurm.check([])
    slurm.submit("sft-x", ["true"], Path("/log"), Request(seconds=7200.0), 30.0)
    assert "--time=20" in told(program, "sbatch")[-1].split()


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("30", 1800.0),
        ("1:30", 90.0),
        ("2:00:00", 7200.0),
        ("1-0", 86400.0),
        ("2-03:04:05", 183845.0),
        ("infinite", None),
        ("0", None),
        ("00:00:00", None),
    ],
)
def test_time_limits_are_read_as_slurm_writes_them(limit: str, expected: float | None) -> None:
    assert seconds_of(limit) == expected


def test_a_time_limit_within_the_grace_is_refused() -> None:
    with pytest.raises(UserError, match="time=1: is no longer than --grace 60 s"):
        SlurmExecutor(ExecutorOptions(executor_options={"time": "1"}, grace=60.0))


@pytest.mark.parametrize(("options", "said"), [({"gpus": "0"}, "--gpus 0"), ({"jobs_per_gpu": 2}, "--jobs-per-gpu 2")])
def test_options_that_share_out_this_machine_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"{said}: shares out the GPUs of this machine"):
        SlurmExecutor(ExecutorOptions(**options))


def test_variables_of_this_machine_and_job_are_not_handed_on() -> None:
    base = {"SLURM_JOB_ID": "7", "SQUEUE_PARTITION": "x", "CUDA_VISIBLE_DEVICES": "3", "SBATCH_WAIT": "1"}
    kept = {"SLURM_CONF": "/c", "HF_HOME": "/h", "SBATCH_ACCOUNT": "a"}
    assert own_environment(base | kept) == kept


def test_a_percent_sign_in_a_path_is_no_pattern() -> None:
    words = batch_command("sft-x", Path("/r/50%j/log"), SlurmOptions(), 0, None, 100_000.0)
    assert {"--output=/r/50%%j/log", "--signal=B:TERM@65535", "--export=ALL"} <= set(words)


@pytest.mark.parametrize(
    ("exit_code", "kind", "said"),
    [
        ("0:53", "refused", "could not open its log on node7, as where the results folder is missing"),
        ("0:9", "killed", "its chain was ended by signal 9 on node7"),
    ],
)
def test_what_a_failure_of_launching_was_is_told_by_the_code(
    program: Path, exit_code: str, kind: str, said: str
) -> None:
    write_program(program, "squeue", "echo '1|FAILED|node7|JobLaunchFailure'")
    write_program(program, "scontrol", f"echo 'JobId=1 JobState=FAILED ExitCode={exit_code}'")
    error = Slurm(SlurmOptions(), None).look(["1"])["1"].error
    assert error is not None
    assert error.kind == kind
    assert said in error.message


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("FAILED|0:15|node7|None", "asked it to end (SIGTERM) before its stage had begun"),
        ("FAILED|143:0|node7|None", "asked it to end (SIGTERM) before its stage had begun"),
        ("FAILED|75:0|node7|None", "asked it to end (SIGTERM) before its stage had begun"),
        ("TIMEOUT|0:0|node7|None", "time limit passed before its stage had begun"),
        ("FAILED|0:9|node7|None", None),
        ("FAILED|1:0|node7|None", None),
        ("PREEMPTED|0:15|node7|None", None),
        ("CANCELLED by 0|0:15|node7|None", None),
    ],
)
def test_ends_that_say_that_the_time_was_too_short_to_begin(program: Path, row: str, said: str | None) -> None:
    write_program(program, "squeue", "exit 0")
    write_program(program, "sacct", f"echo '3|{row}'")
    seen = Slurm(SlurmOptions(), None).look(["3"])["3"]
    if said is None:
        assert seen.unbegun is None
        return
    assert seen.unbegun is not None
    assert said in seen.unbegun.message
    assert seen.unbegun.message.endswith("write a longer limit (--executor-option time=MINUTES)")


def test_thousands_are_cancelled_in_parts(program: Path) -> None:
    write_told_program(program, "scancel", "exit 1")
    Slurm(SlurmOptions(), None).cancel([str(n) for n in range(450)])
    assert [len(words.split()) for words in told(program, "scancel")] == [200, 200, 50]


@pytest.mark.parametrize(("jobs", "max_pending", "expected"), [(None, None, 100), (3, None, 12), (3, "7", 7)])
def test_how_many_are_submitted_at_once(jobs: int | None, max_pending: str | None, expected: int) -> None:
    written = {} if max_pending is None else {"max_pending": max_pending}
    assert Slurm(options_of(SlurmOptions, written), jobs).at_once == expected
