"""A data section as a plan shows it: the rows of each split, how long their texts are, and what to do about them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sft.config.dataset import DatasetConfig
from sft.data.profile.labels import label_remarks
from sft.data.profile.lengths import LengthProfile
from sft.data.profile.remark import Remark
from sft.data.profile.repeats import repeat_remarks, split_texts
from sft.data.profile.splits import SplitProfile, split_profiles
from sft.data.rows import Splits, alone
from sft.data.selection import Selection, ValuesIn

DEV_NAMES = frozenset({"validation", "valid", "val", "dev", "development", "eval", "evaluation"})


@dataclass(frozen=True)
class DataProfile:
    """What is known of one distinct data section."""

    path: str
    caps: Mapping[str, int]
    """The `max_n_*` that are written."""
    folds: int | None
    """Parts of the rows, which are all test rows, each trained for by the others; None without folds."""
    experiments: tuple[str, ...]
    """Names of those that use it."""
    input_columns: tuple[str, ...]
    output_column: str
    splits: tuple[SplitProfile, ...]
    remarks: tuple[Remark, ...]
    lengths: tuple[LengthProfile, ...] = field(default=())


def split_remarks(dataset: DatasetConfig, splits: Splits) -> Iterator[Remark]:
    """Splits that lie there and are not used; one that looks like a dev split could be."""
    for name in splits.unused:
        text = f"the split {name!r} is there and is not used"
        if splits.dev is None and name.lower() in DEV_NAMES:
            text += "; as dev, it ranks the set-ups, and the test rows only report"
            yield Remark("unused_split", text, f"dataset.splits.dev: '{name}'")
        else:
            yield Remark("unused_split", text)


def row_remarks(splits: Splits, input_columns: Sequence[str], label_column: str | None) -> list[Remark]:
    """What the rows themselves show, whatever of them is used; one pass over them.

    Args:
        splits: the rows there are.
        input_columns: what the model reads.
        label_column: column with the labels; None in a generation.
    """
    return list(repeat_remarks(split_texts(splits, input_columns, label_column)))


def used_rows(
    dataset: DatasetConfig,
    splits: Splits,
    selection: Selection,
    output_column: str,
    words: Mapping[str, str] | None,
    values_in: ValuesIn = alone,
) -> tuple[tuple[SplitProfile, ...], list[Remark]]:
    """The rows that are used by split, and what their labels show.

    Args:
        dataset: its config.
        splits: the rows there are.
        selection: the rows that are used.
        output_column: column with the gold.
        words: gold value -> words, in the order of the label set; None = not a classification.
        values_in: the gold values of a row.
    """
    profiles = split_profiles(splits, selection, output_column, None if words is None else list(words), values_in)
    return profiles, [] if words is None else list(label_remarks(profiles, dataset, words))
