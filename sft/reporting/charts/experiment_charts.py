"""Charts of one experiment: its confusion matrix, its training, its reliability."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sft.leaderboard.details.details import ConfidenceBin, Confusion
from sft.leaderboard.details.sources import TrainingPoint
from sft.reporting.charts.chart import Chart, chart, number, text, tooltip
from sft.wording import GIB

_Point = TypeVar("_Point")

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


@dataclass(frozen=True)
class StepSeries:
    """A number of each logged step of a training.

    Attributes:
        field: of a `TrainingPoint`, its bytes in GiB.
        title: of its chart.
        axis: what the vertical axis says.
        form: of its ticks, as d3-format has it; None: as many digits as they need.
        height: of the drawing area, in pixels.
    """

    field: str
    title: str
    axis: str
    form: str | None = None
    height: int = 90


STEP_SERIES = (
    StepSeries("loss", "Training loss by step", "loss (nats)", height=200),
    StepSeries("learning_rate", "Learning rate by step", "rate"),
    StepSeries("grad_norm", "Gradient norm by step, before clipping", "norm"),
    StepSeries("tokens_per_second", "Tokens per second by step", "tokens/s", "~s"),
    StepSeries("peak_gib", "Peak memory by step", "GiB"),
)


def step_charts() -> list[Chart]:
    """A line for each number that the steps of a training may have, without values; the loss first."""
    return [_step_chart(series) for series in STEP_SERIES]


def step_values(points: Sequence[TrainingPoint]) -> dict[str, list[float | None]]:
    """The steps, and of each chart that has anything to draw its numbers, in four digits."""
    found: dict[str, list[float | None]] = {"step": [point.step for point in points]}
    for series in STEP_SERIES:
        numbers = [_number_of(point, series.field) for point in points]
        if any(value is not None for value in numbers):
            found[series.field] = numbers
    return found


def _number_of(point: TrainingPoint, field: str) -> float | None:
    value = point.peak_bytes if field == "peak_gib" else getattr(point, field)
    scaled = value / GIB if field == "peak_gib" and value is not None else value
    if scaled is None:
        return None
    rounded = float(f"{scaled:.4g}")
    return int(rounded) if rounded.is_integer() else rounded


def _step_chart(series: StepSeries) -> Chart:
    x = number("step", "step") | {"axis": {"tickMinStep": 1}}
    y = number(series.field, series.axis, {"zero": True}) | ({"axis": {"format": series.form}} if series.form else {})
    shown = tooltip({"step": "step", series.field: series.axis})
    line = {"type": "line", "style": "series", "point": {"size": 12 if series.height < 100 else 30}}
    layers = [{"mark": line, "encoding": {"x": x, "y": y, "tooltip": shown}}]
    return chart(series.field, series.title, [], layers, height=series.height)


def thinned(curve: Sequence[_Point], most: int = MOST_POINTS) -> list[_Point]:
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
