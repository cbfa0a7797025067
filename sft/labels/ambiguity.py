"""What makes the labels of a set hard to tell apart: told before anything runs, and never an error."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sft.wording import as_seen, normalised, some

SHOWN_GROUPS = 3
UNEVEN = 3
"""How many times longer than the shortest the longest label may be, in tokens."""


class LabelWarning(NamedTuple):
    """Something about a label set."""

    kind: str
    """One warning of a kind is enough for a label set."""
    text: str


@dataclass(frozen=True)
class ScoredLabels:
    """A label set and how the scores of its labels are compared.

    Attributes:
        words: what the model reads and writes.
        ids: the token ids of each label without its stop; None where no tokenizer was asked.
        normalization: `inference.label_scoring.normalization`.
        end_token: `inference.label_scoring.end_token`.
        values: the gold values, where they are not the words.
    """

    words: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...] | None
    normalization: str
    end_token: bool
    values: tuple[str, ...] = ()


def label_warnings(labels: ScoredLabels) -> list[LabelWarning]:
    """What a user should know of a label set before scores are compared."""
    words = [word.strip() for word in labels.words]
    same = [*_groups(words, as_seen), *_groups(labels.values, as_seen)]
    found = [_same_to_the_eye(same)] if same else []
    alike = [group for group in _groups(words, _bare) if not any(set(group) <= set(other) for other in same)]
    found += [_look_alike_warning(alike)] if alike else []
    groups = (*same, *alike)
    told = {frozenset((one, other)) for group in groups for one in group for other in group if one != other}
    of_words = [pair for pair in _named(words, beginnings(words)) if frozenset(pair) not in told]
    if labels.end_token:
        found += [LabelWarning("beginning", _with_stop(of_words))] if of_words else []
    else:
        of_tokens = _named(words, beginnings(labels.ids or ()))
        found += [LabelWarning("token_beginning", _without_stop(of_tokens, labels.normalization))] if of_tokens else []
        told_so = set(of_tokens)
        rest = [pair for pair in of_words if pair not in told_so]
        found += [LabelWarning("open_beginning", _open_end(rest))] if rest else []
    return [*found, *_uneven(labels)]


def beginnings(sequences: Sequence[Sequence[object]]) -> list[tuple[int, int]]:
    """Pairs of places of which the first sequence is the beginning of the second, and shorter.

    Of several beginnings of one sequence only the longest is given.
    """
    places = {tuple(sequence): place for place, sequence in enumerate(sequences)}
    found = []
    for place, sequence in enumerate(sequences):
        shorter = (tuple(sequence[:length]) for length in range(len(sequence) - 1, 0, -1))
        beginning = next((places[start] for start in shorter if start in places), None)
        if beginning is not None:
            found.append((beginning, place))
    return found


def _groups(words: Sequence[str], form: Callable[[str], str]) -> list[list[str]]:
    """Words that have one form."""
    groups: dict[str, list[str]] = {}
    for word in dict.fromkeys(words):
        groups.setdefault(form(word), []).append(word)
    return [group for common, group in groups.items() if common and len(group) > 1]


def _bare(word: str) -> str:
    """The word in lower case, blanks for punctuation; symbols stay, for `+` and `-` are no look-alikes."""
    folded = normalised(as_seen(word))
    letters = (" " if unicodedata.category(character)[0] == "P" else character for character in folded)
    return " ".join("".join(letters).split())


def _same_to_the_eye(groups: Sequence[Sequence[str]]) -> LabelWarning:
    named = some([" and ".join(map(ascii, group)) for group in groups], SHOWN_GROUPS)
    return LabelWarning(
        "same_to_the_eye",
        f"labels look the same and are different texts, a class each ({named}); if they mean one class, write one of "
        "them in all cells of the data",
    )


def _look_alike_warning(groups: Sequence[Sequence[str]]) -> LabelWarning:
    named = some([" and ".join(map(repr, group)) for group in groups], SHOWN_GROUPS)
    return LabelWarning(
        "look_alike",
        f"label words differ in case or punctuation only ({named}); if they mean one class, write one of them in all "
        "cells of the data, else give them other words with dataset.labels",
    )


def _with_stop(pairs: Sequence[tuple[str, str]]) -> str:
    return (
        f"a label word is the beginning of another ({_shown(pairs)}): it is their ends that tell them apart, so leave "
        "inference.label_scoring.end_token on"
    )


def _without_stop(pairs: Sequence[tuple[str, str]], normalization: str) -> str:
    lead = f"the tokens of a label are the beginning of another's ({_shown(pairs)}) and end_token is false"
    if normalization == "sum":
        lead += ", so the shorter one always scores at least as high"
    return f"{lead}; set inference.label_scoring.end_token to true, or give them other words"


def _open_end(pairs: Sequence[tuple[str, str]]) -> str:
    return (
        f"a label word is the beginning of another ({_shown(pairs)}) and end_token is false, so nothing says where "
        "the shorter one ends; set inference.label_scoring.end_token to true, or give them other words"
    )


def _uneven(labels: ScoredLabels) -> Iterator[LabelWarning]:
    if not labels.ids or labels.normalization != "sum":
        return
    sizes = [len(ids) for ids in labels.ids]
    short, long = min(sizes), max(sizes)
    if long > UNEVEN * short:
        first, last = labels.words[sizes.index(short)], labels.words[sizes.index(long)]
        yield LabelWarning(
            "uneven",
            f"labels are {short} ({first!r}) to {long} tokens ({last!r}) long, and in a sum every token costs; "
            "take words of like length, or set inference.label_scoring.normalization to mean",
        )


def _named(words: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    return [(words[shorter], words[longer]) for shorter, longer in pairs]


def _shown(pairs: Sequence[tuple[str, str]]) -> str:
    return some([f"{shorter!r} of {longer!r}" for shorter, longer in pairs], SHOWN_GROUPS)
