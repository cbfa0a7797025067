"""What a set-up is, and how it is called."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.gathering import SetUp, common_name, set_ups
from tests.support.records import config

UNUSED: dict[str, Any] = {"dataset": {"shots": 0}}
"""Zero-shot with the adapter and the training of `BASE` written, which have no effect."""


def row(name: str, key: str, folder: str = "results", state: str = "done", **changes: Any) -> ExperimentRecord:
    return ExperimentRecord(name, key, state, Path(folder) / "experiments" / key, config(**changes))


def told(found: Sequence[SetUp]) -> dict[str, list[str]]:
    return {one.name: list(one.runs) for one in found}


def rate(value: float) -> dict[str, Any]:
    return {"trainer_args": {"learning_rate": value}}


def test_one_run_under_several_names_is_one_set_up_with_all_of_them() -> None:
    rows = [
        row("zero/a", "0", training=rate(1e-4), **UNUSED),
        row("zero/b", "0", training=rate(2e-4), **UNUSED),
        row("lora/a", "1", training=rate(1e-4)),
        row("lora/b", "2", training=rate(2e-4)),
    ]
    assert told(set_ups(rows, [])) == {"zero": ["0"], "lora/a": ["1"], "lora/b": ["2"]}


def test_rows_that_differ_in_what_has_no_effect_and_in_their_seed_are_one_set_up() -> None:
    shown = {"inference": {"icl_examples": 1}}
    rows = [
        row(f"{init}/seed{seed}", f"{seed}", seed=seed, lora=lora, **{**UNUSED, **shown})
        for seed, init, lora in ((1, "pca", {"r": 8}), (2, "none", None), (3, "r4", {"r": 4}))
    ]
    (found,) = set_ups(rows, [])
    assert (list(found.runs), len(found.seeds)) == (["1", "2", "3"], 3)


def test_a_shared_run_joins_settings_that_differ_in_what_counts_for_no_stage() -> None:
    """The batch size of inference is in no key, though the plan does not call it without effect."""
    rows = [
        row(f"b{size}/seed{seed}", f"{seed}", seed=seed, inference={"batch_size": size})
        for size in (8, 16)
        for seed in (1, 2)
    ]
    other = row("other", "9", inference={"batch_size": 8}, lora={"r": 4})
    found = set_ups([*rows, other], [])
    assert told(found) == {"b8/seed1 = b16/seed1": ["1", "2"], "other": ["9"]}
    assert len(found[0].planned) == 2


def test_an_alias_is_the_same_setting() -> None:
    rows = [
        row(f"{name}/{seed}", f"{seed}", seed=seed, training={"trainer_args": {name: 64}})
        for seed, name in ((1, "max_length"), (2, "max_seq_length"))
    ]
    assert len(set_ups(rows, [])) == 1


def test_settings_that_have_an_effect_are_set_ups() -> None:
    rows = [row("a", "1"), row("b", "2", lora={"r": 4}), row("c", "3", prompting={"max_input_length": 9})]
    assert told(set_ups(rows, [])) == {"a": ["1"], "b": ["2"], "c": ["3"]}


def test_equal_settings_and_seeds_with_other_data_are_other_set_ups_by_folder() -> None:
    """Two folders joined, the better one mixed: each keeps its own seeds, and the names say which is which."""
    rows = [
        row("a/seed1", "1" * 16, "old", seed=1),
        row("a/seed1", "2" * 16, "new", seed=1),
        row("a/seed2", "3" * 16, "new", seed=2),
        row("a/seed2", "4" * 16, "old", seed=2),
    ]
    found = set_ups(rows, [])
    assert [list(one.runs) for one in found] == [["1" * 16, "4" * 16], ["2" * 16, "3" * 16]]
    assert [one.name for one in found] == ["a (old)", "a (new)"]


def test_rows_without_a_result_tell_which_seeds_were_planned() -> None:
    waiting = row("zero/b/seed2", "5", state="pending", seed=2, training=rate(2e-4), **UNUSED)
    found = set_ups([row("zero/a/seed1", "0", seed=1, training=rate(1e-4), **UNUSED)], [waiting])
    assert [len(one.planned) for one in found] == [2]


def test_a_config_that_this_version_cannot_read_counts_as_it_is_written() -> None:
    broken = [ExperimentRecord(name, name, "done", Path("x/y/z"), {"unknown": name}) for name in ("a", "b")]
    assert told(set_ups(broken, [])) == {"a": ["a"], "b": ["b"]}
    assert all(one.in_force.is_seeded for one in broken)


def test_many_names_of_one_run_are_cut_with_their_number() -> None:
    rows = [row(name, "1") for name in ("zero", "none", "plain", "bare")]
    assert list(told(set_ups(rows, []))) == ["zero = none and 2 more"]


def test_names_are_unlike_where_the_common_part_is_taken() -> None:
    rows = [row(f"x/{number}", f"{number}", lora={"r": 1 + number // 2}, seed=number) for number in range(4)]
    assert list(told(set_ups(rows, []))) == ["x/0", "x/2"]


@pytest.mark.parametrize(
    ("names", "common"),
    [(["a/x", "a/y"], "a"), (["x/a", "y/a"], "a"), (["a", "b"], ""), (["a/b", "a"], ""), (["a/b"], "a/b")],
)
def test_what_names_have_in_common(names: list[str], common: str) -> None:
    assert common_name(names) == common


@pytest.mark.parametrize(
    "changes",
    [{"lora": None, "adapter": {"method": "none"}}, {"inference": {"calibration_args": {"calibration_fn": "none"}}}],
)
def test_a_section_that_says_none_is_as_if_it_were_not_written(changes: dict[str, Any]) -> None:
    plain = {"lora": None} if "lora" in changes else {}
    rows = [row("x/1", "1", seed=1, **changes), row("x/2", "2", seed=2, **plain)]
    assert told(set_ups(rows, [])) == {"x": ["1", "2"]}


def test_which_folder_a_seed_belongs_to_depends_on_no_number() -> None:
    """The old folder has two seeds, the new one three, with other data; whichever rows stand first on the board."""
    old = [row("a", f"o{seed}", "old", seed=seed) for seed in (1, 2)]
    new = [row("a", f"n{seed}", "new", seed=seed) for seed in (1, 2, 3)]
    for rows in itertools.permutations([*old, *new]):
        found = {frozenset(one.runs) for one in set_ups(rows, [])}
        assert found == {frozenset({"o1", "o2"}), frozenset({"n1", "n2", "n3"})}


def test_the_seeds_of_folders_that_continue_each_other_are_one_set_up() -> None:
    rows = [row("a", "s3", "second", seed=3), row("a", "s1", "first", seed=1), row("a", "s2", "first", seed=2)]
    (found,) = set_ups(rows, [])
    assert list(found.runs) == ["s3", "s1", "s2"]
