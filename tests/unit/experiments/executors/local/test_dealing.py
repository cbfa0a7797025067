"""Who gets GPUs when some jobs need several: a machine on which jobs only take time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.experiments.executors.local.dealing import Dealing
from sft.experiments.executors.local.leases import Grant, Leases, Machine
from sft.experiments.executors.protocol import Request
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder
from sft.runs.records import JobRecord


class Simulation:
    """Jobs by number, each with GPUs and seconds; the clock goes from end to end."""

    def __init__(self, machine: Machine, jobs: Sequence[tuple[int, int]]) -> None:
        self.jobs = [
            PlannedJob(JobFolder(Path(str(number))), JobRecord("infer", "k", "a", {}, "", {}), ())
            for number in range(len(jobs))
        ]
        self.number = {id(job): number for number, job in enumerate(self.jobs)}
        self.seconds = [seconds for _, seconds in jobs]
        self.gpus = [gpus for gpus, _ in jobs]
        self.leases = Leases(machine)
        self.dealing = Dealing(self.leases)
        self.request_of = lambda job: Request(self.gpus[self.number[id(job)]])
        self.now = 0
        self.running: list[tuple[int, int, Grant]] = []
        """Ends, number, grant."""
        self.started: dict[int, int] = {}
        """Number -> when, in order."""
        self.ended: dict[int, int] = {}

    def start(self, ready: Sequence[int], resting: Sequence[str] = ()) -> None:
        """Let what can start of these."""
        waiting = [self.jobs[number] for number in ready if number not in self.started]
        for job in self.dealing.round(waiting, self.request_of, resting):
            number = self.number[id(job)]
            grant = self.leases.take(Request(self.gpus[number]), self.dealing.blocked)
            assert grant is not None
            self.started[number] = self.now
            self.running.append((self.now + self.seconds[number], number, grant))

    def end_next(self) -> None:
        """Go on to the next end."""
        self.running.sort(key=lambda entry: entry[:2])
        self.now, number, grant = self.running.pop(0)
        self.ended[number] = self.now
        self.leases.release(grant)

    def run(self) -> list[int]:
        """Run all to the end; their numbers in the order of their starts."""
        self.start(range(len(self.jobs)))
        while self.running:
            self.end_next()
            self.start(range(len(self.jobs)))
        return list(self.started)


def test_a_job_on_two_gpus_that_is_second_of_ten_runs_second() -> None:
    jobs = [(2 if number == 1 else 1, 3 + number % 2) for number in range(10)]
    simulation = Simulation(Machine(jobs=2, gpus=("GPU-a", "GPU-b")), jobs)
    assert simulation.run() == list(range(10))
    assert simulation.started[1] == simulation.ended[0]


def test_gpus_that_it_does_not_need_go_on_to_the_others() -> None:
    machine = Machine(jobs=4, gpus=("GPU-a", "GPU-b", "GPU-c", "GPU-d"))
    simulation = Simulation(machine, [(1, 9), (1, 2), (1, 4), (3, 1), (1, 1), (1, 1), (1, 1), (1, 1)])
    simulation.run()
    # The fourth waits for three: of the GPUs in use those of the second and third become free first.
    assert simulation.started[3] == 4
    assert sorted(simulation.started) == list(range(8))


def test_what_becomes_ready_later_with_a_higher_priority_does_not_take_what_is_kept() -> None:
    simulation = Simulation(Machine(jobs=2, gpus=("GPU-a", "GPU-b")), [(1, 1), (1, 1), (1, 2), (2, 1), (1, 3)])
    simulation.start([2, 3, 4])
    assert list(simulation.started) == [2]
    simulation.start([0, 1, 3, 4])
    assert list(simulation.started) == [2]
    simulation.end_next()
    simulation.start([0, 1, 3, 4])
    assert list(simulation.started) == [2, 3]
    simulation.end_next()
    simulation.start([0, 1, 4])
    assert list(simulation.started) == [2, 3, 0, 1]


def test_nothing_is_kept_for_a_job_that_is_not_ready_any_more() -> None:
    simulation = Simulation(Machine(jobs=2, gpus=("GPU-a", "GPU-b")), [(1, 5), (2, 1), (1, 1)])
    simulation.start([0, 1])
    simulation.start([2])
    assert list(simulation.started) == [0, 2]


def test_a_gpu_that_rests_is_kept_too() -> None:
    simulation = Simulation(Machine(jobs=2, gpus=("GPU-a", "GPU-b")), [(2, 1), (1, 1)])
    simulation.start([0, 1], resting=["GPU-a"])
    assert not simulation.started
    simulation.start([0, 1])
    assert list(simulation.started) == [0]


def test_those_who_need_one_gpu_keep_their_place_before_the_next_that_needs_several() -> None:
    simulation = Simulation(Machine(jobs=2, gpus=("GPU-a", "GPU-b")), [(1, 4), (2, 1), (1, 1), (2, 1), (1, 1)])
    order = simulation.run()
    assert order == [0, 1, 2, 3, 4]
    assert simulation.started[3] == simulation.ended[2]


def test_where_nothing_has_changed_nobody_is_asked_again() -> None:
    simulation = Simulation(Machine(jobs=1, gpus=("GPU-a",)), [(1, 5), (1, 1), (1, 1)])
    asked: list[int] = []

    def request_of(job: PlannedJob) -> Request:
        asked.append(simulation.number[id(job)])
        return Request(1)

    simulation.request_of = request_of
    for resting in (["GPU-a"], ["GPU-a"], []):
        simulation.start([0], resting)
    simulation.start([1])
    simulation.start([1])
    simulation.start([1, 2])
    assert asked == [0, 0, 1, 1, 2]
    simulation.end_next()
    simulation.start([1, 2])
    assert list(simulation.started) == [0, 1]


class Looked(list[str]):
    """Jobs that wait, which count how often one of them is looked at."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        self.looks += 1
        return super().__getitem__(place)

    def __iter__(self) -> Iterator[str]:
        for place in range(len(self)):
            yield self[place]


