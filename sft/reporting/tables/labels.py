"""The best set-up by label, as a table and in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from sft.reporting.tables.columns import number_text
from sft.reporting.tables.effects import EffectTable
from sft.wording import both_ends, counted

Record = Mapping[str, Any]
_LOWEST = 3
"""Labels that the sentence names."""
_LABEL = 60
"""Characters of a label."""


def label_lines(board: Record) -> Iterator[str]:
    """A sentence: on which labels the best set-up does worst; nothing where there are not more than it would name.

    Args:
        board: one of `boards` of a `leaderboard.json`.
    """
    found = board.get("by_label")
    known = [] if found is None else [one for one in found["labels"] if one["f1"] is not None and one["support"]]
    if found is None or len(known) < 2:
        return
    lowest = sorted(known, key=lambda one: one["f1"])[: min(_LOWEST, len(known) - 1)]
    told = ", ".join(
        f"{both_ends(one['label'], _LABEL)} {one['f1']:.4f} ({counted(one['support'], 'row')})" for one in lowest
    )
    yield f"Lowest F1 by label of {found['group']}: {told}; {counted(len(found['labels']), 'label')} in all."


def label_sections(board: Record) -> Iterator[str | EffectTable]:
    """What the numbers are, and a table in the order of the labels; nothing where there are no labels.

    Args:
        board: one of `boards` of a `leaderboard.json`.
    """
    found = board.get("by_label")
    if found is None:
        return
    over = f", means over its {found['n']} runs" if found["n"] > 1 else ""
    yield f"By label: the best set-up, {found['group']}, on test rows{over}. Rows are those whose gold has the label."
    yield EffectTable(
        ["label", "precision", "recall", "F1", "rows"],
        [
            [
                both_ends(one["label"], _LABEL),
                *(number_text(one[name], ".4f") for name in ("precision", "recall", "f1")),
                str(one["support"]),
            ]
            for one in found["labels"]
        ],
    )
