"""Charts of one experiment: its confusion matrix, its training loss, its reliability."""

from collections.abc import Sequence

from sft.leaderboard.details.details import ConfidenceBin, Confusion
from sft.reporting.charts.chart import Chart, chart, number, text, tooltip

CELL = 34
"""Pixels."""

_DARK = 0.55
"""A share of the gold label's rows on whose shade white is read better than black."""

MOST_POINTS = 60

_UNIT = {"domain": [0, 1]}


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


def loss_chart(curve: Sequence[tuple[int, float]]) -> Chart:
    """A line through the logged losses."""
    values = [{"step": step, "loss": loss} for step, loss in curve]
    return chart(
        "loss",
        "Training loss by step",
        values,
        [
            {
                "mark": {"type": "line", "style": "series", "point": True},
                "encoding": {
                    "x": number("step", "step"),
                    "y": number("loss", "loss (nats)", {"zero": True}),
                    "tooltip": tooltip({"step": "step", "loss": "loss"}),
                },
            }
        ],
        height=200,
    )


def thinned(curve: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """At most `most` points, evenly over the curve, the last one always."""
    if len(curve) <= most:
        return list(curve)
    return [curve[round(place * (len(curve) - 1) / (most - 1))] for place in range(most)]


def reliability_chart(bins: Sequence[ConfidenceBin]) -> Chart:
    """A point per bin, larger the more rows it holds."""
    values = [{"confidence": one.confidence, "accuracy": one.accuracy, "rows": one.count} for one in bins]
    diagonal = {"values": [{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}]}
    x, y = number("confidence", "confidence", _UNIT), number("accuracy", "accuracy", _UNIT)
    return chart(
        "reliability",
        "Accuracy by confidence (dashed: as sure as right)",
        values,
        [
            {"data": diagonal, "mark": {"type": "line", "style": "reference"}, "encoding": {"x": x, "y": y}},
            {"mark": {"type": "line", "style": "series"}, "encoding": {"x": x, "y": y}},
            {
                "mark": {"type": "point", "filled": True, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "size": {"field": "rows", "type": "quantitative", "legend": None, "scale": {"range": [30, 300]}},
                    "tooltip": tooltip({"confidence": "confidence", "accuracy": "accuracy", "rows": "rows"}),
                },
            },
        ],
    )