def test_of_thousands_that_wait_those_are_looked_at_that_take_what_has_become_free() -> None:
    leases, ready = Leases(Machine(jobs=2)), Looked(f"job {number}" for number in range(10_000))
    dealing, grants = Dealing(leases), []
    for expected in (["job 0", "job 1"], ["job 2"], ["job 3"]):
        started = []
        for job in dealing.round(ready, lambda _: Request(), ()):
            grants.append(leases.take(Request()))
            ready.remove(job)
            started.append(job)
        assert started == expected
        first = grants.pop(0)
        assert first is not None
        leases.release(first)
    assert ready.looks < 20


def test_what_could_not_be_started_after_all_is_not_offered_twice_in_a_round() -> None:
    dealing = Dealing(Leases(Machine(jobs=2)))
    assert list(dealing.round(["a", "b", "c"], lambda _: Request(), ())) == ["a", "b", "c"]


@pytest.mark.parametrize("per_gpu", [1, 2])
@given(
    jobs=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=20),
)
@settings(deadline=None)
def test_the_oldest_waits_for_nobody_who_started_after_it_began_to_wait(
    per_gpu: int, jobs: list[tuple[int, int]]
) -> None:
    gpus = ("GPU-a", "GPU-b", "GPU-c")
    simulation = Simulation(Machine(jobs=3 * per_gpu, gpus=gpus, jobs_per_gpu=per_gpu), jobs)
    waits: dict[int, set[int]] = {}
    """The one that waits, and whom it waits for: those that ran when it began to wait."""
    everybody = range(len(jobs))
    simulation.start(everybody)
    while simulation.running:
        waiting = [number for number in everybody if jobs[number][0] and number not in simulation.started]
        waits = {number: running for number, running in waits.items() if number in waiting}
        if waiting and not waits and jobs[waiting[0]][0] > 1:
            waits = {waiting[0]: {number for _, number, _ in simulation.running}}
        for number, running in waits.items():
            assert running - set(simulation.ended), f"{number} could start"
        simulation.end_next()
        simulation.start(everybody)
    assert len(simulation.started) == len(jobs)
