"""Reliability diagram: accuracy by confidence, beside the diagonal of a model that is as sure as it is right."""

from collections.abc import Sequence

from sft.reporting.charts.chart import Chart, chart, number, tooltip
from sft.reporting.details.reliability import ConfidenceBin

_UNIT = {"domain": [0, 1]}


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
