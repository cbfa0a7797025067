"""Confusion matrix: gold labels down, predictions across, shaded by the share of the gold label's rows."""

from sft.reporting.charts.chart import Chart, chart, text, tooltip
from sft.reporting.details.confusion import Confusion

CELL = 34
"""Pixels."""
_DARK = 0.55
"""A share of the gold label's rows on whose shade white is read better than black."""


def confusion_chart(confusion: Confusion) -> Chart:
    """A cell per pair with its count."""
    values = [
        {"gold": gold, "predicted": predicted, "rows": count, "share": count / max(1, sum(row))}
        for gold, row in zip(confusion.labels, confusion.counts, strict=True)
        for predicted, count in zip(confusion.labels, row, strict=True)
    ]
    x = text("predicted", "prediction") | {"axis": {"orient": "top", "labelAngle": 0, "labelLimit": 90}}
    y = text("gold", "gold label")
    share = {"field": "share", "type": "quantitative", "legend": None}
    shade = share | {"scale": {"scheme": "blues", "domain": [0, 1]}}
    ink = {"condition": {"test": f"datum.share > {_DARK}", "value": "white"}, "value": "black"}
    shown = tooltip({"gold": "gold label", "predicted": "prediction", "rows": "rows"})
    layers = [
        {"mark": {"type": "rect"}, "encoding": {"x": x, "y": y, "color": shade, "tooltip": shown}},
        {"mark": {"type": "text"}, "encoding": {"x": x, "y": y, "text": {"field": "rows"}, "color": ink}},
    ]
    return chart(
        "confusion", "Predictions by gold label; the diagonal is right", values, layers, CELL * len(confusion.labels)
    )
