"""In which settings experiments differ, and which of these change together."""

from typing import Any

import pytest

from sft.config.seeds import is_seed, without_seeds
from sft.leaderboard.in_force import in_force, leaves, settings_in_force
from sft.leaderboard.setting_differences import differing, setting_columns, together
from tests.support.records import config


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ([{"a": 1, "b": 2}, {"a": 1, "b": 3}], ["b"]),
        ([{"a": 1}, {"a": 1.0}], ["a"]),
        ([{"a": None}, {}], []),
        ([{"lora": None}, {"lora.r": 8}], ["lora.r"]),
        ([{"training.trainer_args": {}}, {"training.trainer_args.lr": 1}], ["training.trainer_args.lr"]),
        ([{"training": None}, {"training.trainer_args": {}}], ["training.trainer_args"]),
        ([{"seed": 1, "seeds.shots": 1}, {"seed": 2, "seeds.shots": 1}], ["seed"]),
        ([{"a": 1}], []),
        ([], []),
    ],
)
def test_settings_that_differ(settings: list[dict[str, Any]], found: list[str]) -> None:
    assert differing(settings) == found


def test_columns_know_no_seed_and_tell_an_empty_section_from_none() -> None:
    rows = [{"seed": 1, "adapter": None}, {"seed": 2, "adapter": {}}]
    assert list(setting_columns(rows)) == ["adapter"]


def test_what_changes_together_is_told_together() -> None:
    assert together({"a": [1, 2, 1], "b": ["x", "y", "x"], "c": [1, 1, 2]}) == [["a", "b"], ["c"]]


def test_a_finished_run_of_an_earlier_default_reads_the_same_rows() -> None:
    on_missing = ["empty", "error", "drop"]
    kept = []
    for written in on_missing:
        own = config()
        own = own | {"dataset": own["dataset"] | {"on_missing": written}}
        kept.append(settings_in_force(leaves(own), in_force(own)))
    assert differing(kept[:2]) == []
    assert differing(kept[1:]) == ["dataset.on_missing"]


def test_configs_that_differ_in_their_seeds_are_the_same_without_them() -> None:
    one, two = config(seed=1), config(seed=2, seeds={"shots": 7}) | {"name": "other"}
    assert without_seeds(one) == without_seeds(two)
    assert without_seeds(one) != without_seeds(config(seed=1, lora={"r": 4}))
    assert {path for path in leaves(two) if is_seed(path)} >= {"seed", "seeds.shots", "seeds.icl"}
