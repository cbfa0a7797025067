"""Effects, learning curves, calibration gains and Pareto fronts of a board as tables under a sentence each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sft.reporting.formats.effect_text import (
    compared_text,
    cost_text,
    difference_interval,
    effects_heading,
    has_choice,
    holm_text,
)
from sft.reporting.formats.group_table import interval_text

Record = Mapping[str, Any]

MOST_NAMES = 3
"""Settings that are named in one cell."""


@dataclass(frozen=True)
class EffectTable:
    """Headers and rows of text."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


def effect_sections(board: Record) -> Iterator[str | EffectTable]:
    """Sentences and tables in the order of the page; nothing of what the board does not have.

    Args:
        board: one of `boards` of a `leaderboard.json`.
    """
    if board["effects"]:
        yield f"{effects_heading(board['effects'])}; p corrected for their number (Holm)."
        yield EffectTable(
            ["effect", "axis", "difference", "95 % interval", "pairs", "seeds", "p (Holm)"],
            [_effect_row(effect) for effect in board["effects"]],
        )
    if board["learning_curves"]:
        yield f"Learning curves: mean {board['learning_curves'][0]['metric']} by shots, with the 95 % interval."
        yield EffectTable(*_curves(board["learning_curves"]))
    if board["calibration_gains"]:
        yield "Calibration gains: the same runs with and without calibrator; p corrected for their number (Holm)."
        yield EffectTable(
            ["group", "calibrator", "without", "with", "difference", "95 % interval", "runs", "p (Holm)"],
            [_gain_row(gain) for gain in board["calibration_gains"]],
        )
    if any(has_choice(front) for front in board["pareto"]):
        metric = board["pareto"][0]["metric"]
        yield f"Pareto fronts: no other group has as good a {metric} at as low a cost (means over a group's runs)."
        yield EffectTable(["cost", "group", "mean cost", metric], list(_front_rows(board["pareto"])))


def _effect_row(effect: Record) -> list[str]:
    return [
        compared_text(effect),
        _axis_text(effect),
        f"{effect['difference']:+.4f}",
        difference_interval(effect),
        str(effect["n_pairs"]),
        str(effect["n_seeds"]),
        holm_text(effect),
    ]


def _axis_text(effect: Record) -> str:
    """The setting and what changes with it, as far as it fits a cell."""
    names = [effect["axis"], *effect["also"]]
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{names[0]} and {len(names) - 1} more settings"


def _gain_row(gain: Record) -> list[str]:
    return [
        gain["group"],
        gain["calibrator"],
        f"{gain['uncalibrated']:.4f}",
        f"{gain['calibrated']:.4f}",
        f"{gain['difference']:+.4f}",
        difference_interval(gain),
        str(gain["n"]),
        holm_text(gain),
    ]


def _curves(curves: Sequence[Record]) -> tuple[list[str], list[list[str]]]:
    """One row per curve, one column per number of shots."""
    shots = {point["shots"] for curve in curves for point in curve["points"]}
    ordered = sorted(shots, key=lambda number: (isinstance(number, str), number))
    rows = []
    for curve in curves:
        cells = {point["shots"]: _curve_cell(point) for point in curve["points"]}
        rows.append([curve["name"], *(cells.get(number, "") for number in ordered)])
    return ["curve", *(f"{number} shots" for number in ordered)], rows


def _curve_cell(point: Record) -> str:
    interval = "" if point["low"] is None else f" {interval_text(point)}"
    return f"{point['value']:.4f}{interval}"


def _front_rows(fronts: Sequence[Record]) -> Iterator[list[str]]:
    for front in fronts:
        for point in front["points"]:
            if point["on_front"] and has_choice(front):
                yield [front["cost"], point["group"], cost_text(point["cost"], front), f"{point['value']:.4f}"]
