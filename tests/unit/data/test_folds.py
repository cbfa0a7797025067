import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.config.dataset import DatasetConfig
from sft.data.loading import GoldReading, load_splits
from sft.data.rows import Splits, indices_of
from sft.data.selection import fold_splits, select
from sft.data.shares import cut_folds
from sft.exceptions import DataError, UserError

LABELS = st.lists(st.sampled_from("aabbbc"), min_size=12, max_size=90)


def loose(n: int) -> list[tuple[str, ...]]:
    return [() for _ in range(n)]


@settings(max_examples=80, deadline=None)
@given(LABELS, st.integers(2, 6), st.integers(0, 3))
def test_every_row_is_in_one_fold_and_folds_are_even_in_all_and_by_label(
    labels: list[str], n_folds: int, seed: int
) -> None:
    folds = cut_folds(loose(len(labels)), labels, n_folds, seed)
    assert sorted(position for fold in folds for position in fold) == list(range(len(labels)))
    assert max(map(len, folds)) - min(map(len, folds)) <= 1
    for label in set(labels):
        counts = [sum(labels[position] == label for position in fold) for fold in folds]
        assert max(counts) - min(counts) <= 1


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=30, max_size=120), st.integers(0, 3))
def test_rows_joined_by_a_key_stay_together(bonds: list[tuple[int, int]], seed: int) -> None:
    keys = [(f"group {a}", f"text {i if b > 5 else b}") for i, (a, b) in enumerate(bonds)]
    try:
        folds = cut_folds(keys, [""] * len(keys), 3, seed)
    except DataError:
        return
    fold_of = {position: fold for fold, positions in enumerate(folds) for position in positions}
    assert len(fold_of) == sum(map(len, folds)) == len(keys)
    for part in (0, 1):
        seen: dict[str, int] = {}
        for position, own in enumerate(keys):
            assert seen.setdefault(own[part], fold_of[position]) == fold_of[position]


def test_equal_texts_that_are_learned_whole_stay_together(tmp_path: Path) -> None:
    texts = [f"text {number % 10}" for number in range(40)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"body": text}) + "\n" for text in texts))
    dataset = DatasetConfig.model_validate({"path": "a.jsonl", "task_type": "text", "splits": {"folds": 2}})
    folds = load_splits(dataset, (), "body", tmp_path, None).folds
    assert not {texts[place] for place in folds[0]} & {texts[place] for place in folds[1]}


def test_the_cut_has_a_seed_of_its_own() -> None:
    labels = ["ab"[i % 2] for i in range(40)]
    assert cut_folds(loose(40), labels, 4, 0) == cut_folds(loose(40), labels, 4, 0)
    assert cut_folds(loose(40), labels, 4, 0) != cut_folds(loose(40), labels, 4, 1)


@pytest.mark.parametrize(
    ("keys", "n_folds", "message"),
    [
        (loose(3), 4, "4 folds, and 3 rows make 3 parts"),
        ([("one",)] * 10 + [("two",)], 3, "3 folds, and 11 rows make 2 parts .groups and equal texts are kept whole"),
    ],
)
def test_too_few_rows_or_groups_are_refused(keys: Any, n_folds: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        cut_folds(keys, [""] * len(keys), n_folds, 0)


def write(folder: Path, rows: list[dict[str, Any]], name: str = "d.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def config(path: str = "d.jsonl", **more: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"path": path, "task_type": "classification", "shots": 1, **more})


def read(folder: Path, dataset: DatasetConfig) -> Splits:
    return load_splits(dataset, ["text"], "label", folder, None, GoldReading("label"))


def test_a_fold_is_tested_by_rows_that_are_not_its_own(tmp_path: Path) -> None:
    write(tmp_path, [{"text": f"text {i // 2 if i < 8 else i}", "label": "ab"[i % 3 == 0]} for i in range(30)])
    dataset = config(splits={"folds": 3}, max_n_test=24, shots=2)
    splits = read(tmp_path, dataset)
    whole = select(dataset, splits, "label", ("a", "b"), 13)
    assert not whole.train
    assert not whole.shots
    assert len(whole.test) == 24
    tested: list[int] = []
    for fold in range(3):
        own = fold_splits(splits, fold, indices_of(whole.test))
        selection = select(dataset, own, "label", ("a", "b"), 13)
        assert {row.source_index for row in selection.train} == set(range(30)) - splits.folds[fold]
        assert {row.source_index for row in selection.shots} <= set(range(30)) - splits.folds[fold]
        assert Counter(row.text("label") for row in selection.shots) == {"a": 2, "b": 2}
        texts = {row.text("text") for row in selection.train}
        assert texts.isdisjoint(row.text("text") for row in selection.test)
        tested += indices_of(selection.test)
    assert sorted(tested) == list(indices_of(whole.test))


def test_rows_with_missing_cells_are_dropped_after_the_cut(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(20)]
    write(tmp_path, rows)
    before = read(tmp_path, config(splits={"folds": 2}))
    rows[3]["text"] = ""
    write(tmp_path, rows)
    after = read(tmp_path, config(splits={"folds": 2}, on_missing="drop"))
    assert len(after.test.rows) == 19
    assert sum(before.fold_of[index] == after.fold_of[index] for index in range(20)) >= 10
    assert set(after.fold_of) == set(range(20))


@pytest.mark.parametrize("splits", [{"dev": "dev"}, {"dev": 0.2}, {"test": 0.3}, {"test": "other.jsonl"}])
def test_folds_stand_alone(tmp_path: Path, splits: dict[str, Any]) -> None:
    write(tmp_path, [{"text": f"{i}", "label": "a"} for i in range(9)])
    with pytest.raises(UserError, match="cannot stand beside folds, which test every row once"):
        read(tmp_path, config(splits={"folds": 3, **splits}))


def test_folds_cut_the_one_split_there_is(tmp_path: Path) -> None:
    for name in ("train", "test"):
        write(tmp_path, [{"text": f"{name} {i}", "label": "a"} for i in range(9)], f"{name}.jsonl")
    with pytest.raises(DataError, match="folds are 3, but there is more than one split to cut"):
        read(tmp_path, config(".", splits={"folds": 3}))
    named = read(tmp_path, config(".", splits={"folds": 3, "train": "train.jsonl"}))
    assert [len(fold) for fold in named.folds] == [3, 3, 3]
