"""What the runner does for a stage, however many others are under way: counted, not timed."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.running.attempts import attempt as attempts
from sft.experiments.running.attempts.attempt import ActiveJob
from sft.experiments.running.log_files import Logs
from sft.experiments.running.runner import Runner
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.runs import atomic
from sft.runs.files import ResultsFolder
from tests.support.fake_executor import Shown, chain
from tests.support.played_cluster import Course, PlayedCluster, leave_result

CHAINS = 12


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often what is called."""
    found: Counter[str] = Counter()

    def counted(place: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(place, name)

        def call(*arguments: Any, **more: Any) -> Any:
            found[name] += 1
            return original(*arguments, **more)

        monkeypatch.setattr(place, name, call)

    for place, name in ((attempts, "read_progress"), (attempts, "_sign"), (Logs, "cap"), (atomic, "atomic_file")):
        counted(place, name)
    counted(ActiveJob, "check_limits")
    return found


def run(results: ResultsFolder, *, at_once: int, tick_seconds: float = 0.0) -> None:
    course = Course(slots=2, at_once=at_once, queue_seconds=0.0, failures=0.0)
    work = workload({f"e{number}": chain(results, str(number)) for number in range(CHAINS)})
    cluster = PlayedCluster(course, leave_result)
    cluster.expect(list(work.needed.values()))
    around = Surroundings(backoff_seconds=0.0, tick_seconds=tick_seconds)
    summary = Runner(results, cluster, Shown(), lambda: None, RunSettings(), around).run(work)
    assert len(summary.finished) == 3 * CHAINS


def test_files_looked_at_and_written_are_the_same_however_many_jobs_wait_in_a_queue(
    tmp_path: Path, calls: Counter[str]
) -> None:
    found = []
    for at_once in (4, CHAINS):
        run(ResultsFolder(tmp_path / str(at_once)), at_once=at_once)
        found.append({name: calls[name] for name in ("read_progress", "_sign", "cap", "atomic_file")})
        calls.clear()
    assert found[0] == found[1]
    assert found[0]["read_progress"] > 3 * CHAINS


def test_limits_are_not_looked_at_for_each_end(results: ResultsFolder, calls: Counter[str]) -> None:
    run(results, at_once=CHAINS, tick_seconds=1000.0)
    assert calls["check_limits"] <= 3 * CHAINS  # once, at the first look at what was submitted
