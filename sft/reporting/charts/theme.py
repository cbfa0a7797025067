"""How charts look: the same on the page and as files."""

from typing import Any

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
LIGHT = {"text": "#1d2330", "muted": "#5b6475", "grid": "#e3e7ee", "accent": "#1f5fbf", "reference": "#8a93a5"}
DARK = {"text": "#e6e9f0", "muted": "#a3adbf", "grid": "#323a49", "accent": "#7fb0ff", "reference": "#8a93a5"}
SERIES = ["#1f77b4", "#e07a1f", "#2a9d8f", "#b5489b", "#8d6e3f", "#d1495b", "#5f6caf", "#6b8e23"]
"""Told apart by most colour-blind readers, on light and dark ground."""

BELOW = {"tickCount": {"signal": "max(3, floor(width / 60))"}, "labelSeparation": 8}
"""The axis of numbers below a chart: a tick every 60 pixels, about, and at least 8 between two labels."""


def theme(colours: dict[str, str]) -> dict[str, Any]:
    """The Vega-Lite `config` for a ground, `LIGHT` or `DARK`."""
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": colours["muted"],
            "titleColor": colours["text"],
            "gridColor": colours["grid"],
            "domainColor": colours["grid"],
            "tickColor": colours["grid"],
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
        },
        "axisXQuantitative": BELOW,
        "legend": {
            "labelColor": colours["text"],
            "titleColor": colours["text"],
            "orient": "bottom",
            "columns": 3,
            "symbolOpacity": 1,
            "labelLimit": 320,
            "labelFontSize": 12,
        },
        "mark": {"color": colours["accent"]},
        "text": {"color": colours["text"], "fontSize": 12},
        "rule": {"color": colours["accent"]},
        "style": {
            "reference": {
                "color": colours["reference"],
                "stroke": colours["reference"],
                "strokeDash": [4, 4],
                "strokeWidth": 1,
            },
            "series": {"strokeWidth": 2},
        },
        "range": {"category": SERIES},
    }
