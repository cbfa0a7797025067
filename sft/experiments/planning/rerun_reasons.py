"""`plan --why`: in which keys each stage that would run differs from the nearest finished stage of its kind."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sft.experiments.planning.reuse import PlannedRun
from sft.pipeline.differences import Difference, differences, leaves
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import is_done
from sft.runs.records import JobRecord, StageName, read_job
from sft.runs.states import reason
from sft.wording import counted, some

MAX_COMPARISONS = 2_000_000
"""Above this only some of the finished stages are compared with; 1,400 stages and as many finished ones are below."""
SHOWN_GROUPS = 20
SHOWN_DIFFERENCES = 8
SHOWN_NAMES = 3

Items = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class _Finished:
    folder: JobFolder
    items: Items


def plan_reasons(run: PlannedRun, results: ResultsFolder) -> dict[Path, list[Difference]]:
    """Job folder -> why it runs, of every job that the next run would run.

    Args:
        run: the jobs of a plan.
        results: where finished stages lie.
    """
    told = {path: reason(standing.status, standing.state) for path, standing in run.stopped().items()}
    return rerun_reasons(list(run.to_run.values()), told, results)


def rerun_reasons(
    to_run: Sequence[PlannedJob], told: Mapping[Path, str], results: ResultsFolder
) -> dict[Path, list[Difference]]:
    """Job folder -> its differences from the nearest finished stage, or one without a key that says why in words.

    Args:
        to_run: the stages that would run, each once.
        told: job folder -> why it runs, of those that need no comparison, because they were tried before.
        results: where finished stages lie.
    """
    found: dict[Path, list[Difference]] = {}
    for stage, jobs in _by_stage(to_run).items():
        new = [job for job in jobs if job.folder.path not in told]
        nearest = _nearest(new, _finished(stage, results) if new else [])
        for job in jobs:
            path = job.folder.path
            if path in told:
                found[path] = [Difference("", told[path])]
            elif path in nearest:
                found[path] = differences(read_job(nearest[path].job), job.record)
            else:
                found[path] = [Difference("", "no finished stage to compare with")]
    return found


def why_lines(to_run: Sequence[PlannedJob], reasons: Mapping[Path, Sequence[Difference]]) -> list[str]:
    """One line per stage and set of differences, the most frequent first.

    Args:
        to_run: the stages that would run, each once.
        reasons: of each, by its folder.
    """
    lines = [line for stage, jobs in _by_stage(to_run).items() for line in _stage_lines(stage, jobs, reasons)]
    return ["Why (keys that differ from the nearest finished stage):", *lines] if lines else []


def _by_stage(jobs: Sequence[PlannedJob]) -> dict[StageName, list[PlannedJob]]:
    """The jobs of each stage, in their order."""
    found: dict[StageName, list[PlannedJob]] = defaultdict(list)
    for job in jobs:
        found[job.record.stage].append(job)
    return found


def _stage_lines(
    stage: StageName, jobs: Sequence[PlannedJob], reasons: Mapping[Path, Sequence[Difference]]
) -> Iterator[str]:
    groups: dict[tuple[str, ...], _Group] = defaultdict(_Group)
    for job in jobs:
        found = reasons[job.folder.path]
        words = [item.text for item in found if not item.key]
        groups[*(item.key for item in found), *words].add(job, found)
    ordered = sorted(groups.values(), key=lambda group: -len(group.names))
    for group in ordered[:SHOWN_GROUPS]:
        names = list(dict.fromkeys(group.names))  # folds have several stages of a kind
        yield f"  {counted(len(group.names), f'{stage} stage')} ({some(names, SHOWN_NAMES)}): {group.text()}"
    if len(ordered) > SHOWN_GROUPS:
        rest = sum(len(group.names) for group in ordered[SHOWN_GROUPS:])
        yield f"  ... and {counted(rest, f'{stage} stage')} in {counted(len(ordered) - SHOWN_GROUPS, 'other group')}"


class _Group:
    """Stages that differ in the same keys from what is finished."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._texts: dict[str, dict[str, None]] = defaultdict(dict)

    def add(self, job: PlannedJob, found: Sequence[Difference]) -> None:
        """A stage and its differences."""
        self.names.append(job.record.name)
        for item in found:
            self._texts[item.key].setdefault(item.text)

    def text(self) -> str:
        """Each key with its values, of several values the first."""
        shown = []
        for texts in list(self._texts.values())[:SHOWN_DIFFERENCES]:
            more = f" (and {counted(len(texts) - 1, 'other change')})" if len(texts) > 1 else ""
            shown.append(f"{next(iter(texts))}{more}")
        if len(self._texts) > SHOWN_DIFFERENCES:
            shown.append(f"and {counted(len(self._texts) - SHOWN_DIFFERENCES, 'more key')}")
        return "; ".join(shown)


def _nearest(jobs: Sequence[PlannedJob], finished: Sequence[_Finished]) -> dict[Path, JobFolder]:
    """The finished stage with the fewest differences, the first of equals."""
    if not jobs or not finished:
        return {}
    step = -(-len(jobs) * len(finished) // MAX_COMPARISONS)
    candidates = finished[::step]
    wanted = {job.folder.path: _items(job.record) for job in jobs}
    # What all have in common tells nothing, and most is common: the rest is small to compare.
    common = frozenset.intersection(*wanted.values(), *(stage.items for stage in candidates))
    reduced = [(stage.items - common, stage.folder) for stage in candidates]
    found = {}
    for path, items in wanted.items():
        own = items - common
        found[path] = min(reduced, key=lambda stage: _distance(own, stage[0]))[1]
    return found


def _distance(one: Items, other: Items) -> tuple[int, int]:
    """How many fields differ, and how many of them only one has."""
    items = one ^ other
    fields = {field for field, _ in items}
    return len(fields), 2 * len(fields) - len(items)


def _finished(stage: StageName, results: ResultsFolder) -> list[_Finished]:
    """The finished stages of a kind whose jobs say what their keys were made of."""
    found = []
    for folder in results.job_folders(stage):
        try:
            record = read_job(folder.job)
        except (OSError, ValueError, TypeError):
            continue
        if record.key_fields and is_done(folder):
            found.append(_Finished(folder, _items(record)))
    return found


def _items(record: JobRecord) -> Items:
    return frozenset(leaves(record.key_fields).items())
