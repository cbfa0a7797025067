import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.config.dataset import DatasetConfig
from sft.data.loading import load_splits
from sft.data.rows import Splits
from sft.data.shares import cut
from sft.exceptions import DataError, UserError

LABELS = st.lists(st.sampled_from("aabbbc"), min_size=12, max_size=120)


def loose(n: int) -> list[tuple[str, ...]]:
    return [() for _ in range(n)]


@settings(max_examples=80, deadline=None)
@given(LABELS, st.sampled_from([0.1, 0.3, 0.5]), st.integers(0, 3))
def test_labels_keep_their_proportions(labels: list[str], share: float, seed: int) -> None:
    sides = cut(loose(len(labels)), labels, {"test": share, "dev": 0.2}, seed)
    assert sorted(position for side in sides.values() for position in side) == list(range(len(labels)))
    whole = Counter(labels)
    for name, part in (("test", share), ("dev", 0.2)):
        counts = Counter(labels[position] for position in sides[name])
        for label, n in whole.items():
            assert abs(counts[label] - part * n) <= 1
    kept = {labels[position] for position in sides["train"]}
    assert kept == set(labels)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=30, max_size=120), st.integers(0, 3))
def test_rows_joined_by_a_key_stay_together(bonds: list[tuple[int, int]], seed: int) -> None:
    keys = [(f"group {a}", f"text {i if b > 5 else b}") for i, (a, b) in enumerate(bonds)]
    try:
        sides = cut(keys, [""] * len(keys), {"test": 0.3}, seed)
    except DataError:
        return
    side_of = {position: name for name, positions in sides.items() for position in positions}
    for part in (0, 1):
        seen: dict[str, str] = {}
        for position, own in enumerate(keys):
            assert seen.setdefault(own[part], side_of[position]) == side_of[position]


def test_groups_come_near_the_share() -> None:
    keys = [(f"group {i // 5}",) for i in range(200)]
    sides = cut(keys, ["ab"[i % 2] for i in range(200)], {"test": 0.3, "dev": 0.1}, 0)
    assert {name: len(side) for name, side in sides.items()} == {"train": 120, "test": 60, "dev": 20}


def test_large_groups_are_placed_while_there_is_room() -> None:
    keys: list[tuple[str, ...]] = [*loose(70), *[("group",)] * 30]
    assert len(cut(keys, [""] * 100, {"test": 0.3}, 0)["test"]) == 30


def test_bonds_may_be_doubled_or_go_round() -> None:
    keys = [("a",), ("a", "b"), ("a", "b"), ("b", "c"), ("c", "a"), *loose(15)]
    sides = cut(keys, [""] * 20, {"test": 0.3}, 0)
    assert len(set(range(5)) & set(sides["test"])) in (0, 5)


def test_seed_moves_the_cut_and_nothing_else_does() -> None:
    labels = ["ab"[i % 2] for i in range(50)]
    first = cut(loose(50), labels, {"test": 0.3}, 0)
    assert first == cut(loose(50), labels, {"test": 0.3}, 0)
    assert first != cut(loose(50), labels, {"test": 0.3}, 1)
    assert first["test"][:3] == [2, 3, 7]


def test_a_label_with_one_row_stays_in_train() -> None:
    for seed in range(20):
        labels = ["rare"] + ["common"] * 9
        assert 0 in cut(loose(10), labels, {"test": 0.5}, seed)["train"]


def test_empty_side_is_an_error() -> None:
    with pytest.raises(DataError, match=r"no row is left for test \(test: 0.3\) of 8 rows"):
        cut([("one group",)] * 8, [""] * 8, {"test": 0.3}, 0)


def config(**keys: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"path": "all.jsonl", "task_type": "classification", "shots": 1, **keys})


def write(folder: Path, rows: list[dict[str, Any]], name: str = "all.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def load(dataset: DatasetConfig, folder: Path) -> Splits:
    return load_splits(dataset, ["text"], "label", folder, None)


def test_one_split_becomes_three(tmp_path: Path) -> None:
    write(tmp_path, [{"text": f"t {i}", "label": i % 2} for i in range(40)])
    splits = load(config(splits={"test": 0.3, "dev": 0.15}), tmp_path)
    assert splits.train is not None
    assert splits.dev is not None
    assert [len(part.rows) for part in (splits.train, splits.dev, splits.test)] == [22, 6, 12]
    indices = [row.source_index for part in (splits.train, splits.dev, splits.test) for row in part.rows]
    assert sorted(indices) == list(range(40))
    assert all(row.values["text"] == f"t {row.source_index}" for row in splits.test.rows)


def test_equal_texts_and_groups_are_on_one_side(tmp_path: Path) -> None:
    texts = ["Good  day", "good day", "ｇood day"]
    write(
        tmp_path,
        [
            {"text": texts[i % 3] if i < 9 else f"t {i}", "label": "a", "who": None if i < 9 else i // 4}
            for i in range(60)
        ],
    )
    splits = load(config(splits={"test": 0.3, "group_by": "who"}), tmp_path)
    test = {row.source_index for row in splits.test.rows}
    assert len(test & set(range(9))) in (0, 9)
    for who in range(3, 15):
        members = {i for i in range(60) if i >= 9 and i // 4 == who}
        assert len(test & members) in (0, len(members))
    write(tmp_path, [{"text": f"t {i}", "label": "a", "who": None} for i in range(20)])
    assert len(load(config(splits={"test": 0.3, "group_by": "who"}), tmp_path).test.rows) == 6
    with pytest.raises(DataError, match='column "site" not found'):
        load(config(splits={"test": 0.3, "group_by": "site"}), tmp_path)


def test_dropped_rows_do_not_move_the_cut(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": f"t {i}", "label": "ab"[i % 2]} for i in range(40)]
    write(tmp_path, rows)
    before = {row.source_index for row in load(config(splits={"test": 0.3}), tmp_path).test.rows}
    hole = min(before)
    write(tmp_path, [{**row, "text": ""} if i == hole else row for i, row in enumerate(rows)])
    after = load(config(splits={"test": 0.3}, on_missing="drop"), tmp_path).test.rows
    assert {row.source_index for row in after} == before - {hole}


def test_shares_need_the_one_split(tmp_path: Path) -> None:
    write(tmp_path, [{"text": "x", "label": "a"}], "train.jsonl")
    write(tmp_path, [{"text": "x", "label": "a"}], "test.jsonl")
    with pytest.raises(DataError, match=r"more than one split to cut; .* splits are: test, train"):
        load(config(path=".", splits={"test": 0.3}), tmp_path)


@pytest.mark.parametrize("splits", [{"dev": 0.2}, {"test": 0.3, "dev": "dev"}, {"test": 0.6, "dev": 0.4}])
def test_mixed_or_too_large_shares_are_refused(tmp_path: Path, splits: dict[str, Any]) -> None:
    write(tmp_path, [{"text": "x", "label": "a"}])
    with pytest.raises(UserError, match=r"shares and names cannot be mixed|leave no share for train"):
        load(config(splits=splits), tmp_path)
