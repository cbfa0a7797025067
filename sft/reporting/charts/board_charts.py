"""Charts of a board: effects, learning curves, quality by cost."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from sft.reporting.charts.chart import Chart, chart, number, text, tooltip
from sft.reporting.tables.effects import compared_text, has_choice
from sft.runs.files import slug
from sft.wording import distinct_cuts

MOST_EFFECTS = 30

_ROW, _LINE = 26, 14
"""Pixels of a row with one line, and of each further line."""

_LINE_LENGTH, _LABEL_LENGTH = 40, 72
"""Characters."""

_SHOWN = {
    "whole": "choice",
    "difference": "difference",
    "low": "from",
    "high": "to",
    "pairs": "pairs",
    "p": "p (Holm)",
}

MOST_NAMES = 12
"""Points of the front that are named."""

_ON_FRONT, _BEATEN = "on the front", "not on it"


def effects_chart(effects: Sequence[Mapping[str, Any]], metric: str) -> Chart | None:
    """Of the `effects` of a board in `leaderboard.json`, the first of them; None where there are none."""
    shown = effects[:MOST_EFFECTS]
    wholes = [compared_text(effect) for effect in shown]
    cuts = distinct_cuts(wholes, _LABEL_LENGTH)
    labels = [textwrap.wrap(cut.replace(" …", "\N{NO-BREAK SPACE}…"), _LINE_LENGTH) for cut in cuts]
    values = [
        _value(effect) | {"choice": "\n".join(lines), "whole": whole}
        for effect, lines, whole in zip(shown, labels, wholes, strict=True)
    ]
    if not values:
        return None
    lines = {"labelExpr": "split(datum.label, '\\n')", "labelLimit": 300}
    y = text("choice") | {"axis": {**lines, "title": None}}
    title = f"difference in {metric}"
    x = number("difference", title) | {"axis": {"titleAnchor": "end"}}
    return chart(
        "effects",
        f"Paired main effects on {metric}, each with its own 95 % interval",
        values,
        [
            {"mark": {"type": "rule", "style": "reference"}, "encoding": {"x": {"datum": 0, "type": "quantitative"}}},
            {
                "transform": [{"filter": "datum.low !== null"}],
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": y},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
                "encoding": {"x": x, "y": y, "tooltip": tooltip(_SHOWN)},
            },
        ],
        height=(_ROW + _LINE * (max(map(len, labels)) - 1)) * len(values),
    )


def _value(effect: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "difference": effect["difference"],
        "low": effect["low"],
        "high": effect["high"],
        "pairs": effect["n_pairs"],
        "p": effect["p_holm"],
    }


def learning_curve_chart(curves: Sequence[Mapping[str, Any]], metric: str) -> Chart | None:
    """Of the `learning_curves` of a board in `leaderboard.json`; None where there are none.

    The horizontal axis is the number of training rows, which `shots` per label stand for.
    """
    values = [value for curve in curves for value in _points(curve)]
    if not values:
        return None
    x = number("n_train", "training rows", {"type": "symlog", "constant": 4})
    y, color = number("value", metric), text("set_up")
    shown = tooltip({"set_up": "set-up", "shots": "shots", "n_train": "training rows", "value": metric})
    band = {"x": x, "y": number("low", metric), "y2": {"field": "high"}, "color": color}
    return chart(
        "learning_curve",
        f"{metric} by the number of training rows, with 95 % intervals",
        values,
        [
            {
                "transform": [{"filter": "datum.low !== null"}],
                "mark": {"type": "rule", "opacity": 0.5},
                "encoding": band,
            },
            {
                "mark": {"type": "line", "style": "series", "point": {"size": 50}},
                "encoding": {"x": x, "y": y, "color": color, "tooltip": shown},
            },
        ],
        height=280,
    )


def _points(curve: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"set_up": curve["name"], **{name: point[name] for name in ("n_train", "shots", "value", "low", "high")}}
        for point in curve["points"]
        if point["n_train"] is not None
    ]


def pareto_charts(fronts: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """One chart per cost in which set-ups differ, of the `pareto` of a board in `leaderboard.json`."""
    return [_pareto_chart(front) for front in fronts if has_choice(front)]


def _pareto_chart(front: Mapping[str, Any]) -> Chart:
    cost, unit, metric, tolerance = (front[key] for key in ("cost", "unit", "metric", "tolerance"))
    axis = cost if unit in cost else f"{cost} ({unit})"
    values = [
        {
            "set_up": point["group"],
            "cost": point["cost"],
            "value": point["value"],
            "front": _ON_FRONT if point["on_front"] else _BEATEN,
        }
        for point in front["points"]
    ]
    x, y = number("cost", axis, {"zero": True}) | {"axis": {"format": "~s"}}, number("value", metric)
    on_front = [{"filter": f"datum.front === '{_ON_FRONT}'"}]
    named = [*on_front, {"window": [{"op": "row_number", "as": "place"}]}, {"filter": f"datum.place <= {MOST_NAMES}"}]
    shown = tooltip({"set_up": "set-up", "cost": axis, "value": metric})
    color = text("front") | {"scale": {"domain": [_ON_FRONT, _BEATEN]}}
    return chart(
        f"pareto_{slug(cost).replace('-', '_')}",
        f"Mean {metric} by {cost}, with the Pareto front (costs within {100 * tolerance:.0f} % count as equal)",
        values,
        [
            {
                "transform": on_front,
                "mark": {"type": "line", "style": "reference", "interpolate": "step-after"},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
                "encoding": {"x": x, "y": y, "color": color, "tooltip": shown},
            },
            {
                "transform": named,
                "mark": {"type": "text", "align": "left", "dx": 7, "dy": -7, "limit": 160},
                "encoding": {"x": x, "y": y, "text": {"field": "set_up"}},
            },
        ],
        height=280,
    )
