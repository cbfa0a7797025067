"""What a plan says of the data: rows of each label and split, lengths of texts, and what to write about them."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from sft.data.profile.lengths import LengthProfile
from sft.data.profile.profile import DataProfile
from sft.data.profile.remark import Remark
from sft.data.profile.splits import SplitProfile
from sft.wording import and_more, one_line, some

WIDTH = 80
SHOWN_LABELS = 12
SHOWN_RAREST = 3
LONGEST_LABEL = 28
SHOWN_BLOCKS = 5


def data_lines(profiles: Sequence[DataProfile]) -> list[str]:
    """One block for each distinct data section; a remark that several of them share stands in the first."""
    lines: list[str] = []
    told: set[Remark] = set()
    for profile in profiles[:SHOWN_BLOCKS]:
        lines += ["", _title(profile, len(profiles) > 1), *_row_lines(profile.splits)]
        lines += _dropped_lines(profile.splits)
        several = len({length.models for length in profile.lengths}) > 1
        of_columns = [length for length in profile.lengths if length.column is not None]
        lines += [line for length in of_columns for line in _length_lines(length, names_models=several)]
        for remark in profile.remarks:
            if remark not in told:
                told.add(remark)
                lines += remark_lines(remark)
    if len(profiles) > SHOWN_BLOCKS:
        lines.append(f"  ...{and_more(len(profiles), SHOWN_BLOCKS)} (--json has all)")
    return lines


def remark_lines(remark: Remark) -> list[str]:
    """A remark in lines of a terminal; what is to be written stays in one line, to be copied."""
    text = _wrapped(remark.text, "  - ")
    return text if remark.write is None else [*text, f"    write {one_line(remark.write)}"]


def _title(profile: DataProfile, is_one_of_several: bool) -> str:
    """Where the data comes from, and what tells it from other data of the grid."""
    folds = "" if profile.folds is None else f", each row tested in one of {profile.folds} folds"
    caps = folds + "".join(f", {key} {cap}" for key, cap in profile.caps.items())
    names = f" ({some(profile.experiments, 2)})" if is_one_of_several else ""
    return f"Data: {profile.path}{caps}{names}"


def _row_lines(splits: Sequence[SplitProfile]) -> Iterator[str]:
    """A column for each split and a row for each label; of many labels only the rarest in words."""
    counts = {split.name: split.label_counts for split in splits if split.label_counts is not None}
    labels = list(next(iter(counts.values()), {}))
    if not 0 < len(labels) <= SHOWN_LABELS:
        yield f"  rows: {', '.join(f'{split.name} {_used(split)}' for split in splits)}"
        if labels:
            yield from _many_labels(counts, len(labels))
        return
    cells = [["", *(split.name for split in splits)], *([label] for label in labels), ["rows"]]
    for label, line in zip(labels, cells[1:], strict=False):
        line += [str((counts.get(split.name) or {}).get(label, "")) for split in splits]
        line[0] = one_line(label) if len(label) <= LONGEST_LABEL else f"{one_line(label)[: LONGEST_LABEL - 1]}…"
    cells[-1] += [_used(split) for split in splits]
    widths = [max(len(line[column]) for line in cells) for column in range(len(splits) + 1)]
    for first, *others in cells:
        numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield f"  {first.ljust(widths[0])}  {'  '.join(numbers)}".rstrip()


def _many_labels(counts: dict[str, dict[str, int]], number: int) -> Iterator[str]:
    for name, of in counts.items():
        rarest = sorted(of, key=lambda label: of[label])[:SHOWN_RAREST]
        shown = ", ".join(f"{one_line(label)} {of[label]}" for label in rarest)
        yield f"  {number} labels with {min(of.values())} to {max(of.values())} {name} rows; fewest: {shown}"


def _dropped_lines(splits: Sequence[SplitProfile]) -> list[str]:
    """Rows that are not there because a used cell is empty."""
    dropped = ", ".join(f"{split.n_dropped:,} {split.name}" for split in splits if split.n_dropped)
    return [f"  left out for an empty cell: {dropped} rows"] if dropped else []


def _used(split: SplitProfile) -> str:
    return f"{split.n_used:,}" + (f" of {split.n_rows:,}" if split.n_used < split.n_rows else "")


def _length_lines(length: LengthProfile, *, names_models: bool) -> list[str]:
    models = f" of {some([PurePath(name).name for name in length.models], 2)}" if names_models else ""
    sampled = "" if length.n_measured == length.n_rows else f" ({length.n_measured:,} of {length.n_rows:,} measured)"
    cuts = "".join(
        f"; {cut.limit.rpartition('.')[2]} {cut.at} cuts {100 * cut.share:.3g} %" for cut in length.cuts if cut.share
    )
    numbers = f"median {length.median}, 95 % up to {length.p95}, longest {length.longest} {length.unit}"
    return _wrapped(f"{length.column}: {numbers}{models}{sampled}{cuts}", "  ")


def _wrapped(text: str, start: str) -> list[str]:
    """The text in lines of a terminal, a number and its % in one; words that are longer than a line stay whole."""
    whole = one_line(text).replace(" %", "\u00a0%")
    lines = textwrap.wrap(
        whole, WIDTH, initial_indent=start, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False
    )
    return [line.replace("\u00a0%", " %") for line in lines]
