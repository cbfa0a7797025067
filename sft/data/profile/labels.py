"""What the labels of the splits show: a label that is never tested, rows that no label takes, words that are codes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from sft.config.dataset import DatasetConfig
from sft.data.profile.remark import Remark
from sft.data.profile.splits import SplitProfile
from sft.wording import and_more, counted, quoted

SHOWN_LABELS = 5

FEW_ROWS = 5
"""Evaluated rows of a label below which a single one moves its F1 by a fifth or more."""

FOLDS = 5

CODE = re.compile(r"[^\W\d_]?|[^\W\d_]{0,5}[-_ .]?[-+]?\d+([-_./]?\d+)*[^\W\d_]?")
"""A number, a letter, or a number with letters before it: `3`, `-1`, `B`, `LABEL_2`, `K05.1`."""


def label_remarks(
    profiles: Sequence[SplitProfile], dataset: DatasetConfig, words: Mapping[str, str]
) -> Iterator[Remark]:
    """What is worth knowing of the labels.

    Args:
        profiles: of the splits, with counts.
        dataset: its config.
        words: gold value -> what the model reads and writes for it, in the order of the label set.
    """
    by_name = {profile.name: profile for profile in profiles}
    train = by_name.get("train")
    for profile in profiles:
        if profile.name != "train" and profile.label_counts is not None:
            yield from _never_evaluated(profile, train, dataset)
            yield from _seldom_evaluated(profile, train, dataset)
    if train is not None and train.label_counts is not None and train.label_counts_before is not None:
        yield from _never_trained(train, profiles)
        yield from _outside(train.label_counts_before, words)
    yield from code_remarks(words)


def code_remarks(words: Mapping[str, str]) -> Iterator[Remark]:
    """One remark where most labels' words are codes, which tell a model nothing."""
    codes = [word for word in words.values() if CODE.fullmatch(word.strip())]
    if 2 * len(codes) > len(words):
        shown = ", ".join(list(words.values())[:SHOWN_LABELS]) + and_more(len(words), SHOWN_LABELS)
        text = f"the labels look like codes, and the model reads and writes them as they are: {shown}"
        yield Remark("label_codes", f"{text}; give them words", f"dataset.labels: {word_map(list(words))}")


def word_map(values: Sequence[str]) -> str:
    """A label map in Jsonnet with words to fill in."""
    pairs = [f"{literal(value)}: {literal(f'WORDS FOR {value}')}" for value in values]
    return "{ " + ", ".join(pairs) + " }"


def _never_evaluated(profile: SplitProfile, train: SplitProfile | None, dataset: DatasetConfig) -> Iterator[Remark]:
    counts, before = profile.label_counts or {}, profile.label_counts_before or {}
    missing = [value for value, count in counts.items() if not count]
    capped = [value for value in missing if before.get(value)]
    lost = [value for value in missing if not before.get(value)]
    reached = 1 - len(missing) / max(1, len(counts))
    top = f"macro-F1 counts {'it' if len(missing) == 1 else 'each'} as 0, so {reached:.3g} is the most it can be"
    if capped:
        cap = f"max_n_{profile.name}"
        enough = max(-(-profile.n_rows // before[value]) for value in capped)
        text = f"{_named(capped, before)} no {profile.name} row after {cap} {profile.n_used}: {top}"
        yield Remark("label_not_evaluated", text, f"dataset.{cap}: {enough}")
    if lost:
        known = (train.label_counts_before if train is not None else None) or {}
        text = f"{_named(lost, known, 'train')} no {profile.name} row: {top}"
        yield Remark("label_not_evaluated", text, _against_lost(profile.name, counts, lost, dataset))


def _seldom_evaluated(profile: SplitProfile, train: SplitProfile | None, dataset: DatasetConfig) -> Iterator[Remark]:
    """Labels whose F1 hangs on very few rows, which weighs as much as that of the others."""
    counts = {value: count for value, count in (profile.label_counts or {}).items() if 0 < count < FEW_ROWS}
    if not counts:
        return
    shown = ", ".join(f"{quoted(value)} {count}" for value, count in list(counts.items())[:SHOWN_LABELS])
    who = f"{counted(len(counts), 'label')} {'has' if len(counts) == 1 else 'have'} fewer than {FEW_ROWS}"
    n_labels = len(profile.label_counts or {})
    text = f"{who} {profile.name} rows ({shown}{and_more(len(counts), SHOWN_LABELS)}): "
    text += f"macro-F1 weighs each as 1 of {n_labels}, so that a row or two move it"
    known = (train.label_counts_before if train is not None else None) or {}
    whole = {value: count + known.get(value, 0) for value, count in (profile.label_counts or {}).items()}
    in_folds = min(whole.values()) >= FOLDS and dataset.on_missing != "drop"  # a fold may lose what is dropped
    from_one_split = dataset.splits.are_shares and dataset.splits.dev is None
    write = f"dataset.splits: {{ folds: {FOLDS} }}" if in_folds and from_one_split else None
    yield Remark("label_seldom_evaluated", text, write)


def _against_lost(split: str, counts: Mapping[str, int], lost: Sequence[str], dataset: DatasetConfig) -> str | None:
    """What to write where a split has no row of some labels: leave them out, if two are left."""
    kept = [value for value in counts if value not in lost]
    if split == "dev" or len(kept) < 2 or isinstance(dataset.labels, dict):
        return None
    return f"dataset.labels: {label_list(kept)}"


def _never_trained(train: SplitProfile, profiles: Sequence[SplitProfile]) -> Iterator[Remark]:
    missing = [value for value, count in (train.label_counts or {}).items() if not count]
    evaluated = [profile for profile in profiles if profile.name != "train" and profile.label_counts]
    rows = {value: sum((profile.label_counts or {}).get(value, 0) for profile in evaluated) for value in missing}
    if missing:
        text = f"{_named(missing, rows, 'evaluated')} no train row: no shot and no in-context example can show it"
        yield Remark("label_not_trained", text)


def _outside(before: Mapping[str, int], words: Mapping[str, str]) -> Iterator[Remark]:
    outside = {value: count for value, count in before.items() if value not in words and count}
    if not outside:
        return
    total, number = sum(before.values()), sum(outside.values())
    shown = ", ".join(f"{quoted(value)} {count}" for value, count in list(outside.items())[:SHOWN_LABELS])
    text = f"{number:,} of {counted(total, 'train row')} have labels outside dataset.labels and are left out: {shown}"
    yield Remark("label_outside", text + and_more(len(outside), SHOWN_LABELS))


def label_list(values: Sequence[str]) -> str:
    """A label list in Jsonnet."""
    return "[" + ", ".join(literal(value) for value in values) + "]"


def _named(values: Sequence[str], rows: Mapping[str, int], where: str = "") -> str:
    """`the label 'a' (12 train rows) has`, `3 labels ('a' 12, 'b' 0, 'c' 4 train rows) have`."""
    place = f"{where} row".strip()
    if len(values) == 1:
        (value,) = values
        return f"the label {quoted(value)} ({counted(rows.get(value, 0), place)}) has"
    shown = ", ".join(f"{quoted(value)} {rows.get(value, 0)}" for value in values[:SHOWN_LABELS])
    return f"{len(values)} labels ({shown}{and_more(len(values), SHOWN_LABELS)}; {place}s) have"


def literal(value: str) -> str:
    """Text as a Jsonnet string, in single quotes where that needs no escape."""
    plain = value.isprintable() and not set("'\\") & set(value)
    return f"'{value}'" if plain else json.dumps(value, ensure_ascii=False)
