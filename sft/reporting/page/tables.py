"""The tables of a board on the page: of its set-ups, and of every run where seeds or names make that another table."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sft.config.seeds import is_seed
from sft.evaluation.selection import DEV
from sft.leaderboard.board import Board
from sft.leaderboard.collect import ExperimentRecord, finite_number
from sft.leaderboard.origins import told_apart
from sft.leaderboard.setting_differences import differing, together
from sft.leaderboard.settings import ABSENT, setting_texts, value_at
from sft.reporting.tables.columns import metric_names, metric_title
from sft.reporting.tables.costs import COSTS, peak_memory
from sft.reporting.tables.groups import of_test_rows
from sft.reporting.tables.marks import PROVISIONAL, mark_lines, mark_text
from sft.runs.records import MODEL_STAGES
from sft.wording import both_ends, whole_text

Record = Mapping[str, Any]
Kind = Literal["rank", "name", "number", "interval", "difference", "setting", "mark"]
Cell = Any
"""A number, a text, `[low, high]`, `[difference, low, high]`, or None."""

_SIGNIFICANT_DIGITS = 6
_MOST_WHOLE = 2000
"""Characters."""
_UNSHOWN = "evaluation.metrics"
_ABSENT = "no such setting"
_EMPTY = (None, "")
_NOTHING = {"n": (1, None)}
_DIFFERENCE = "paired difference on the same test rows, 95 % interval"
_CORRECTED = "of no difference to the best, corrected for the number of comparisons"
_RANKS = "mean over seeds, on dev rows: this ranks"


@dataclass(frozen=True)
class PageColumn:
    """A column of a table on the page.

    Attributes:
        title: its header.
        kind: how its cells are shown, sorted and filtered.
        digits: behind the point, of numbers.
        hint: what the header means, in one sentence.
    """

    title: str
    kind: Kind
    digits: int = 4
    hint: str = ""
    is_main: bool = False
    """Whether a narrow screen shows it too."""
    wholes: Mapping[str, str] = field(default_factory=dict)
    """Cell -> its whole text, of those that are cut."""


@dataclass(frozen=True)
class PageTable:
    """Columns, and rows of as many cells; `opens` has the id of the experiment that each row opens."""

    columns: Sequence[PageColumn]
    rows: Sequence[Sequence[Cell]]
    opens: Sequence[str]

    def record(self) -> dict[str, Any]:
        """As the page reads it."""
        return {
            "columns": [dataclasses.asdict(column) for column in self.columns],
            "rows": [list(row) for row in self.rows],
            "opens": list(self.opens),
        }

    def without_empty(self) -> "PageTable":
        """The same without columns that say nothing: no value in any row, or one run everywhere."""
        said = [
            place
            for place, column in enumerate(self.columns)
            if any(row[place] not in _NOTHING.get(column.title, _EMPTY) for row in self.rows)
        ]
        return PageTable(
            [self.columns[place] for place in said], [[row[place] for place in said] for row in self.rows], self.opens
        )


def short(value: Any) -> Any:
    """A number with the digits that a page can show."""
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}") if isinstance(value, float) else value


def groups_table(board: Board, record: Record, rows: Sequence[Record]) -> PageTable:
    """A row per set-up, best first.

    Args:
        board: the experiments.
        record: the board under `boards` of `leaderboard.json`.
        rows: the experiments of the board under `rows`.
    """
    metric = record["metric"] or ""
    others = [name for name in metric_names(board) if name not in (metric, metric.removeprefix(DEV))]
    named = {(row["name"], row["id"]): row for row in rows}
    groups = [(group, _runs(group, named)) for group in record["groups"]]
    shown = [group.runs[0] for group in board.groups]
    bundles = setting_bundles(shown, with_seeds=False)
    columns = [
        *_group_columns(board, record),
        *(PageColumn(_titled(board, name), "number") for name in others),
        *_setting_columns(shown, bundles),
        *(PageColumn(cost.title, "number", cost.digits, cost.hint) for cost in COSTS),
    ]
    cells = [
        [
            *_group_cells(group, metric),
            *(short(group["results"].get(name, {}).get("mean")) for name in others),
            *settings,
            *(short(cost.value(group["costs"])) for cost in COSTS),
        ]
        for (group, _), settings in zip(groups, _setting_cells(shown, bundles), strict=True)
    ]
    opens = [_typical(group, runs, metric.removeprefix(DEV))["id"] for group, runs in groups]
    return PageTable(columns, cells, opens).without_empty()


def runs_table(board: Board, record: Record, rows: Sequence[Record]) -> PageTable | None:
    """A row per experiment, best first; None where the set-ups are the experiments.

    Args:
        board: the experiments.
        record: the board under `boards` of `leaderboard.json`.
        rows: the experiments of the board under `rows`.
    """
    if len(rows) == len(record["groups"]):
        return None
    names = metric_names(board)
    bundles = setting_bundles(board.records, with_seeds=True)
    columns = [
        PageColumn("#", "rank", 0, is_main=True),
        PageColumn("experiment", "name", is_main=True),
        *(PageColumn(_titled(board, name), "number", is_main=name == record["metric"]) for name in names),
        *_setting_columns(board.records, bundles),
        PageColumn("train s", "number", 1, "a training that several experiments share counts in each"),
        PageColumn("infer s", "number", 1),
        PageColumn("queue s", "number", 1, "in which its stages waited for a place on a cluster, in no other time"),
        PageColumn(
            "peak GiB", "number", 2, "of the stage that took most; GPU memory where a GPU was used, else main memory"
        ),
    ]
    cells = [
        [
            place["rank"],
            name,
            *(short(row["results"].get(name)) for name in names),
            *settings,
            *(short(finite_number(row["timing"].get(stage))) for stage in MODEL_STAGES),
            short(finite_number(row["resources"].get("queue_seconds"))),
            short(peak_memory(row["resources"])),
        ]
        for place, row, name, settings in zip(
            record["ranking"], rows, told_apart(board.records), _setting_cells(board.records, bundles), strict=True
        )
    ]
    return PageTable(columns, cells, [row["id"] for row in rows]).without_empty()


def setting_bundles(records: Sequence[ExperimentRecord], *, with_seeds: bool) -> dict[str, list[str]]:
    """Settings in which experiments differ, by the first of those that always change together with it.

    Args:
        records: the experiments.
        with_seeds: whether seeds are among them.
    """
    settings = [record.settings_in_force for record in records]
    columns = {
        path: [json.dumps(own.get(path, _ABSENT)) for own in settings]
        for path in differing(settings)
        if path != _UNSHOWN and (with_seeds or not is_seed(path))
    }
    return {paths[0]: paths[1:] for paths in together(columns)}


def _runs(group: Record, named: Mapping[tuple[str, str], Record]) -> list[Record]:
    """The experiments of a group, each run once, best first."""
    runs: dict[str, Record] = {}
    for row in group["rows"]:
        runs.setdefault(row["id"], named[row["name"], row["id"]])
    return list(runs.values())


def _typical(group: Record, runs: Sequence[Record], metric: str) -> Record:
    """The run nearest to the mean of its set-up, so that no lucky seed stands for it; the first where none has it."""
    mean = group["results"].get(metric, {}).get("mean")
    known = [run for run in runs if finite_number(run["results"].get(metric)) is not None]
    return min(known, key=lambda run: abs(run["results"][metric] - mean)) if known else runs[0]


def _setting_columns(records: Sequence[ExperimentRecord], bundles: Mapping[str, Sequence[str]]) -> list[PageColumn]:
    found = []
    for path, others in bundles.items():
        hint = f"changes together with {', '.join(others)}" if others else ""
        found.append(PageColumn(path, "setting", hint=hint, wholes=_wholes(records, path)))
    return found


def _wholes(records: Sequence[ExperimentRecord], path: str) -> dict[str, str]:
    """The texts of a setting that stand in cells with an ellipsis, and what they are without."""
    values = [value_at(record.settings_in_force, path) for record in records]
    return {
        text: both_ends(whole_text(value), _MOST_WHOLE)
        for text, value in zip(setting_texts(records, path), values, strict=True)
        if text is not None and value is not ABSENT and "…" in text
    }


def _group_columns(board: Board, record: Record) -> list[PageColumn]:
    """The columns from the rank to the mark; where dev rows rank, each says of which rows its numbers are."""
    metric = record["metric"] or ""
    title, test = _titled(board, metric.removeprefix(DEV)), of_test_rows(metric)
    covers = dict.fromkeys(group["interval"]["covers"] for group in record["groups"] if group["interval"] is not None)
    return [
        PageColumn("#", "rank", 0, is_main=True),
        PageColumn("set-up", "name", hint="opens the run that is nearest to the mean", is_main=True),
        PageColumn("n", "number", 0, "runs with different seeds", is_main=True),
        *([PageColumn(f"{_titled(board, metric)} (dev rows)", "number", hint=_RANKS)] if test else []),
        PageColumn(f"{title}{test}", "number", hint="mean over seeds, on test rows", is_main=True),
        PageColumn("sd", "number", hint="over seeds"),
        PageColumn(f"95 % interval{test}", "interval", hint=f"over {' or over '.join(covers)}", is_main=True),
        PageColumn(f"to the best{test}", "difference", hint=_DIFFERENCE, is_main=True),
        PageColumn("p (Holm)", "number", 3, _CORRECTED, is_main=True),
        PageColumn("mark", "mark", hint="; ".join(mark_lines(record)), is_main=True),
    ]


def _group_cells(group: Record, metric: str) -> list[Cell]:
    """The cells from the rank to the mark."""
    tested = metric.removeprefix(DEV)
    interval, against = group["interval"], group["against_best"]
    summary = group["results"].get(tested, {})
    return [
        group["rank"],
        group["name"],
        group["n"],
        *([short(group["value"])] if metric != tested else []),
        short(summary.get("mean")),
        short(summary.get("sd")),
        None if interval is None else [short(interval[end]) for end in ("low", "high")],
        None if against is None else [short(against[name]) for name in ("difference", "low", "high")],
        None if against is None else short(against["p_holm"]),
        _mark(group),
    ]


def _mark(group: Record) -> str:
    """With the seeds that there are where some are missing."""
    if not group["provisional"]:
        return mark_text(group)
    return f"{mark_text(group)} {PROVISIONAL} {group['n_seeds']}/{group['expected_seeds']} seeds".strip()


def _setting_cells(records: Sequence[ExperimentRecord], paths: Iterable[str]) -> list[list[Cell]]:
    """Per experiment what stands below each setting: numbers as they are, else texts."""
    texts = {path: setting_texts(records, path) for path in paths}
    found = []
    for place, record in enumerate(records):
        values = {path: record.settings_in_force.get(path) for path in texts}
        found.append([value if type(value) in (int, float) else texts[path][place] for path, value in values.items()])
    return found


def _titled(board: Board, name: str) -> str:
    return metric_title(board, name) if name else ""
