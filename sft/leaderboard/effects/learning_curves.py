"""Learning curves: groups that are equal but for their shots, from zero-shot on where there is one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sft.config.seeds import is_seed
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.effects.axis_sources import OF_EXAMPLES, OF_TRAINING, SHOTS, is_within
from sft.leaderboard.gathering import common_name
from sft.leaderboard.groups import Group, summary
from sft.leaderboard.in_force import default_settings
from sft.leaderboard.records import CurvePoint, LearningCurve
from sft.leaderboard.setting_differences import SECTION, setting_columns
from sft.leaderboard.settings import adapter_method
from sft.leaderboard.statistics.comparison import BoardRuns
from sft.wording import distinct_texts


@dataclass(frozen=True)
class PlannedCurve:
    """Groups of one learning curve, fewest shots first; no number was looked at."""

    name: str
    settings: Mapping[str, Any]
    groups: tuple[Group, ...]


def planned_curves(groups: Sequence[Group]) -> list[PlannedCurve]:
    """The curves of a board: at least two numbers of shots, and two runs that are not the same.

    A curve begins at its own zero-shot group, which differs in nothing that has an effect there, examples from the
    whole train split included; where there is none, at the one that shows no row and is set alike otherwise. One that
    calibrates on the whole train split begins none.

    Args:
        groups: of the board.
    """
    if len(set(map(shots_of, groups))) < 2:
        return []
    gathered: dict[object, list[Group]] = {}
    zero_shot: dict[object, list[Group]] = {}
    for group in sorted(groups, key=lambda group: group.name):
        run = group.runs[0]
        if shots_of(group) != 0:
            gathered.setdefault(_rest(run.settings_in_force, (SHOTS,)), []).append(group)
        elif not run.in_force.calibrates_on_pool:
            zero_shot.setdefault(_rest(run.settings_in_force, (SHOTS, *OF_TRAINING)), []).append(group)
    found = []
    for own in gathered.values():
        settings = own[0].runs[0].settings_in_force
        bare = settings | {path: default_settings()[path] for path in ("inference.icl_examples", *OF_EXAMPLES)}
        starts = (zero_shot.get(_rest(one, (SHOTS, *OF_TRAINING)), []) for one in (settings, bare))
        first = next(filter(None, starts), [])
        curve = _one_each(sorted([*first[:1], *own], key=_place))
        if _is_curve(curve):
            found.append(tuple(curve))
    return _named(found)


def _one_each(groups: Sequence[Group]) -> list[Group]:
    """Without numbers of shots that several groups have: equal settings with other data are no curve."""
    counts = Counter(map(shots_of, groups))
    return [group for group in groups if counts[shots_of(group)] == 1]


def shots_of(group: Group) -> int | str:
    """As in the config; 0 where they have no effect."""
    shots = group.runs[0].settings_in_force.get(SHOTS)
    return shots if isinstance(shots, int) else str(shots)


def _rest(settings: Mapping[str, Any], left_out: tuple[str, ...]) -> object:
    """What is equal in the groups of a curve."""
    return frozenset(
        (path, repr(value))
        for path, value in settings.items()
        if value is not None and not is_seed(path) and not is_within(path, left_out)
    )


def _place(group: Group) -> tuple[bool, float]:
    shots = shots_of(group)
    return isinstance(shots, str), 0.0 if isinstance(shots, str) else shots


def _is_curve(groups: Sequence[Group]) -> bool:
    """Numbers of shots that change nothing give the same runs, and those are no curve."""
    runs = {frozenset(run.id for run in group.runs) for group in groups}
    return len(set(map(shots_of, groups))) > 1 and len(runs) > 1


def _named(curves: Sequence[tuple[Group, ...]]) -> list[PlannedCurve]:
    """The curves by what their groups' names have in common, else by the settings in which the curves differ."""
    runs = [groups[-1].runs[0] for groups in curves]
    columns = setting_columns([run.settings_in_force for run in runs])
    paths = [path for path, keys in columns.items() if path != SHOTS and SECTION not in keys]
    values = [
        {path: value for path in paths if (value := run.settings_in_force.get(path)) is not None} for run in runs
    ]
    names = [common_name([group.name for group in groups if shots_of(group) != 0]) for groups in curves]
    for others in (_by_settings(values, runs), [groups[-1].name for groups in curves]):
        counts = Counter(names)
        names = [name if name and counts[name] == 1 else other for name, other in zip(names, others, strict=True)]
    return [PlannedCurve(*curve) for curve in zip(names, values, curves, strict=True)]


def _by_settings(values: Sequence[Mapping[str, Any]], runs: Sequence[ExperimentRecord]) -> list[str]:
    """The model and the adapter name a curve that no setting tells from others."""
    paths = dict.fromkeys(path for own in values for path in own)
    texts = {path: distinct_texts([own.get(path) for own in values]) for path in paths}
    told = [", ".join(f"{path} {texts[path][place]}" for path in own) for place, own in enumerate(values)]
    return [
        text or f"{run.setting('model.name')}, {adapter_method(run)}" for text, run in zip(told, runs, strict=True)
    ]


def learning_curves(planned: Sequence[PlannedCurve], runs: BoardRuns) -> tuple[LearningCurve, ...]:
    """The curves with their numbers, without those of which fewer than two groups have one.

    Args:
        planned: of one board.
        runs: of the board.
    """
    found = []
    for plan in planned:
        points = [_point(group, runs) for group in plan.groups]
        known = tuple(point for point in points if point is not None)
        if len(known) > 1:
            found.append(LearningCurve(plan.name, plan.settings, runs.samples.metric, known))
    return tuple(found)


def _point(group: Group, runs: BoardRuns) -> CurvePoint | None:
    found = summary(group.runs, runs.samples.metric)
    if found is None:
        return None
    interval = runs.interval(group)
    count = group.runs[0].part("data").get("n_train")
    return CurvePoint(
        shots=shots_of(group),
        n_train=count if isinstance(count, int) else None,
        group=group.name,
        value=found.mean,
        low=None if interval is None else interval[0].low,
        high=None if interval is None else interval[0].high,
        n=found.n,
    )
