"""Confusion matrix: gold labels down, predictions across, shaded by the share of the gold label's rows."""

from sft.reporting.charts.chart import Chart, chart, text, tooltip
from sft.reporting.details.confusion import Confusion

CELL = 34
"""Pixels."""


def confusion_chart(confusion: Confusion) -> Chart:
    """A cell per pair with its count."""
    values = [
        {"gold": gold, "predicted": predicted, "rows": count, "share": count / max(1, sum(row))}
        for gold, row in zip(confusion.labels, confusion.counts, strict=True)
        for predicted, count in zip(confusion.labels, row, strict=True)
    ]
    x = text("predicted", "prediction") | {"axis": {"orient": "top", "labelAngle": 0, "labelLimit": 90}}
    y = text("gold", "gold label")
    dark = {"test": "datum.share > 0.55", "value": "white"}
    return chart(
        "confusion",
        "Predictions by gold label; the diagonal is right",
        values,
        [
            {
                "mark": {"type": "rect"},
                "encoding": {
                    "tooltip": tooltip({"gold": "gold label", "predicted": "prediction", "rows": "rows"}),
                    "x": x,
                    "y": y,
                    "color": {
                        "field": "share",
                        "type": "quantitative",
                        "scale": {"scheme": "blues", "domain": [0, 1]},
                        "legend": None,
                    },
                },
            },
            {
                "mark": {"type": "text"},
                "encoding": {
                    "x": x,
                    "y": y,
                    "text": {"field": "rows"},
                    "color": {"condition": dark, "value": "black"},
                },
            },
        ],
        height={"step": CELL},
    )
