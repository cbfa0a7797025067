"""The leading set-ups on slices of the test rows, as tables and in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from sft.reporting.tables.effects import EffectTable
from sft.reporting.tables.groups import interval_text
from sft.wording import counted

Record = Mapping[str, Any]


def worst_slice_lines(board: Record) -> Iterator[str]:
    """A sentence per column: on which slice the best set-up is worst, and whether that may be chance.

    Args:
        board: one of `boards` of a `leaderboard.json`.
    """
    found = board.get("slices", ())
    best = next((one["group"] for one in found), None)
    for one in found:
        worst = one["worst"]
        if one["group"] != best or worst is None:
            continue
        chance = (
            "all of its interval is worse than that"
            if one["is_below"]
            else "its interval reaches that, so it may be chance"
        )
        yield (
            f"Worst slice of {best}: {one['column']} = {worst['value']}, {one['metric']} {worst['result']:.4f} "
            f"{interval_text(worst['interval'])} on {counted(worst['n_rows'], 'row')}, the worst of "
            f"{len(one['slices'])}; all rows {one['whole']:.4f}: {chance}."
        )


def slice_sections(board: Record) -> Iterator[str | EffectTable]:
    """What slices are, and a table; nothing where no rows are sliced.

    Args:
        board: one of `boards` of a `leaderboard.json`.
    """
    found = board.get("slices")
    if not found:
        return
    yield from worst_slice_lines(board)
    n_labels = None if board["labels"] is None else len(board["labels"])
    over = "; a mean over labels is over those that the slice has" if n_labels else ""
    yield (
        f"Slices: {found[0]['metric']} on test rows of the best set-up and of those not shown to be worse, the worst "
        f"slice first, each with its own 95 % interval{over}."
    )
    yield EffectTable(
        ["set-up", "slice", "rows", *(["labels"] if n_labels else []), found[0]["metric"], "95 % interval"],
        [
            [
                one["group"],
                f"{one['column']} = {part['value']}",
                str(part["n_rows"]),
                *([f"{part['n_labels']} of {n_labels}"] if n_labels else []),
                f"{part['result']:.4f}",
                interval_text(part["interval"]),
            ]
            for one in found
            for part in one["slices"]
        ],
    )
