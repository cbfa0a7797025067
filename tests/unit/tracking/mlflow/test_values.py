"""Names and values that MLflow would refuse."""

import string

import pytest

from sft.tracking.mlflow.tracker import MAX_KEY, MAX_PARAM, MAX_TAG, allowed_keys, name_text, param_text, tag_text

ODD = (
    "f1@10 (macro)",
    "C++",
    "C#",
    "",
    ".",
    "..",
    "../up",
    "/abs",
    "a//b",
    "a/./b",
    "a/",
    "ünï/größe",
    "a:b",
    "\ud800x",
)


def test_plain_keys_stay() -> None:
    plain = {"macro_f1": 1, "seconds.train": 2, "dataset.labels.very good": 3, "train/loss": 4, "a-b": 5, "größe": 6}
    assert allowed_keys(plain) == plain


@pytest.mark.parametrize("key", ODD)
def test_every_key_becomes_one_that_mlflow_takes(key: str) -> None:
    validation = pytest.importorskip("mlflow.utils.validation")
    (allowed,) = allowed_keys({key: 1})
    validation._validate_param(allowed, "1")
    validation._validate_metric(allowed, 1.0, 0, 0)


def test_no_value_is_lost_where_keys_would_be_equal() -> None:
    values = {"C+": 1, "C#": 2, "C_": 3, "x" * 251: 4, "x" * 250 + "y": 5}
    found = allowed_keys(values)
    assert sorted(found.values()) == [1, 2, 3, 4, 5]
    assert found["C_"] == 3, "the one that needs no change keeps its name"
    assert max(map(len, found)) <= MAX_KEY
    assert allowed_keys(dict(reversed(values.items()))).keys() >= {
        "C_",
        *(key for key in found if len(key) == MAX_KEY),
    }


def test_settings_are_text_as_they_are_written_else_json() -> None:
    assert [param_text(value) for value in ("a b", 0.0002, True, None, ["ü", 1], {"b": 1, "a": 2})] == [
        "a b", "0.0002", "true", "null", '["ü", 1]', '{"a": 2, "b": 1}',
    ]  # fmt: skip


def test_a_long_setting_says_how_long_it_was_and_differs_from_others_that_begin_alike() -> None:
    long = string.ascii_letters * 200
    first, second = param_text(long + "1"), param_text(long + "2")
    assert len(first) == len(second) == MAX_PARAM
    assert first.startswith(long[:5000])
    assert f"({len(long) + 1} characters, sha256 " in first
    assert first != second
    assert param_text("x" * MAX_PARAM) == "x" * MAX_PARAM


def test_texts_hold_no_lone_surrogate_and_keep_to_their_lengths() -> None:
    assert param_text("a\ud800") == tag_text("a\ud800") == name_text("a\ud800") == "a\\ud800"
    assert (len(tag_text("x" * 9000)), len(name_text("x" * 9000))) == (MAX_TAG, 500)
