"""Learning curves: groups that are equal but for their shots, from zero-shot on where there is one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError

from sft.config.seeds import is_seed
from sft.errors import SftError
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.gathering import common_name
from sft.leaderboard.groups import Group, summary
from sft.leaderboard.records import CurvePoint, LearningCurve
from sft.leaderboard.setting_differences import SECTION, setting_columns
from sft.leaderboard.settings import adapter_method
from sft.leaderboard.statistics.comparison import BoardRuns
from sft.pipeline.needed_rows import calibrates_on_pool
from sft.wording import plain_text

SHOTS = "dataset.shots"

_NO_EFFECT_AT_ZERO = (
    *("lora", "adapter", "training", "dataset.if_fewer", "dataset.max_n_train"),
    *("inference.icl_examples", "inference.icl_selection", "inference.icl_encoder", "inference.random_icl"),
)


@dataclass(frozen=True)
class PlannedCurve:
    """Groups of one learning curve, fewest shots first; no number was looked at."""

    name: str
    settings: Mapping[str, Any]
    groups: tuple[Group, ...]


def planned_curves(groups: Sequence[Group]) -> list[PlannedCurve]:
    """The curves of a board: at least two numbers of shots, and two runs that are not the same.

    A zero-shot group shows and trains on no row; it begins every curve that is set like it in all that matters
    without rows. One that takes in-context examples from the whole train split, or calibrates on it, begins none.

    Args:
        groups: of the board.
    """
    if len(set(map(shots_of, groups))) < 2:
        return []
    gathered: dict[object, list[Group]] = {}
    zero_shot: dict[object, list[Group]] = {}
    for group in sorted(groups, key=lambda group: group.name):
        run = group.runs[0]
        if run.setting(SHOTS) != 0:
            gathered.setdefault(_rest(run, (SHOTS,)), []).append(group)
        elif _sees_no_rows(run):
            zero_shot.setdefault(_rest(run, (SHOTS, *_NO_EFFECT_AT_ZERO)), []).append(group)
    found = []
    for own in gathered.values():
        first = zero_shot.get(_rest(own[0].runs[0], (SHOTS, *_NO_EFFECT_AT_ZERO)), [])[:1]
        curve = _one_each(sorted([*first, *own], key=_place))
        if _is_curve(curve):
            found.append(tuple(curve))
    return _named(found)


def _one_each(groups: Sequence[Group]) -> list[Group]:
    """Without numbers of shots that several groups have: equal settings with other data are no curve."""
    counts = Counter(map(shots_of, groups))
    return [group for group in groups if counts[shots_of(group)] == 1]


def shots_of(group: Group) -> int | str:
    """As in the config."""
    shots = group.runs[0].setting(SHOTS)
    return shots if isinstance(shots, int) else str(shots)


def _rest(run: ExperimentRecord, left_out: Sequence[str]) -> object:
    """What is equal in the groups of a curve."""
    skipped = frozenset(left_out)
    return frozenset(
        (path, repr(value))
        for path, value in run.settings.items()
        if not is_seed(path) and not _is_within(path, skipped)
    )


@cache
def _is_within(path: str, sections: frozenset[str]) -> bool:
    return any(path == section or path.startswith(f"{section}.") for section in sections)


def _place(group: Group) -> tuple[bool, float]:
    shots = shots_of(group)
    return isinstance(shots, str), 0.0 if isinstance(shots, str) else shots


def _is_curve(groups: Sequence[Group]) -> bool:
    """Numbers of shots that change nothing give the same runs, and those are no curve."""
    runs = {frozenset(run.id for run in group.runs) for group in groups}
    return len(set(map(shots_of, groups))) > 1 and len(runs) > 1


def _sees_no_rows(run: ExperimentRecord) -> bool:
    if run.setting("inference.icl_examples"):
        return False
    try:
        return not calibrates_on_pool(run.experiment)
    except (ValidationError, SftError, OSError):  # a config that this version cannot read
        return False


def _named(curves: Sequence[tuple[Group, ...]]) -> list[PlannedCurve]:
    """The curves by what their groups' names have in common, else by the settings in which the curves differ."""
    runs = [groups[-1].runs[0] for groups in curves]
    columns = setting_columns([run.settings for run in runs])
    paths = [path for path, keys in columns.items() if path != SHOTS and SECTION not in keys]
    settings = [{path: value for path in paths if (value := run.settings.get(path)) is not None} for run in runs]
    names = [common_name([group.name for group in groups if shots_of(group) != 0]) for groups in curves]
    return [
        PlannedCurve(name if name and names.count(name) == 1 else _by_settings(own, run), own, groups)
        for name, own, run, groups in zip(names, settings, runs, curves, strict=True)
    ]


def _by_settings(settings: Mapping[str, Any], run: ExperimentRecord) -> str:
    """The model and the adapter name a curve that no setting tells from others."""
    told = ", ".join(f"{path} {plain_text(value)}" for path, value in settings.items())
    return told or f"{run.setting('model.name')}, {adapter_method(run)}"


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
