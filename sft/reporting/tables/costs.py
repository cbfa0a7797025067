"""What set-ups cost, as columns of a table and in words."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sft.leaderboard.costs import WHOLE_STAGES
from sft.reporting.tables.marks import MISSING
from sft.wording import GIB

Record = Mapping[str, Any]

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class CostColumn:
    """A cost of set-ups.

    Attributes:
        title: its header.
        digits: behind the point.
        hint: what it is.
        value: of the `costs` of a group in `leaderboard.json`.
    """

    title: str
    digits: int
    hint: str
    value: Callable[[Record], float | None]

    def text(self, costs: Record) -> str:
        """The value for people."""
        value = self.value(costs)
        return MISSING if value is None else f"{value:,.{self.digits}f}"


def peak_memory(costs: Record) -> float | None:
    """GiB of the GPUs where any was used, else of the process."""
    size = costs.get("peak_gpu_bytes") or costs.get("peak_rss_bytes")
    return None if size is None else size / GIB


def _adapter(costs: Record) -> float | None:
    """MB."""
    size = costs["adapter_bytes"]
    return None if size is None else size / _MEGABYTE


COSTS = (
    CostColumn("train s", 1, "the whole stage, with loading the model", lambda costs: costs["train_seconds"]),
    CostColumn("s per 1,000", 1, "seconds per 1,000 predictions", lambda costs: costs["seconds_per_1000"]),
    CostColumn("prompt tokens", 0, "of an evaluated row", lambda costs: costs["prompt_tokens"]),
    CostColumn(
        "peak GiB", 2, "of the stage that took most; GPU memory where a GPU was used, else main memory", peak_memory
    ),
    CostColumn("adapter MB", 1, "all files of the trained adapter", _adapter),
    CostColumn("trained parameters", 0, "", lambda costs: costs["trainable_parameters"]),
)


def cost_lines(board: Record) -> Iterator[str]:
    """Sentences: what the costs of a board are of, and where they were measured.

    Args:
        board: one of `boards` of a `leaderboard.json`.
    """
    found = [group["costs"] for group in board["groups"]]
    if not found:
        return
    devices = dict.fromkeys(device for costs in found for device in costs["devices"])
    measured = f", measured on {'; '.join(devices)}" if devices else ""
    yield f"Costs: means over runs{measured}; a training that several set-ups share counts in full in each"
    covers = {costs["seconds_cover"] for costs in found} - {None}
    if covers:
        whole = " (with the start of the process and loading the model where an earlier version measured them)"
        yield f"s per 1,000: seconds per 1,000 predictions{whole if WHOLE_STAGES in covers else ', model in memory'}"
