"""Which jobs are needed, in which order they come, and what an end means for the others."""

from pathlib import PurePath
from typing import Any

import pytest

from sft.experiments.running.schedule import Schedule, by_priority, seed_ranks, workload
from sft.pipeline.job_graph import direct_needs, needed_jobs, unique_jobs
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import ResultsFolder
from tests.support.fake_executor import chain, job


def keys(jobs: Any) -> list[str]:
    return [planned.record.key for planned in jobs]


def needed(experiments: Any, *done: str) -> list[str]:
    return keys(needed_jobs(experiments, lambda planned: planned.record.key in done).values())


def order(experiments: Any, seconds: dict[str, float] | None = None) -> list[str]:
    jobs = needed_jobs(experiments, lambda _: False)
    return keys(by_priority(experiments, jobs, lambda planned: (seconds or {}).get(planned.record.key)))


def ready_keys(schedule: Schedule) -> list[str]:
    return keys(schedule.ready)


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        ((), ["t", "i", "e"]),
        (("t",), ["i", "e"]),
        (("t", "i"), ["e"]),
        (("i",), ["e"]),
        (("t", "i", "e"), []),
        (("e",), []),
        (("t", "e"), []),
    ],
)
def test_only_what_leads_to_an_unfinished_goal_is_needed(
    results: ResultsFolder, done: tuple[str, ...], expected: list[str]
) -> None:
    assert needed({"a": chain(results)}, *done) == expected


def test_a_shared_stage_is_needed_as_long_as_one_needs_it(results: ResultsFolder) -> None:
    train = job(results, "train", "t")
    experiments = {name: [train, job(results, "infer", name, train)] for name in ("a", "b")}
    assert needed(experiments, "a") == ["t", "b"]
    assert needed(experiments, "a", "b") == []


def test_needs_of_needs_and_needs_elsewhere_are_not_waited_for(results: ResultsFolder) -> None:
    train, infer, evaluate = chain(results)
    known = unique_jobs({"a": [train, infer, evaluate]})
    assert direct_needs(evaluate, known) == [infer.folder.path]
    assert direct_needs(infer, {infer.folder.path: infer}) == []


def test_the_first_seed_of_every_setting_comes_first(results: ResultsFolder) -> None:
    def one(name: str, rate: float, seed: int) -> list[PlannedJob]:
        config = {"name": name, "seed": seed, "seeds": {"shots": None}, "rate": rate}
        return [job(results, "infer", name, name=name, config=config)]

    experiments = {f"{rate}/{seed}": one(f"{rate}-{seed}", rate, seed) for rate in (1.0, 2.0) for seed in (13, 14, 15)}
    assert list(seed_ranks(experiments).values()) == [0, 1, 2, 0, 1, 2]
    assert order(experiments) == ["1.0-13", "2.0-13", "1.0-14", "2.0-14", "1.0-15", "2.0-15"]


def test_within_a_seed_the_longest_comes_first_and_what_was_begun_is_finished(results: ResultsFolder) -> None:
    experiments = {str(n): chain(results, str(n), config={"n": n}) for n in (1, 2, 3)}
    assert order(experiments, {"t2": 500.0, "i3": 90.0}) == ["t2", "i2", "e2", "t3", "i3", "e3", "t1", "i1", "e1"]


def test_a_shared_stage_has_the_weight_of_all_that_wait_for_it(results: ResultsFolder) -> None:
    shared = job(results, "train", "shared")
    experiments = {
        "long": [job(results, "infer", "long", config={"n": 1})],
        **{
            name: [shared, job(results, "infer", name, shared, config={"name": name, "k": name})]
            for name in ("a", "b", "c")
        },
    }
    assert order(experiments, {"long": 100.0, "shared": 60.0, "a": 20.0, "b": 20.0, "c": 20.0})[0] == "shared"
    assert order(experiments, {"long": 200.0, "shared": 60.0, "a": 20.0, "b": 20.0, "c": 20.0})[0] == "long"


def test_finished_jobs_make_others_ready_in_their_place(results: ResultsFolder) -> None:
    first, second = chain(results, "1"), chain(results, "2", config={"n": 2})
    schedule = Schedule([*first, *second])
    assert ready_keys(schedule) == ["t1", "t2"]
    schedule.start(first[0])
    assert ready_keys(schedule) == ["t2"]
    schedule.finish(first[0])
    assert ready_keys(schedule) == ["i1", "t2"]


