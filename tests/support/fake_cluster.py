"""A cluster that is played: it runs a chain when it is told to, as a place of a real one would, without a process."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from sft.experiments.executors.chains.cluster import NoAnswer, Seen
from sft.experiments.executors.chains.executor import ChainExecutor
from sft.experiments.executors.handle import Submission
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import Lease, Request
from sft.experiments.running.runner import Runner
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.experiments.running.summary import RunSummary
from sft.pipeline.jobs import PlannedJob
from sft.runs.chains import Begun, Chain, Ended, Link, read_chain
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import is_done
from sft.runs.records import write_record
from tests.support.fake_executor import Play, Shown, succeed


class FakeCluster:
    """Runs chains at once, or keeps them waiting."""

    name = "fake"
    look_seconds = 0.01
    outlives_runner = True
    places: Mapping[str, str] | None = None
    gpus = 0
    at_once: float = 100
    threads = 1

    def __init__(self, plays: Mapping[str, Play] | None = None, *, waits: bool = False) -> None:
        """
        Args:
            plays: what jobs do, by the name of their folder; the others succeed.
            waits: whether chains stay in the queue.
        """
        self.plays = plays or {}
        self.waits = waits
        self.names: list[str] = []
        """Of all submissions, in order; the id is the place in it."""
        self.chains: list[Chain] = []
        self.requests: list[Request] = []
        self.commands: list[Sequence[str]] = []
        self.cancelled: list[str] = []
        self.cancellations: list[int] = []
        """How many each call was about."""
        self.seen: dict[str, Seen] = {}
        self.ended_well: dict[str, bool] = {}
        self.silent: list[str] = []
        """Questions that get no answer, one each time it is asked; `submit!` is done all the same."""
        self.sights: list[Callable[[Path], Seen | None]] = []
        """What the next questions are answered with whether a machine sees the folder; None while it waits."""
        self.probes = 0
        self.refusals: list[Exception] = []
        """What the next submissions are answered with."""
        self.closed = 0
        self.at_look: Callable[[], None] = lambda: None

    def check(self, _requests: Collection[Request]) -> None:
        """All is there."""

    def submit(self, name: str, command: Sequence[str], _log: Path, request: Request, _grace: float) -> str:
        self._answer("submit")
        if self.refusals:
            raise self.refusals.pop(0)
        if "--probe" in command:
            self.probes += 1
            identity = f"probe-{self.probes}"
            self.seen[identity] = self.sights.pop(0)(Path(command[-1])) or Seen("queued")
            return identity
        self.names.append(name)
        self.requests.append(request)
        self.commands.append(command)
        self.chains.append(read_chain(Path(command[-1])))
        identity = str(len(self.names) - 1)
        self.seen[identity] = Seen("queued")
        if not self.waits:
            self.run(identity)
        self._answer("submit!")
        return identity

    def run(self, identity: str) -> None:
        """Give a chain its place."""
        if any(self.ended_well.get(before) is not True for before in self.requests[int(identity)].after):
            self.seen[identity] = Seen("ended", is_hopeless=True)
            return
        self.seen[identity] = Seen("running")
        done: set[int] = set()
        chain = self.chains[int(identity)]
        for place, link in enumerate(chain.links):
            if not done.issuperset(link.needs) or not all(is_done(JobFolder(folder)) for folder in link.outside):
                write_record(link.tried.ended, Ended(75, was_begun=False))
                continue
            code = self._play(link)
            if code is None:
                return
            write_record(link.tried.ended, Ended(code))
            if code == 0:
                done.add(place)
        self.ended_well[identity] = len(done) == len(chain.links)
        self.seen[identity] = Seen("ended")

    def run_all(self) -> None:
        """Give every chain that waits its place, in order."""
        for identity in [identity for identity, seen in self.seen.items() if seen.standing == "queued"]:
            self.run(identity)

    def _play(self, link: Link) -> int | None:
        write_record(link.tried.begun, Begun("node", 4711, "fresh", 1, None))
        link.tried.stderr.write_text("first\nlast words\n")
        play = self.plays.get(link.folder.name, succeed)
        return play(Submission(link.job, link.tried, Lease()))

    def find(self, name: str) -> str | None:
        self._answer("find")
        return str(self.names.index(name)) if name in self.names else None

    def look(self, ids: Collection[str]) -> Mapping[str, Seen]:
        self._answer("look")
        self.at_look()
        return {identity: self.seen[identity] for identity in ids if identity in self.seen}

    def cancel(self, ids: Collection[str]) -> None:
        self._answer("cancel")
        self.cancelled += ids
        self.cancellations.append(len(ids))
        for identity in ids:
            self.seen[identity] = Seen("ended")

    def close(self) -> None:
        self.closed += 1

    def _answer(self, question: str) -> None:
        if question in self.silent:
            self.silent.remove(question)
            raise NoAnswer(f"no answer to {question}")


def run_chains(
    results: ResultsFolder,
    jobs: Sequence[PlannedJob],
    cluster: FakeCluster,
    display: Shown | None = None,
    patience: float = 0.05,
) -> RunSummary:
    """Run the jobs of an experiment on a cluster that is played."""
    shown = display or Shown()
    work = workload({"a": list(jobs)})
    executor = ChainExecutor(cluster, ExecutorOptions(), shown.say, patience)
    executor.expect(list(work.needed.values()))
    around = Surroundings(backoff_seconds=0.0, tick_seconds=0.01, board_seconds=0.0, mask=str)
    return Runner(results, executor, shown, lambda: None, RunSettings(), around).run(work)
