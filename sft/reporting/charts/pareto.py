"""Quality by cost: set-ups that no other beats in both are joined by a line."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.reporting.charts.chart import Chart, chart, number, text, tooltip

MOST_NAMES = 12
"""Points of the front that are named."""
_ON_FRONT, _BEATEN = "not beaten in both", "beaten"


def pareto_charts(fronts: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """One chart per cost that is not the same everywhere, of the `pareto` of a board in `leaderboard.json`."""
    varied = [front for front in fronts if len({point["cost"] for point in front["points"]}) > 1]
    return [_pareto_chart(front) for front in varied]


def _pareto_chart(front: Mapping[str, Any]) -> Chart:
    cost, unit, metric = front["cost"], front["unit"], front["metric"]
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
        f"pareto_{cost.replace(' ', '_')}",
        f"{metric} by {cost}; the line joins what nothing beats in both",
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
