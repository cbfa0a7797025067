"""Learning curve: the metric by shots, a line per set-up, with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.reporting.charts.chart import Chart, chart, number, text, tooltip


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
