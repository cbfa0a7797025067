"""How cores, threads and GPUs are shared out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.experiments.executors.local.leases import Grant, Leases, Machine, allowed_threads, kind_of, this_machine
from sft.experiments.executors.protocol import Request

GPUS = ("GPU-a", "GPU-b")


@pytest.mark.parametrize(
    ("jobs", "cores", "shares", "threads"),
    [
        (1, (0, 1, 2, 3), [(0, 1, 2, 3)], 4),
        (2, (0, 1, 2, 3), [(0, 1), (2, 3)], 2),
        (2, (1, 3, 5), [(1,), (3, 5)], 1),
        (3, (0, 1), [(0,), (1,), (0,)], 1),
        (2, (), [(), ()], 4),
    ],
)
def test_cores_are_divided_among_the_jobs(
    jobs: int, cores: tuple[int, ...], shares: list[tuple[int, ...]], threads: int
) -> None:
    leases = Leases(Machine(jobs=jobs, cores=cores, n_cores=len(cores) or 8))
    grants = [leases.take(Request()) for _ in range(jobs)]
    assert [grant and grant.lease.cores for grant in grants] == shares
    assert {grant and grant.lease.threads for grant in grants} == {threads}
    assert leases.is_full
    assert leases.take(Request()) is None


def test_the_user_may_cap_threads_but_not_raise_them() -> None:
    for cap, threads in ((1, 1), (8, 2), (None, 2)):
        grant = Leases(Machine(jobs=2, cores=(0, 1, 2, 3), n_cores=4, max_threads=cap)).take(Request())
        assert grant is not None
        assert grant.lease.threads == threads


@pytest.mark.parametrize(("written", "threads"), [("4", 4), ("4,2", 4), ("0", None), ("", None), ("many", None)])
def test_the_threads_of_the_environment(written: str, threads: int | None) -> None:
    assert allowed_threads({"OMP_NUM_THREADS": written}) == threads
    assert allowed_threads({}) is None


@pytest.mark.parametrize(
    ("jobs", "usable", "threads", "evaluations"),
    [(1, 16, 16, 8), (1, 4, 4, 3), (2, 2, 1, 1), (8, 128, 16, 8), (4, 1, 1, 1)],
)
def test_a_quota_counts_for_threads_and_for_evaluations_but_binds_to_no_cpu(
    monkeypatch: pytest.MonkeyPatch, jobs: int, usable: int, threads: int, evaluations: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(128)))
    monkeypatch.setattr("sft.experiments.executors.local.leases.usable_cpus", lambda: usable)
    machine = this_machine(jobs, GPUS, 1, {})
    grant = Leases(machine).take(Request())
    assert grant is not None
    assert (grant.lease.threads, machine.evaluations) == (threads, evaluations)
    assert len(grant.lease.cores) == 128 // jobs


def test_this_machine_has_the_cores_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3, 1})
    machine = this_machine(2, GPUS, 1, {"OMP_NUM_THREADS": "1"})
    assert (machine.cores, machine.n_cores, machine.max_threads, machine.gpus) == ((1, 3), 2, 1, GPUS)


def test_gpus_are_leased_by_name_and_hidden_from_who_needs_none() -> None:
    leases = Leases(Machine(jobs=3, gpus=GPUS))
    first, second, evaluate = leases.take(Request(1)), leases.take(Request(1)), leases.take(Request())
    assert [grant and grant.lease.gpus for grant in (first, second, evaluate)] == [("GPU-a",), ("GPU-b",), ()]


def test_what_leases_no_gpu_keeps_none_idle() -> None:
    leases = Leases(Machine(jobs=1, evaluations=2, cores=(0, 1), n_cores=2, gpus=("GPU-a",)))
    evaluation, on_cpu, on_gpu = Request(has_model=False), Request(), Request(1)
    assert [leases.take(evaluation), leases.take(evaluation)].count(None) == 0
    assert leases.take(evaluation) is None
    assert leases.take(on_cpu) is not None
    assert leases.take(on_cpu) is None
    assert not leases.is_full
    grant = leases.take(on_gpu)
    assert grant is not None
    assert grant.lease.gpus == ("GPU-a",)
    assert leases.is_full


def test_evaluations_may_run_wherever_there_is_time_with_the_threads_that_others_leave() -> None:
    leases = Leases(Machine(jobs=2, evaluations=2, cores=(0, 1, 2, 3), n_cores=4, gpus=GPUS))
    grants = [leases.take(Request(gpus, has_model=bool(gpus))) for gpus in (1, 1, 0, 0)]
    shares = [(0, 1), (2, 3), (0, 1, 2, 3), (0, 1, 2, 3)]
    assert [grant and grant.lease.cores for grant in grants] == shares
    assert [grant and grant.lease.threads for grant in grants] == [2, 2, 1, 1]
    many = Leases(Machine(jobs=1, evaluations=3, n_cores=16, gpus=GPUS)).take(Request(has_model=False))
    assert many is not None
    assert many.lease.threads == 5


@pytest.mark.parametrize("gpus", [None, ()])
def test_where_there_is_no_gpu_all_jobs_share_the_slots(gpus: tuple[str, ...] | None) -> None:
    leases = Leases(Machine(jobs=2, evaluations=5, gpus=gpus))
    assert leases.take(Request(has_model=False)) is not None
    assert leases.take(Request()) is not None
    assert leases.is_full
    assert leases.take(Request(has_model=False)) is None


def test_where_gpus_are_not_managed_the_environment_decides() -> None:
    grant = Leases(Machine()).take(Request())
    assert grant is not None
    assert grant.lease.gpus is None


def test_a_job_on_two_gpus_waits_for_both() -> None:
    leases = Leases(Machine(jobs=3, gpus=GPUS))
    one = leases.take(Request(1))
    assert one is not None
    assert leases.take(Request(2)) is None
    assert leases.release(one) == ["GPU-a"]
    both = leases.take(Request(2))
    assert both is not None
    assert both.lease.gpus == GPUS


def test_a_gpu_that_rests_is_not_leased() -> None:
    grant = Leases(Machine(jobs=2, gpus=GPUS)).take(Request(1), blocked={"GPU-a"})
    assert grant is not None
    assert grant.lease.gpus == ("GPU-b",)


def test_jobs_spread_before_they_share_and_it_is_known_who_shared() -> None:
    leases = Leases(Machine(jobs=4, gpus=GPUS, jobs_per_gpu=2))
    grants = [leases.take(Request(1)) for _ in range(3)]
    first, second, third = (grant for grant in grants if grant is not None)
    assert [grant.lease.gpus for grant in (first, second, third)] == [("GPU-a",), ("GPU-b",), ("GPU-a",)]
    assert [leases.shared_gpu(grant) for grant in (first, second, third)] == [True, False, True]
    assert leases.release(first) == []
    assert leases.release(third) == ["GPU-a"]


def test_a_job_that_wants_its_gpu_alone_gets_it_and_keeps_others_off() -> None:
    leases = Leases(Machine(jobs=4, gpus=GPUS, jobs_per_gpu=2))
    shared = leases.take(Request(1))
    own = leases.take(Request(1, own_gpus=True))
    assert shared is not None
    assert own is not None
    assert own.lease.gpus == ("GPU-b",)
    third = leases.take(Request(1))
    assert third is not None
    assert third.lease.gpus == ("GPU-a",)
    assert leases.take(Request(1)) is None
    assert leases.take(Request(1, own_gpus=True)) is None


def test_alone_is_alone() -> None:
    leases = Leases(Machine(jobs=3))
    other = leases.take(Request())
    assert other is not None
    assert leases.take(Request(alone=True)) is None
    leases.release(other)
    grant = leases.take(Request(alone=True))
    assert grant is not None
    assert leases.take(Request()) is None
    assert not leases.had_company(grant)


def test_company_counts_also_when_it_came_later_or_left_before() -> None:
    leases = Leases(Machine(jobs=2))
    first = leases.take(Request())
    assert first is not None
    assert not leases.had_company(first)
    second = leases.take(Request())
    assert second is not None
    leases.release(second)
    assert leases.had_company(first)


@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans(), st.integers(0, 3)), max_size=30),
)
@settings(deadline=None)
def test_no_gpu_is_ever_leased_more_often_than_allowed(
    jobs: int, per_gpu: int, steps: list[tuple[int, bool, bool, int]]
) -> None:
    leases = Leases(Machine(jobs=jobs, gpus=GPUS, jobs_per_gpu=per_gpu))
    held: list[Grant] = []
    for gpus, own, alone, freed in steps:
        grant = leases.take(Request(gpus, own, alone))
        held += [] if grant is None else [grant]
        for gpu in GPUS:
            users = [grant for grant in held if gpu in grant.lease.gpus]
            assert len(users) <= per_gpu
            assert len(users) <= 1 or not any(grant.request.own_gpus for grant in users)
        assert len(held) <= 1 or not any(grant.request.alone for grant in held)
        assert len({grant.slot for grant in held}) == len(held)
        for kind in ("gpu", "cpu"):
            assert sum(kind_of(grant.request) == kind for grant in held) <= jobs
        if held and freed:
            leases.release(held.pop(freed % len(held)))
