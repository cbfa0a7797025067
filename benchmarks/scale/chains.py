"""What the executor of chains costs while thousands of stages wait in the queue of a cluster, and some run."""

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Figure
from sft.experiments.executors.chains.cluster import Seen
from sft.experiments.executors.chains.executor import FILE_SECONDS, ChainExecutor
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import JobAttempt, Request
from sft.runs.attempts import begin_attempt
from sft.runs.chains import Begun
from sft.runs.files import JobFolder
from sft.runs.records import write_record
from tests.support.fake_cluster import FakeCluster

CHAINS, RUNNING, LENGTH = 400, 100, 11
ROUNDS = 40


def figures(folder: Path) -> Iterator[Figure]:
    """Handing chains over, then the looks at their files: while all wait, and while some run."""
    cluster = FakeCluster(waits=True)
    cluster.look_seconds = 1e9  # the questions to the cluster are not measured
    executor = ChainExecutor(cluster, ExecutorOptions(), print)
    chains = [[_begun(folder, chain, number) for number in range(LENGTH)] for chain in range(CHAINS)]
    began = time.process_time()
    handles = [executor.submit(chain, Request()) for chain in chains]
    cpu = time.process_time() - began
    yield Figure("handing over a chain of 11 stages", 1000 * cpu / CHAINS, "ms of CPU", f"{CHAINS} chains")
    yield Figure(f"{CHAINS} chains in the queue", _share(executor), "% of a core")
    for number, chain in enumerate(handles[:RUNNING]):
        cluster.seen[str(number)] = Seen("running")
        write_record(chain[0].job.attempt.path / "begun.json", Begun("node", 4711, "fresh", 1, None))
    yield Figure(f"{RUNNING} of them running", _share(executor), "% of a core")
    executor.close()


def _begun(folder: Path, chain: int, number: int) -> JobAttempt:
    job = JobFolder(folder / f"{chain}-{number}")
    return JobAttempt(job, begin_attempt(job))


def _share(executor: ChainExecutor) -> float:
    executor.ended(0.0)
    began = time.process_time()
    for _ in range(ROUNDS):
        executor.ended(0.0)
    return 100 * (time.process_time() - began) / ROUNDS / FILE_SECONDS
