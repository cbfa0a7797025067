"""Effect plot: what each choice of the grid changed, against the reference it is compared with."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.reporting.charts.chart import Chart, chart, number, text, tooltip
from sft.reporting.formats.effect_text import compared_text

MOST_EFFECTS = 30
_ROW = 26
"""Pixels."""
_SHOWN = {
    "choice": "choice",
    "difference": "difference",
    "low": "from",
    "high": "to",
    "pairs": "pairs",
    "p": "p (Holm)",
}


def effects_chart(effects: Sequence[Mapping[str, Any]], metric: str) -> Chart | None:
    """Of the `effects` of a board in `leaderboard.json`, the first of them; None where there are none."""
    values = [_value(effect) for effect in effects[:MOST_EFFECTS]]
    if not values:
        return None
    y = text("choice") | {"axis": {"labelLimit": 260, "title": None}}
    title = f"difference in {metric}"
    return chart(
        "effects",
        f"Paired main effects on {metric}, with 95 % intervals",
        values,
        [
            {"mark": {"type": "rule", "style": "reference"}, "encoding": {"x": {"datum": 0, "type": "quantitative"}}},
            {
                "transform": [{"filter": "datum.low !== null"}],
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": number("low", title), "x2": {"field": "high"}, "y": y},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
                "encoding": {"x": number("difference", title), "y": y, "tooltip": tooltip(_SHOWN)},
            },
        ],
        height=_ROW * len(values),
    )


def _value(effect: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "choice": compared_text(effect),
        "difference": effect["difference"],
        "low": effect["low"],
        "high": effect["high"],
        "pairs": effect["n_pairs"],
        "p": effect["p_holm"],
    }
