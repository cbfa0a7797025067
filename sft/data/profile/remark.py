"""One thing that a person should know of the data before they decide anything by them."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "unused_split",
    "label_not_evaluated",
    "label_seldom_evaluated",
    "label_not_trained",
    "label_outside",
    "label_codes",
    "unlike_labels",
    "repeated_text",
    "cut_texts",
    "long_prompts",
]
"""Names for programs; docs/json.md lists them."""


@dataclass(frozen=True)
class Remark:
    """Something about the data; none of it stops a run."""

    kind: Kind
    text: str
    """One sentence."""
    write: str | None = None
    """What to write into the config against it, a dotted key and its value in Jsonnet; None where no key helps."""
