"""Effects, learning curves, calibration gains and Pareto fronts of a board, as tables and in words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sft.leaderboard.effects.axes import VARIOUS
from sft.leaderboard.in_force import METHOD, training_defaults
from sft.reporting.tables.groups import interval_text
from sft.reporting.tables.marks import MARKS, MISSING
from sft.wording import UNSET, counted, p_text, some

Record = Mapping[str, Any]

MOST_NAMES = 3
"""Settings that are named in one cell."""

MOST_EFFECTS = 7

MOST_GAINS = 3

LONGEST_FRONT = 4
"""Of what a terminal shows, so that a board has at most a dozen lines of effects."""


@dataclass(frozen=True)
class EffectTable:
    """Headers and rows of text."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


def effect_sections(board: Record) -> Iterator[str | EffectTable]:
    """Sentences and tables in the order of the page; nothing of what the board does not have.

    Args:
        board: one of `boards` of a `leaderboard.json`.
    """
    for effects in filter(None, (board["effects_dev"], board["effects"])):
        yield f"{effects_heading(effects, board)}; p corrected for their number (Holm)."
        yield EffectTable(
            ["effect", "axis", _difference_header(board), "95 % interval", "pairs", "seeds", "p (Holm)", "mark"],
            [_effect_row(effect) for effect in effects],
        )
    if board["learning_curves"]:
        metric = arrowed({**board, "metric": board["learning_curves"][0]["metric"]})
        yield f"Learning curves: mean {metric} by shots, with the 95 % interval."
        yield EffectTable(*_curves(board["learning_curves"]))
    if board["calibration_gains"]:
        yield "Calibration gains: the same runs with and without calibrator; p corrected for their number (Holm)."
        yield EffectTable(
            [
                *("set-up", "calibrator", "without", "with", _difference_header(board), "95 % interval"),
                *("runs", "p (Holm)", "mark"),
            ],
            [_gain_row(gain) for gain in board["calibration_gains"]],
        )
    if any(has_choice(front) for front in board["pareto"]):
        metric = board["pareto"][0]["metric"]
        yield front_meaning(board["pareto"][0])
        yield EffectTable(["cost", "set-up", "mean cost", metric], list(_front_rows(board["pareto"])))


def _difference_header(board: Record) -> str:
    return "difference" if board["higher_is_better"] else "difference (less is better)"


def _effect_row(effect: Record) -> list[str]:
    return [
        compared_text(effect),
        _axis_text(effect),
        f"{effect['difference']:+.4f}",
        difference_interval(effect),
        str(effect["n_pairs"]),
        str(effect["n_seeds"]),
        holm_text(effect),
        difference_mark(effect),
    ]


def _axis_text(effect: Record) -> str:
    """The setting and what changes with it, as far as it fits a cell."""
    names = [effect["axis"], *effect["also"]]
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{names[0]} and {len(names) - 1} more settings"


def _gain_row(gain: Record) -> list[str]:
    return [
        gain["group"],
        gain["calibrator"],
        f"{gain['uncalibrated']:.4f}",
        f"{gain['calibrated']:.4f}",
        f"{gain['difference']:+.4f}",
        difference_interval(gain),
        str(gain["n"]),
        holm_text(gain),
        difference_mark(gain),
    ]


def _curves(curves: Sequence[Record]) -> tuple[list[str], list[list[str]]]:
    """One row per curve, one column per number of shots."""
    shots = {point["shots"] for curve in curves for point in curve["points"]}
    ordered = sorted(shots, key=lambda number: (isinstance(number, str), number))
    rows = []
    for curve in curves:
        cells = {point["shots"]: _curve_cell(point) for point in curve["points"]}
        rows.append([curve["name"], *(cells.get(number, "") for number in ordered)])
    return ["curve", *(f"{number} shots" for number in ordered)], rows


def _curve_cell(point: Record) -> str:
    """The number alone where the runs of the group were not sampled."""
    interval = "" if point["low"] is None else f" {interval_text(point)}"
    return f"{point['value']:.4f}{interval}"


def _front_rows(fronts: Sequence[Record]) -> Iterator[list[str]]:
    for front in fronts:
        for point in front["points"]:
            if point["on_front"] and has_choice(front):
                yield [front["cost"], point["group"], cost_text(point["cost"], front), f"{point['value']:.4f}"]


def short_lines(board: Record) -> list[str]:
    """A dozen lines at most: the clearest effects and gains, and the front of quality and seconds.

    Args:
        board: one of `boards` of a `leaderboard.json`.
    """
    effects, gains = board.get("effects", []), board.get("calibration_gains", [])
    lines = [effects_heading(effects, board), *_clearest(effects, effect_text, MOST_EFFECTS)] if effects else []
    lines += _clearest(gains, gain_text, MOST_GAINS)
    fronts = [front for front in board.get("pareto", []) if has_choice(front)]
    return [*lines, *(front_text(front, LONGEST_FRONT) for front in fronts[:1])]


def effects_heading(effects: Sequence[Record], board: Record) -> str:
    """What the differences are of; where dev rows rank, also what they are good for."""
    covered = list(dict.fromkeys(effect["covers"] for effect in effects if effect["covers"]))
    over = f"; 95 % over {' or over '.join(covered)}, all other settings as they are" if covered else ""
    rows = ""
    if board["effects_dev"]:
        rows = " on dev rows (to choose by)" if effects[0]["rows"] == "dev" else " on test rows (to report)"
    return f"Effects on {arrowed(effects[0])}{rows}, paired runs equal but for what is named{over}"


