"""The options of SSF, and what of them does not go with a model by its `config.json` alone; without torch."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sft.adapters.layer_sizes import unmatched_targets

GROUPS: Mapping[str, Sequence[str]] = {
    "all": ("linear", "norm", "conv"),
    "linear": ("linear",),
    "norm": ("norm",),
    "conv": ("conv",),
}
"""What `targets` may say in one word, and the kinds of layers that it means."""


class SsfOptions(BaseModel):
    """The options of `ssf`."""

    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    targets: str | list[str] = "all"
    """Layers: `all`, `linear`, `norm`, `conv`, a list of last names, or a pattern of whole names; default all."""

    exclude: list[str] = []
    """Last names of layers that get none; default none."""

    shift: bool = True
    """Whether there is a shift beside the scale; default true."""

    shift_norms: Literal["with_bias", "all", "none"] = "with_bias"
    """Norms with a shift: those with a bias, which can be merged (not RMS norms), all, or none; default with_bias."""


def unmatched(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Option -> what is wrong with it, where a name or a pattern in it means no layer.

    Args:
        options: sound ones of `SsfOptions`; those that are left out mean something.
        names: all layers that could be meant.
    """
    found = {}
    for option in ("targets", "exclude"):
        written = options.get(option) or ()
        if isinstance(written, str):
            entries: list[str | list[str]] = [] if written in GROUPS else [written]
        else:
            entries = [[entry] for entry in written]
        for entry in entries:
            reason = unmatched_targets({"target_modules": entry}, names)
            if reason is not None:
                found[option] = reason
    return found
