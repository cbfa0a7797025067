"""SSF: a trained scale and shift on what linear layers, norms and convolutions give."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sft.adapters.layer_sizes import known_layers, known_norms
from sft.adapters.method import OptionFinding
from sft.adapters.own_method import OwnMethod
from sft.adapters.ssf.options import SsfOptions, unmatched
from sft.models.stored_kinds import PLAIN


class Ssf(OwnMethod):
    """Scales and shifts of features (SSF, arXiv:2210.08823): y + y * scale + shift on what each layer gives."""

    name = "ssf"
    options: type[BaseModel] = SsfOptions
    trainer_defaults: Mapping[str, Any] = {"learning_rate": 1e-3}

    def check(self, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
        """Unknown keys, wrong values, and a pattern that is none."""
        found = super().check(options, folder)
        targets = options.get("targets")
        if found or not isinstance(targets, str):
            return found if found or targets != [] else [OptionFinding("targets", "[] names no layer; leave it out")]
        try:
            re.compile(targets)
        except re.error as error:
            return [OptionFinding("targets", f"{targets!r} is no pattern: {error}; a list takes plain names")]
        return []

    def check_on_model(self, options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
        """Names and patterns that mean no layer, where the model's type is known."""
        names = [*known_layers(config), *known_norms(config)]
        return [OptionFinding(*found) for found in unmatched(options, names).items()]

    def unmergeable(self, options: Mapping[str, Any], storage: str) -> str | None:
        """Plain weights take the scales; what norms or layers without a bias cannot take is found on the model."""
        return (
            None if storage == PLAIN else f"ssf scales weights, and those stored as {storage} would be rounded again"
        )

    def build(self, model: Any, options: Mapping[str, Any]) -> Any:
        """A scale of 0 and a shift of 0 on each target."""
        from sft.adapters.ssf.tuner import attach_ssf

        return attach_ssf(model, options)

    def merge(self, model: Any) -> Any:
        """The base with scaled weights and biases; where a layer has no bias, with one, and a config that says so."""
        from sft.adapters.ssf.merging import merged_ssf

        return merged_ssf(model)


METHOD = Ssf()
