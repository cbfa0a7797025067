"""What a chart is, and the parts that several have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""A name that programs compare; nothing is fetched."""

Spec = dict[str, Any]
Values = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Chart:
    """A picture of numbers.

    Attributes:
        name: of its file, without ending.
        title: one line, for people and for screen readers.
        template: the Vega-Lite specification without its data.
        values: the data, one map per mark, all with the same keys.
    """

    name: str
    title: str
    template: Spec
    values: Values

    @property
    def spec(self) -> Spec:
        """The specification with its data."""
        return self.template | {"data": {"values": list(self.values)}}


def chart(name: str, title: str, values: Values, layers: Sequence[Spec], height: int = 240) -> Chart:
    """A chart of layers over the same data, as wide as its place.

    Args:
        name: of its file.
        title: says what is seen.
        values: the data. Keys are plain words, because a dot in a Vega-Lite field means something.
        layers: marks with their encodings.
        height: of the drawing area, in pixels.
    """
    template: Spec = {
        "$schema": SCHEMA,
        "description": title,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": list(layers),
    }
    return Chart(name, title, template, values)


def number(field: str, title: str, scale: Spec | None = None) -> Spec:
    """A quantitative channel; without a scale of its own its axis need not begin at 0."""
    return {"field": field, "type": "quantitative", "title": title, "scale": scale or {"zero": False}}


def text(field: str, title: str | None = None) -> Spec:
    """A nominal channel in the order of the data."""
    return {"field": field, "type": "nominal", "title": title, "sort": None}


def tooltip(titles: Mapping[str, str]) -> list[Spec]:
    """What is shown when a mark is pointed at: title by field; numbers with four digits."""
    return [{"field": field, "title": title} for field, title in titles.items()]
