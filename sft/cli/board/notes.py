"""What stands below a ranking: baselines, and the rows without a result."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from sft.cli.board.numbers import number
from sft.cli.screen import WARNING, line
from sft.wording import some, without_numbers


def baseline_lines(board: Mapping[str, Any], leaderboard: Mapping[str, Any]) -> Iterator[Text]:
    """The baselines of a board by the metric that ranks it, without a rank; those with equal numbers in one line."""

    def of_board(key: str) -> list[Mapping[str, Any]]:
        return [item for item in leaderboard.get(key, []) if item["board"] == board["board"]]

    alike: dict[tuple[str, str, str], list[Any]] = {}
    for item in of_board("baselines"):
        value = number(item["results"].get(board["metric"]))
        alike.setdefault((item["name"], _sets(item), value), []).append(item["shots"])
    for (name, sets, value), shots in alike.items():
        yield line(f"baseline, not ranked: {name} (shots {_listed(shots)}{sets}): {board['metric']} {value}")
    missing: dict[tuple[str, str], list[Any]] = {}
    for item in of_board("baselines_left_out"):
        missing.setdefault((item["name"], item["reason"]), []).append(item["shots"])
    for (name, reason), shots in missing.items():
        yield line(f"note: {name} of shots {_listed(shots)} left out: {reason}", WARNING)


def unfinished_lines(rows: Sequence[Mapping[str, Any]]) -> list[Text]:
    """The rows without a result, those that stand alike in one line."""
    alike: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        alike.setdefault(without_numbers(f"{row['state']}{_reason(row['error'])}"), []).append(row)
    return [
        line(f"{some([row['name'] for row in found])}: {found[0]['state']}{_reason(found[0]['error'])}")
        for found in alike.values()
    ]


def _sets(baseline: Mapping[str, Any]) -> str:
    """What its title says beside the shots: over how many draws it is a mean."""
    before = f"{baseline['name']} (shots {baseline['shots']}"
    return str(baseline["title"]).removeprefix(before).removesuffix(")")


def _listed(shots: Sequence[Any]) -> str:
    return ", ".join(dict.fromkeys(map(str, shots)))


def _reason(error: Mapping[str, Any] | None) -> str:
    return "" if error is None else f" at {error['stage']}: {error['message']}"