def effect_text(effect: Record) -> str:
    """`pca over default: +0.0080 macro_f1 [+0.0010, +0.0150], 24 pairs, p (Holm) 0.030`."""
    return (
        f"{compared_text(effect)}: {_difference_text(effect)}, {counted(effect['n_pairs'], 'pair')}{_p_text(effect)}"
    )


def compared_text(effect: Record) -> str:
    """Value over reference, by the names of the grid where they say it, and the settings in which the two differ.

    `pca over default (lora.init_lora_weights)`, `lora.r 8 over none (also inference.icl_examples 0 over 2)`.
    """
    axis, changes = effect["axis"], effect["changes"]
    names = effect["value"], effect["reference"]
    if effect["kind"] == "setting" and effect["value_name"] is None:
        others = [_change_text(change) for change in _surprising_first(changes) if change["setting"] != axis]
        return f"{axis} {names[0]} over {names[1]}" + (f" (also {some(others, MOST_NAMES)})" if others else "")
    if effect["kind"] == "setting":
        names = effect["value_name"], effect["reference_name"]
    told = [
        change["setting"] if (change["value"], change["reference"]) == names else _change_text(change)
        for change in _surprising_first(changes)
    ]
    return f"{names[0]} over {names[1]} ({some(told or [axis], MOST_NAMES)})"


def _surprising_first(changes: Sequence[Record]) -> list[Record]:
    """The adapter method, then what both sides have, then what comes and goes with a section, what training has by
    default last.
    """

    def place(change: Record) -> tuple[bool, bool, bool]:
        comes_and_goes = UNSET in (change["value"], change["reference"])
        return change["setting"] != METHOD, comes_and_goes, change["setting"] in training_defaults()

    return sorted(changes, key=place)


def _change_text(change: Record) -> str:
    """A setting that is not alike in all pairs is only named."""
    if change["value"] == change["reference"] == VARIOUS:
        return f"{change['setting']} not alike in all pairs"
    return f"{change['setting']} {change['value']} over {change['reference']}"


def gain_text(gain: Record) -> str:
    """The same of a calibrator."""
    text = (
        f"calibration of {gain['group']} ({gain['calibrator']}): {_difference_text(gain)}, {counted(gain['n'], 'run')}"
    )
    return text + _p_text(gain)


def front_meaning(front: Record) -> str:
    """What it is to be on a front, in a sentence."""
    return (
        f"Pareto fronts: no other set-up has a better mean {front['metric']} at a cost that counts as no higher, or "
        f"as good a one at a lower cost; a cost counts as lower from {100 * front['tolerance']:.0f} % less on."
    )


def front_text(front: Record, most: int | None = None) -> str:
    """The groups on a front, cheapest first."""
    points = [point for point in front["points"] if point["on_front"]]
    told = [f"{point['group']} ({cost_text(point['cost'], front)}, {point['value']:.4f})" for point in points]
    return (
        f"Pareto front of mean {front['metric']} by {front['cost']}: {some(told, len(told) if most is None else most)}"
    )


def cost_text(cost: float, front: Record) -> str:
    """A cost with its unit."""
    form = {"s": ".1f", "GiB": ".2f", "parameters": ",.0f"}[front["unit"]]
    return f"{cost:{form}} {front['unit']}"


def difference_interval(record: Record) -> str:
    """`[low, high]` with signs; `n/a` where there is none."""
    return MISSING if record["low"] is None else interval_text(record, "+.4f")


def difference_mark(record: Record) -> str:
    """What an effect or a gain comes to; what is of two runs alone says so."""
    return f"{MARKS.get(record['mark'], '')}{', two runs' if record['runs_only'] else ''}"


def holm_text(record: Record) -> str:
    """The corrected p; `n/a` where there is none."""
    return MISSING if record["p_holm"] is None else p_text(record["p_holm"])


def _difference_text(record: Record) -> str:
    interval = "" if record["low"] is None else f" {difference_interval(record)}"
    return f"{record['difference']:+.4f} {arrowed(record)}{interval}"


def arrowed(record: Record) -> str:
    """The metric of an effect, a gain or a front; where less of it is better, an arrow says so."""
    return str(record["metric"]) + ("" if record["higher_is_better"] else " ↓")


def _p_text(record: Record) -> str:
    return "" if record["p_holm"] is None else f", p (Holm) {p_text(record['p_holm'])}"


def has_choice(front: Record) -> bool:
    """Whether the cost of any group counts as lower than another one's."""
    costs = [float(point["cost"]) for point in front["points"]]
    return min(costs) < (1.0 - float(front["tolerance"])) * max(costs)


def _clearest(records: Sequence[Record], text: Callable[[Record], str], most: int) -> list[str]:
    """The lines in their order; of too many those with the smallest p, then with the largest difference."""
    if len(records) <= most:
        return [text(record) for record in records]

    def place(number: int) -> tuple[float, float]:
        p = records[number]["p_holm"]
        return 2.0 if p is None else p, -abs(records[number]["difference"])

    shown = sorted(sorted(range(len(records)), key=place)[: most - 1])
    lines = [text(records[number]) for number in shown]
    return [*lines, f"({len(lines)} of {len(records)}, those with the smallest p; leaderboard.md has all)"]
