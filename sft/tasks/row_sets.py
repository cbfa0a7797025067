"""Row sets: which rows an infer stage runs.

`eval` are the dev and test rows. A calibrator, or the normalisation `pmi`, names further ones: rows of the pool with
known labels (`train:<n>`), or prompts without content (`content_free:<kind>:<n>`), in which the model's answer shows
what it favours whatever the input.
"""

import re
from dataclasses import dataclass
from typing import Literal

from sft.runs.records import EVAL

_FORM = re.compile(r"train:(?P<n_train>[1-9]\d*)|content_free:(?P<kind>[a-z]+):(?P<n>[1-9]\d*)(?P<per_row>:per_row)?")

ContentKind = Literal["contextual", "domain", "empty"]
PMI_ROWS = "content_free:empty:1"
"""The row set of the normalisation `pmi`: the fixed examples and a question without an input."""
CONTENT_FREE_TEXTS = ("N/A", "[MASK]", "")
"""What stands for an input in the contextual calibration of Zhao et al. 2021 (arXiv 2102.09690)."""


@dataclass(frozen=True)
class RowSet:
    """A row set by its parts.

    Attributes:
        name: as a calibrator writes it.
        kind: evaluated rows, rows of the pool, or prompts without content.
        size: how many rows at most; with `per_row` how many for each evaluated row; 0 for `eval`.
        content: what stands in place of the input, of prompts without content.
        per_row: whether each evaluated row has prompts of its own, with its own in-context examples.
    """

    name: str
    kind: Literal["eval", "train", "content_free"]
    size: int = 0
    content: ContentKind | None = None
    per_row: bool = False

    @property
    def fixed_texts(self) -> tuple[str, ...]:
        """What stands in place of the input, where that does not depend on the data."""
        match self.content:
            case "empty":
                return ("",)
            case "contextual":
                return CONTENT_FREE_TEXTS[: self.size]
        return ()

    @staticmethod
    def parse(name: str) -> "RowSet":
        """The row set of a name.

        Raises:
            ValueError: there is no such row set.
        """
        if name == EVAL:
            return RowSet(name, "eval")
        match = _FORM.fullmatch(name)
        if match is None:
            raise ValueError(f"no row set {name!r}; there are: eval, train:<n>, content_free:<kind>:<n>[:per_row]")
        if match["n_train"]:
            return RowSet(name, "train", int(match["n_train"]))
        kind, size = match["kind"], int(match["n"])
        match kind:
            case "contextual":
                if size > len(CONTENT_FREE_TEXTS):
                    raise ValueError(f"row set {name!r}: there are {len(CONTENT_FREE_TEXTS)} content-free texts")
                return RowSet(name, "content_free", size, "contextual", match["per_row"] is not None)
            case "domain":
                return RowSet(name, "content_free", size, "domain", match["per_row"] is not None)
            case "empty":
                return RowSet(name, "content_free", 1, "empty", match["per_row"] is not None)
        raise ValueError(f"no row set {name!r}: content is contextual, domain or empty")


def row_set_fault(name: str) -> str | None:
    """What is wrong with a row set that a calibrator names; None where nothing is."""
    if name == EVAL:
        return f"row set {EVAL!r} need not be named: the scores of the evaluated rows are given anyway"
    try:
        RowSet.parse(name)
    except ValueError as error:
        return str(error)
    return None