def test_a_failure_takes_along_what_needs_it_and_nothing_else(results: ResultsFolder) -> None:
    first, second = chain(results, "1"), chain(results, "2", config={"n": 2})
    schedule = Schedule([*first, *second])
    schedule.start(first[0])
    assert keys(schedule.fail(first[0])) == ["i1", "e1"]
    assert ready_keys(schedule) == ["t2"]
    assert schedule.fail(first[0]) == []


def test_a_job_that_is_put_back_takes_its_place_or_a_later_turn(results: ResultsFolder) -> None:
    jobs = [job(results, "infer", name) for name in "abc"]
    schedule = Schedule(jobs)
    schedule.start(jobs[0])
    schedule.put_back(jobs[0])
    assert ready_keys(schedule) == ["a", "b", "c"]
    schedule.start(jobs[0])
    schedule.put_back(jobs[0], turn=2)
    schedule.start(jobs[1])
    schedule.put_back(jobs[1], turn=1)
    assert ready_keys(schedule) == ["c", "b", "a"]


def test_what_no_experiment_waits_for_comes_first_and_only_where_it_is_not_done(results: ResultsFolder) -> None:
    beside = [job(results, "baseline", name) for name in "ab"]
    work = workload({"x": chain(results)}, lambda planned: planned.record.key == "a", beside=beside)
    assert keys(by_priority(work.experiments, work.needed, lambda _: 100.0)) == ["b", "t", "i", "e"]
    assert work.idle == frozenset()
    assert keys(
        workload({"x": chain(results)}, lambda planned: planned.record.key != "b", beside).needed.values()
    ) == ["b"]


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        ((), ["t", "i", "e", "x"]),
        (("t", "i", "e"), ["x"]),
        (("i", "e"), ["t", "x"]),
        (("e", "x"), []),
    ],
)
def test_an_export_comes_last_and_needs_its_training(
    results: ResultsFolder, done: tuple[str, ...], expected: list[str]
) -> None:
    own = chain(results)
    export = job(results, "export", "x", own[0])
    work = workload({"a": own}, lambda planned: planned.record.key in done, beside=[export])
    assert keys(by_priority(work.experiments, work.needed, lambda _: None)) == expected


def test_ten_thousand_experiments_are_ordered_quickly(results: ResultsFolder) -> None:
    trains = [job(results, "train", f"t{n}") for n in range(100)]
    experiments = {
        f"{n}": [trains[n % 100], job(results, "infer", f"i{n}", trains[n % 100], config={"n": n % 50, "seed": n})]
        for n in range(10_000)
    }
    ordered = order(experiments)
    assert len(ordered) == 10_100
    assert len(Schedule(needed_jobs(experiments, lambda _: False).values()).ready) == 100


def test_a_job_starts_and_comes_back_without_a_look_at_all_others(
    results: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [chain(results, str(number))[0] for number in range(500)]
    schedule, looks = Schedule(jobs), [0]
    compare = PurePath.__eq__

    def counted(self: PurePath, other: object) -> bool:
        looks[0] += 1
        return compare(self, other)

    monkeypatch.setattr(PurePath, "__eq__", counted)
    schedule.start(jobs[300])
    schedule.put_back(jobs[300])
    assert looks[0] < 50
    monkeypatch.undo()
    assert list(schedule.ready) == jobs


def test_a_chain_is_all_that_needs_nothing_else_each_after_what_it_needs(results: ResultsFolder) -> None:
    shared, other = job(results, "train", "shared"), job(results, "train", "other")
    first, second = job(results, "infer", "first", shared), job(results, "infer", "second", shared)
    both = job(results, "evaluate", "both", first, second)
    elsewhere = job(results, "evaluate", "elsewhere", second, other)
    schedule = Schedule([shared, other, first, both, second, elsewhere])
    assert keys(schedule.chain(shared)) == ["shared", "first", "second", "both"]
    assert keys(schedule.chain(other)) == ["other"]


def test_what_was_started_ahead_does_not_become_ready_until_it_is_taken_back(results: ResultsFolder) -> None:
    train, infer, evaluate = chain(results)
    schedule = Schedule([train, infer, evaluate])
    for link in schedule.chain(train):
        schedule.start(link)
    schedule.finish(train)
    assert ready_keys(schedule) == []
    schedule.take_back(evaluate)
    schedule.take_back(infer)
    assert ready_keys(schedule) == ["i"]
    assert keys(schedule.chain(infer)) == ["i", "e"]
