"""Training loss by step."""

from collections.abc import Sequence

from sft.reporting.charts.chart import Chart, chart, number, tooltip

MOST_POINTS = 60


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
