"""All sides on the same batches in the same order, by turns, and whether their losses agree."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.report import Figure
from benchmarks.training.sides import NAMES, Trained, all_sides
from benchmarks.training.tweets import RATE, rows

TURNS, STEPS = 3, 6
MOST_APART = 1e-3
"""Nats that the losses of a step may be apart on two sides."""
MEMORY_WANTED = 1.05
MIB = 1 << 20


def compared(folder: Path, batch_size: int) -> Iterator[Figure]:
    """The figures of one batch size; the first turn of each side is only to warm up.

    Raises:
        RuntimeError: a loss of one side is not that of the others.
    """
    made = rows()[: STEPS * batch_size]
    request = {
        "rows": made,
        "batch_size": batch_size,
        "steps": STEPS,
        "rate": RATE,
        "adapter": str(folder / "start.safetensors"),
    }
    with all_sides(folder) as sides:
        turns = [{name: side.train(request) for name, side in sides.items()} for _ in range(TURNS + 1)]
    _check(turns)
    lengths = [len(row["input_ids"]) for row in made]
    tokens = f"{len(made)} rows of {min(lengths)} to {max(lengths)} tokens, mean {sum(lengths) / len(lengths):.0f}"
    yield from _figures(f"a step, {batch_size} tweets", turns[1:], tokens)


def _check(turns: list[dict[str, Trained]]) -> None:
    ours = turns[0]["sft"].losses
    for turn in turns:
        for name, trained in turn.items():
            pairs = list(zip(ours, trained.losses, strict=True))
            apart = max(abs(first - second) for first, second in pairs)
            if not apart <= MOST_APART:
                raise RuntimeError(f"losses of {name} are {apart:.2g} nats from those of sft: {pairs}")


def _figures(title: str, turns: list[dict[str, Trained]], tokens: str) -> Iterator[Figure]:
    seconds = {name: median(time for turn in turns for time in turn[name].seconds) for name in NAMES}
    losses = {name: turns[0][name].losses for name in NAMES}
    count = len(turns) * len(turns[0]["sft"].seconds)
    for name in NAMES:
        apart = max(abs(first - second) for first, second in zip(losses["sft"], losses[name], strict=True))
        note = (
            f"median of {count}; {tokens}" if name == "sft" else f"losses at most {apart:.1g} nats from those of sft"
        )
        yield Figure(f"{title}: {name}", seconds[name], "s of CPU", note)
    yield Figure(f"{title}: sft / a bare loop", seconds["sft"] / seconds["a bare loop"], "x", "wanted: at most 1.1")
    yield Figure(f"{title}: trl / sft", seconds["trl"] / seconds["sft"], "x", "wanted: at least 1.7")
    name = "trl without checkpointing"
    yield Figure(f"{title}: {name} / sft", seconds[name] / seconds["sft"], "x")
    peaks = {name: max(turn[name].peak_bytes for turn in turns) / MIB for name in NAMES}
    note = f"{peaks['sft']:.0f} and {peaks[name]:.0f} MiB of the whole process; wanted: at most {MEMORY_WANTED:g}"
    yield Figure(f"{title}: peak memory, sft / {name}", peaks["sft"] / peaks[name], "x", note)
