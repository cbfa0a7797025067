"""From the value of a grid to named raw configs."""

from typing import Any

import pytest

from sft.exceptions import UserError
from sft.experiments.grids.expand import expand, only_one


def refused(value: Any, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        expand(value, "grid", **options)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_three_forms() -> None:
    assert expand({"configs": {"b": {"x": 1}, "a/é": {}}}, "grid") == {"b": {"x": 1}, "a/é": {}}
    assert expand([{"x": 1}, {"name": "n"}, {}], "grid") == {"0001": {"x": 1}, "n": {"name": "n"}, "0003": {}}
    assert expand({"x": 1}, "tweets") == {"tweets": {"x": 1}}
    assert expand({"name": "n"}, "tweets") == {"n": {"name": "n"}}


@pytest.mark.parametrize("value", [{}, [], {"configs": {}}])
def test_an_empty_grid_is_zero_experiments(value: Any) -> None:
    assert refused(value).startswith("0 experiments")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "a grid must be {configs: {name: config}}, a list of configs or one config, got a number"),
        (None, "got null"),
        ("x", "got text"),
        ({"configs": []}, "configs: must be a map from names to configs, got a list"),
        ({"configs": {}, "base": {}}, "unknown key beside configs: base"),
        (
            {"a": {"dataset": {}, "model": {}, "prompting": {}}},
            "'a' is a config in a map without configs; write {configs: {...}} around the map",
        ),
        ({"configs": {"a": 3}}, 'experiment #1 "a": must be a config object, got a number'),
        ([{}, []], 'experiment #2 "0002": must be a config object, got a list'),
        ([{"name": 3}], "experiment 0001: name: must be text, got a number"),
        ({"configs": {"a": {"name": "b"}}}, "its name key says 'b'; in a map the key is the name"),
        ({"configs": {"a\0b": {}}}, "experiment #1: the name 'a\\x00b'"),
        ({"configs": {"\ud83d": {}}}, "experiment #1: the name '\\ud83d'"),
        ({"configs": {"": {}}}, "experiment #1: the name ''"),
    ],
)
def test_other_forms_are_refused(value: Any, message: str) -> None:
    assert message in refused(value)


def test_a_name_that_is_its_key_is_accepted() -> None:
    assert expand({"configs": {"a": {"name": "a"}}}, "grid") == {"a": {"name": "a"}}


def test_two_configs_of_one_name_are_refused_and_copies_warned_about() -> None:
    first: dict[str, Any] = {"name": "a", "x": {"y": [1]}}
    message = refused([first, {}, {"name": "a", "x": {"y": [2]}}])
    assert message.startswith('experiments #1 and #3 are both named "a" but differ')
    warnings: list[str] = []
    assert list(expand([first, {}, {**first}], "grid", warn=warnings.append)) == ["a", "0002"]
    assert warnings == ['experiment #3 is an exact copy of #1 "a"; it runs once']


def test_an_automatic_name_that_is_taken_is_refused() -> None:
    assert "both named" in refused([{"name": "0002", "x": 1}, {}])


def test_more_than_the_limit_need_the_flag() -> None:
    value = {"configs": {str(number): {} for number in range(10_001)}}
    assert (
        refused(value, only="7") == "10,001 experiments are more than 10,000; allow them with --max-experiments 10001"
    )
    assert len(expand(value, "grid", max_experiments=10_001)) == 10_001


GRID = {"configs": {name: {} for name in ("qwen/r8/seed13", "qwen/r8", "gemma/r8/seed13", "a[1]", "a1", "b", "c")}}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("qwen/*", ["qwen/r8/seed13", "qwen/r8"]),
        ("*seed13", ["qwen/r8/seed13", "gemma/r8/seed13"]),
        ("qwen/r8", ["qwen/r8"]),
        ("a[1]", ["a[1]"]),
        ("[bc]", ["b", "c"]),
    ],
)
def test_only_is_a_pattern_over_the_whole_name(pattern: str, names: list[str]) -> None:
    assert list(expand(GRID, "grid", only=pattern)) == names


@pytest.mark.parametrize("pattern", ["qwen", "seed13", "QWEN/*"])
def test_only_without_a_match_lists_names(pattern: str) -> None:
    message = refused(GRID, only=pattern)
    assert message.startswith(f"0 experiments: no name matches --only '{pattern}'; there are 7: qwen/r8/seed13, ")
    assert message.endswith(", ...")


def test_a_command_that_takes_one() -> None:
    assert only_one({"a": {"x": 1}}) == ("a", {"x": 1})
    with pytest.raises(UserError, match="2 experiments, but this command takes one; choose with --only NAME: a, b"):
        only_one({"a": {}, "b": {}})
