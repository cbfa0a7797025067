"""Which set-ups are shown to beat the baselines of their board, on the same test rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sft.evaluation.metrics.row_sums import RowSums
from sft.evaluation.row_metrics import row_sums
from sft.evaluation.rows import read_rows
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.groups import Group, summary
from sft.leaderboard.records import LEVEL, Baseline
from sft.leaderboard.statistics.comparison import BoardRuns
from sft.leaderboard.statistics.formulas import Floats
from sft.leaderboard.statistics.run_samples import outcomes_of, sampled
from sft.leaderboard.statistics.seed_clusters import Difference


@dataclass(frozen=True)
class _Sampled:
    """A baseline on one set of shots, with its samples on the same rows as those of the board's runs."""

    sums: RowSums
    samples: Floats


def with_baselines(groups: Sequence[Group], baselines: Sequence[Baseline], runs: BoardRuns) -> tuple[Group, ...]:
    """The set-ups, each with the baselines that it is not shown to beat.

    A set-up stands beside the baselines of its input columns and as many shots, and one that uses no shots beside all;
    each of its runs beside the baseline on its own shots. A single run of a set-up that seeds move is judged as that
    run. p is not corrected, as baselines are in no family. Where rows are not known the means decide.

    Args:
        groups: of one board.
        baselines: of that board.
        runs: of the board.
    """
    known = list(zip(baselines, _sampled(baselines, groups, runs), strict=True)) if groups else []
    found = []
    for group in groups:
        run = group.runs[0]
        columns = tuple(run.setting("prompting.input_columns") or ())
        own = [pair for pair in known if pair[0].input_columns == columns] or known
        alike = [pair for pair in own if pair[0].shots == run.setting("dataset.shots")] or own
        titles = dict.fromkeys(one.title for one, samples in alike if not _is_above(group, one, samples, runs))
        found.append(replace(group, not_above=tuple(titles)))
    return tuple(found)


def _sampled(
    baselines: Sequence[Baseline], groups: Sequence[Group], runs: BoardRuns
) -> list[Mapping[str, _Sampled] | None]:
    """Of each baseline by the hash of the shots; None where the rows of one set do not give the board's metric."""
    metric, metrics = runs.samples.metric, groups[0].runs[0].metrics
    sums = []
    for baseline in baselines:
        rows = {one.train_indices_sha256: None if one.rows is None else read_rows(one.rows) for one in baseline.sets}
        found = {shots: row_sums(metric, own, metrics) for shots, own in rows.items() if own is not None}
        usable = {s: own for s, own in found.items() if own is not None and own.n_rows == runs.samples.n_rows}
        sums.append(usable if len(usable) == len(rows) else {})
    together = [own for usable in sums for own in usable.values()]
    values = iter(sampled(together, metric) if together else ())
    return [
        {shots: _Sampled(own, next(values)) for shots, own in usable.items()} if usable else None for usable in sums
    ]


def _is_above(group: Group, baseline: Baseline, known: Mapping[str, _Sampled] | None, runs: BoardRuns) -> bool:
    metric, higher = runs.samples.metric, runs.comparer.scale.higher_is_better
    own, other = summary(group.runs, metric), baseline.results.get(metric)
    if own is None or other is None:
        return True
    if known is None or not runs.samples.has_all(run.id for run in group.runs):
        return own.mean > other if higher else own.mean < other
    pairs = [
        _beside(alone, run, runs.samples.sums[run.id].sums, known)
        for alone, run in zip(runs.alone(group), group.runs, strict=True)
    ]
    finding = runs.comparer.mean(pairs)
    return finding.uncertainty.p < LEVEL and (finding.difference > 0) == higher


def _beside(alone: Difference, run: ExperimentRecord, sums: RowSums, known: Mapping[str, _Sampled]) -> Difference:
    """A run less the baseline on its own shots; where it has none, less the mean over all."""
    own = [known[run.shots_sha256]] if run.shots_sha256 in known else list(known.values())
    return replace(
        alone,
        observed=alone.observed - float(np.mean([one.sums.whole for one in own])),
        samples=alone.samples - np.mean([one.samples for one in own], axis=0),
        outcomes=outcomes_of(sums, own[0].sums) if len(own) == 1 else None,
    )
