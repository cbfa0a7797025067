"""What is said before the first job and after the last one: how many experiments stand how, and how to go on."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.experiments.running.summary import (
    Detached,
    ExperimentFacts,
    RunFacts,
    experiment_facts,
    failed_beside,
    reuse_of,
)
from sft.experiments.upkeep.results_view import title_of
from sft.runs.attempts import last_line
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import STAGES, StatusRecord, read_json_or_none
from sft.runs.states import FAILED, FINISHED, STOPPED, UNDER_WAY, WAITING, ExperimentState, reason, runs_again
from sft.terminal.job_story import story
from sft.wording import and_more, counted, duration, some, without_numbers

STATES: tuple[ExperimentState, ...] = (*FINISHED, *FAILED, *STOPPED, "not started", WAITING)
NOT_REACHED: tuple[ExperimentState, ...] = (*FAILED, WAITING)
ALIKE_SHOWN = 3
"""Failures for the same reason that are shown whole; the others by name."""
REASONS_SHOWN = 20
TEXT_WIDTH = 70


@dataclass(frozen=True)
class Ending:
    """How a run ended as a whole."""

    results: ResultsFolder
    seconds: float
    """It took."""

    stopped: bool = False
    """Whether a signal ended it."""

    command: str | None = None
    """What runs failed experiments again; None where the same command does, or nothing."""

    detached: Detached | None = None
    """What was left to a cluster."""


def opening_line(facts: RunFacts) -> str:
    """`done 41, submitted before 4, retry 3 (killed 2, preempted 1), new 5`: what the run finds.

    Args:
        facts: of the files before the first job; nothing is tried yet.
    """
    found = experiment_facts(facts)
    counts = Counter(item.state for item in found)
    open_ = [item for item in found if item.state == "not started"]
    left = [item for item in open_ if item.job is None or item.job.folder.path not in facts.adopted]
    retried = Counter(why for item in left if (why := _why_again(item.status)) is not None)
    new = len(left) - retried.total()
    why = ", ".join(f"{kind} {count}" for kind, count in retried.most_common())
    parts = [
        f"done {counts['done'] + counts['predicted']}",
        *([f"submitted before {len(open_) - len(left)}"] if len(open_) > len(left) else []),
        f"retry {retried.total()}" + (f" ({why})" if why else ""),
        f"new {new}",
    ]
    return ", ".join([*parts, *([f"{WAITING} {counts[WAITING]}"] if counts[WAITING] else [])])


def closing_lines(facts: RunFacts, ending: Ending) -> list[str]:
    """The summary of a run: what failed and why, what ran and what that saved, the counts, and how to go on."""
    found = experiment_facts(facts)
    beside = failed_beside(facts)
    lines = [
        *_failed_lines(found, ending.results),
        *_beside_lines(beside, ending.results),
        *([_stages_line(facts, ending)] if ending.detached is None else []),
    ]
    counts = Counter(item.state for item in found)
    told = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state] or state == "done")
    if ending.detached is not None:
        lines.append(_detached_line(ending.detached, counts, _collected(facts)))
    elif ending.stopped:
        lines.append(f"stopped: {told}. Run the same command to continue.")
    else:
        lines.append(f"finished: {told}")
    is_held = any(counts[state] for state in NOT_REACHED) or any(
        not runs_again(status, status.stage) for status in beside.values()
    )
    if ending.command is not None and is_held:
        lines.append(f"To run again what failed: {ending.command}")
    return lines


def _detached_line(left: Detached, counts: Mapping[ExperimentState, int], collected: Sequence[str]) -> str:
    """What was submitted, and what becomes of it."""
    submitted = f"{counted(left.chains, 'chain')} with {counted(left.stages, 'stage')} submitted to {left.executor}"
    told = [submitted if left.chains else f"nothing new to submit to {left.executor}"]
    told += [f"{counted(left.before, 'stage')} there since before"] if left.before else []
    told += [f"{counted(left.left_out, 'stage')} left out for now (max_pending)"] if left.left_out else []
    told += collected
    done = sum(counts[state] for state in FINISHED)
    told += [f"{counted(done, 'experiment')} done"] if done else []
    return f"detached: {', '.join(told)}. The same command collects them and writes the board."


def _why_again(status: StatusRecord | None) -> str | None:
    """In one word why a stage that was begun is run again; None where it never was."""
    if status is None or status.state == "pending":
        return None
    if status.state in UNDER_WAY:
        return "lost"
    if status.state == "failed":
        return "failed" if status.error is None else status.error.kind
    return "damaged" if status.state in FINISHED else status.state


def _stages_line(facts: RunFacts, ending: Ending) -> str:
    reuse = reuse_of(facts)
    ends = [status for path in facts.tried if (status := facts.statuses.get(path)) is not None]
    ran = sum(status.stage in STAGES and status.state in (*FINISHED, *FAILED) for status in ends)
    parts = [
        f"{counted(ran, 'stage')} run in {duration(ending.seconds)}",
        *_collected(facts),
        f"{reuse.stages} reused",
    ]
    text = ", ".join(parts)
    return text + (f", which saved {duration(reuse.seconds)}" if reuse.seconds else "")


def _collected(facts: RunFacts) -> list[str]:
    """What ended while nobody watched it, which is neither run in this run nor reused."""
    return [f"{counted(len(facts.collected), 'stage')} ended since the last run"] if facts.collected else []


def _beside_lines(beside: Mapping[Path, StatusRecord], results: ResultsFolder) -> Iterator[str]:
    """The baselines and exports that failed, the first few whole; no experiment lacks anything without them."""
    by_stage: dict[str, dict[Path, StatusRecord]] = {}
    for path, status in beside.items():
        by_stage.setdefault(path.parent.name, {})[path] = status
    for stage, failed in by_stage.items():
        again = f"; the same command tries {'it' if len(failed) == 1 else 'them'} again" if stage == "export" else ""
        yield f"{counted(len(failed), stage)} failed, for which no experiment waits{again}:"
        for path, status in list(failed.items())[:ALIKE_SHOWN]:
            yield f"  {story(title_of(JobFolder(path)), path.name, status, status.state, results)}"
        if len(failed) > ALIKE_SHOWN:
            yield f"  ...{and_more(len(failed), ALIKE_SHOWN)}"


def _failed_lines(found: Sequence[ExperimentFacts], results: ResultsFolder) -> Iterator[str]:
    """Failures for the same reason together, the first of them whole."""
    alike: dict[str, list[ExperimentFacts]] = {}
    for item in found:
        if item.state in NOT_REACHED:
            alike.setdefault(without_numbers(reason(item.status)), []).append(item)
    for items in list(alike.values())[:REASONS_SHOWN]:
        shown = _shown_whole(items)
        for item in shown:
            yield from _failed(item, results)
        if rest := [item for item in items if item not in shown]:
            yield f"  {len(rest)} more failed in the same way: {some([item.name for item in rest])}"
    if left := list(alike.values())[REASONS_SHOWN:]:
        yield f"{sum(map(len, left))} more failed for {counted(len(left), 'other reason')}: `sft status` shows them"


def _shown_whole(items: Sequence[ExperimentFacts]) -> list[ExperimentFacts]:
    """The first that failed at each stage, where these are few, else the first."""
    first: dict[Path | None, ExperimentFacts] = {}
    for item in items:
        first.setdefault(None if item.job is None else item.job.folder.path, item)
    return list(first.values())[: None if len(first) <= ALIKE_SHOWN else 1]


def _failed(item: ExperimentFacts, results: ResultsFolder) -> Iterator[str]:
    status = item.status
    yield story(item.name, item.id, status, "failed" if status is None else status.state, results)
    if status is not None and status.log is not None:
        last = last_line(results.path / status.log)
        yield f"  last line: {last}" if last else "  the log is empty"


def experiment_text(folder: JobFolder, rows: int) -> str:
    """The metrics of an experiment, where there are any, and its first rows with prediction and gold."""
    record = read_json_or_none(folder.metrics)
    lines = []
    if isinstance(record, dict):
        width = max(len(name) for name in record["results"])
        lines += [
            f"{name:<{width}}  {'n/a' if value is None else f'{value:.4f}'}"
            for name, value in record["results"].items()
        ]
    config = json.loads(folder.config.read_text("utf-8"))["config"]
    output_column = config["prompting"]["output_column"]
    with folder.predictions("test", "jsonl").open(encoding="utf-8") as file:
        for _, line in zip(range(rows), file, strict=False):
            lines += ["", *_row_lines(json.loads(line), output_column)]
    return "\n".join(lines) + "\n\n"


def _row_lines(row: dict[str, Any], output_column: str) -> list[str]:
    """The inputs first, then prediction and gold below each other, where the eye compares them."""
    ours = ("predictions", "index", "source_index", "label_logprobs", "probabilities", "icl_indices", output_column)
    inputs = [f"{name}: {_short(value)}" for name, value in row.items() if name not in ours]
    return [*inputs, f"  prediction: {_short(row['predictions'])}", f"  gold:       {_short(row.get(output_column))}"]


def _short(value: Any) -> str:
    text = " ".join(str("" if value is None else value).split())
    return text if len(text) <= TEXT_WIDTH else f"{text[: TEXT_WIDTH - 3]}..."
