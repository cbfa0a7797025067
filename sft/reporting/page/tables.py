"""The tables of a board on the page: of its set-ups, and of every run where seeds or names make that another table."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sft.evaluation.rows import DEV
from sft.reporting.board import Board
from sft.reporting.collect import ExperimentRecord
from sft.reporting.formats.columns import metric_names, metric_title
from sft.reporting.formats.group_table import interval_way
from sft.reporting.groups import Group
from sft.reporting.settings import differing
from sft.wording import GIB, plain_text

Kind = Literal["rank", "name", "number", "interval", "difference", "setting", "mark"]
Cell = Any
"""A number, a text, `[low, high]`, `[difference, low, high]`, or None."""

SEEDS = frozenset({"seed", "seeds", "seeds.shots", "seeds.icl", "seeds.init", "seeds.training"})
TIE, BEST, UNRANKED = "≈ best", "best", "seeds missing"
_SIGNIFICANT_DIGITS = 6
_UNSHOWN = frozenset({"evaluation.metrics"})
_ABSENT = "no such setting"
_EMPTY = (None, "")
_NOTHING = {"n": (1, None)}


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


def groups_table(board: Board) -> PageTable:
    """A row per set-up, best first."""
    tested = (board.metric or "").removeprefix(DEV)
    names = metric_names(board)
    others = [name for name in names if name not in (board.metric, tested)]
    bundles = setting_bundles([group.runs[0] for group in board.groups])
    settings = list(bundles)
    columns = [
        PageColumn("#", "rank", 0, is_main=True),
        PageColumn("set-up", "name", is_main=True),
        PageColumn("n", "number", 0, "runs with different seeds", is_main=True),
        *([PageColumn(_titled(board, board.metric), "number")] if board.metric != tested and board.metric else []),
        PageColumn(_titled(board, tested), "number", hint="mean over seeds, on test rows", is_main=True),
        PageColumn("sd", "number", hint="over seeds"),
        PageColumn("95 % interval", "interval", hint=_interval_hint(board), is_main=True),
        PageColumn(
            "to the best", "difference", hint="paired difference on the same test rows, 95 % interval", is_main=True
        ),
        PageColumn(
            "p (Holm)", "number", 3, "of no difference to the best, corrected for the number of set-ups", is_main=True
        ),
        PageColumn("", "mark", is_main=True),
        *(PageColumn(_titled(board, name), "number") for name in others),
        *(PageColumn(path, "setting", hint=_changing_with(others)) for path, others in bundles.items()),
        *_cost_columns(),
    ]
    rows = [_group_cells(group, board, tested, others, settings) for group in board.groups]
    return PageTable(columns, rows, [group.runs[0].id for group in board.groups]).without_empty()


def runs_table(board: Board) -> PageTable | None:
    """A row per experiment, best first; None where the set-ups are the experiments."""
    if len(board.rows) == len(board.groups):
        return None
    names = metric_names(board)
    bundles = setting_bundles(board.records, without=_UNSHOWN)
    settings = list(bundles)
    columns = [
        PageColumn("#", "rank", 0, is_main=True),
        PageColumn("experiment", "name", is_main=True),
        *(PageColumn(_titled(board, name), "number", is_main=name == board.metric) for name in names),
        *(PageColumn(path, "setting", hint=_changing_with(others)) for path, others in bundles.items()),
        *_cost_columns(),
    ]
    rows = [
        [
            row.rank,
            row.record.name,
            *(short(row.record.part("results").get(name)) for name in names),
            *(_setting(row.record, path) for path in settings),
            *_costs([row.record]),
        ]
        for row in board.rows
    ]
    return PageTable(columns, rows, [row.record.id for row in board.rows]).without_empty()


def setting_bundles(
    records: Sequence[ExperimentRecord], without: frozenset[str] = SEEDS | _UNSHOWN
) -> dict[str, list[str]]:
    """Settings in which experiments differ, by the first of those that always change together with it.

    Args:
        records: the experiments.
        without: paths that are left out.
    """
    bundles: dict[tuple[int, ...], list[str]] = {}
    for path in differing(records):
        if path not in without:
            places: dict[str, int] = {}
            values = (json.dumps(record.settings.get(path, _ABSENT)) for record in records)
            partition = tuple(places.setdefault(value, len(places)) for value in values)
            bundles.setdefault(partition, []).append(path)
    return {paths[0]: paths[1:] for paths in bundles.values()}


def _changing_with(others: Sequence[str]) -> str:
    return f"changes together with {', '.join(others)}" if others else ""


def _group_cells(
    group: Group, board: Board, tested: str, others: Sequence[str], settings: Sequence[str]
) -> list[Cell]:
    results, interval, against = group.results(), group.interval, group.against_best
    means = {name: short(summary.mean) for name, summary in results.items()}
    deviation = results[tested].sd if tested in results else None
    return [
        group.rank,
        group.name,
        len(group.runs),
        *([short(group.value)] if board.metric != tested and board.metric else []),
        means.get(tested),
        short(deviation),
        None if interval is None else [short(interval.low), short(interval.high)],
        None if against is None else [short(x) for x in (against.difference, *_ends(against.interval))],
        None if against is None else short(against.p_holm),
        _mark(group),
        *(means.get(name) for name in others),
        *(_setting(group.runs[0], path) for path in settings),
        *_costs(group.runs),
    ]


def _mark(group: Group) -> str:
    if group.rank is None:
        return "" if group.is_complete else f"{UNRANKED}: {group.n_seeds}/{group.expected_seeds}"
    if group.rank == 1:
        return BEST
    return TIE if group.against_best is not None and group.against_best.is_tie else ""


def _ends(interval: Any) -> tuple[float, float]:
    return interval.low, interval.high


def _cost_columns() -> list[PageColumn]:
    return [
        PageColumn("train s", "number", 1, "mean over runs; a shared training counts in each of its runs"),
        PageColumn("infer s", "number", 1, "mean over runs"),
        PageColumn("peak GiB", "number", 2, "GPU memory where a GPU was used, else main memory"),
        PageColumn("trained parameters", "number", 0),
    ]


def _costs(runs: Sequence[ExperimentRecord]) -> list[Cell]:
    def mean(value: Callable[[ExperimentRecord], Any]) -> Any:
        known = [number for run in runs if isinstance(number := value(run), int | float)]
        return short(sum(known) / len(known)) if known else None

    def memory(run: ExperimentRecord) -> Any:
        resources = run.part("resources")
        size = resources.get("peak_gpu_bytes") or resources.get("peak_rss_bytes")
        return None if size is None else size / GIB

    return [
        mean(lambda run: run.part("timing").get("train")),
        mean(lambda run: run.part("timing").get("infer")),
        mean(memory),
        mean(lambda run: run.part("resources").get("trainable_parameters")),
    ]


def _setting(record: ExperimentRecord, path: str) -> Cell:
    value = record.settings.get(path)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return short(value)
    return plain_text(value) if path in record.settings else None


def _titled(board: Board, name: str) -> str:
    return metric_title(board, name) if name else ""


def _interval_hint(board: Board) -> str:
    covers = dict.fromkeys(group.interval_covers for group in board.groups if group.interval is not None)
    return " or ".join(map(interval_way, covers))
