from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sft.config.dataset import DatasetConfig
from sft.data.profile.labels import code_remarks, word_map
from sft.data.profile.profile import used_rows
from sft.data.rows import Splits
from sft.data.selection import select
from sft.evaluation.metrics.formulas import averages

WORDS = {"bad": "bad", "good": "good", "odd": "odd"}


def rows(counts: dict[str, int]) -> list[tuple[str, str]]:
    return [(f"text {label} {number}", label) for label, count in counts.items() for number in range(count)]


def looked_at(found: Splits, words: dict[str, str] = WORDS, **dataset: Any) -> tuple[Any, list[Any]]:
    config = DatasetConfig.model_validate({"path": "data", "task_type": "classification", "shots": 0, **dataset})
    selection = select(config, found, "label", list(words), 13)
    return used_rows(config, found, selection, "label", words)


def test_rows_of_each_label_are_counted_before_and_after_the_caps(splits_of: Callable[..., Splits]) -> None:
    splits = splits_of(train=rows({"bad": 6, "good": 3, "other": 2}), test=rows({"bad": 8, "good": 2}))
    (train, test), _ = looked_at(splits, {"good": "good", "bad": "bad"}, max_n_test=5)
    assert (train.n_rows, train.n_used, train.label_counts) == (11, 9, {"good": 3, "bad": 6})
    assert train.label_counts_before == {"good": 3, "bad": 6, "other": 2}
    assert (test.n_rows, test.n_used, test.label_counts) == (10, 5, {"good": 1, "bad": 4})


def test_rows_that_were_dropped_are_counted(splits_of: Callable[..., Splits]) -> None:
    splits = splits_of(test=rows({"bad": 8, "good": 8, "odd": 8}))
    (test,), _ = looked_at(replace(splits, test=replace(splits.test, n_dropped=3)))
    assert (test.n_rows, test.n_dropped) == (24, 3)


def test_rows_without_gold_have_no_counts(splits_of: Callable[..., Splits]) -> None:
    (_, test), remarks = looked_at(splits_of(train=rows({"bad": 1, "good": 1, "odd": 1}), test=[("text",)]))
    assert (test.n_used, test.label_counts, remarks) == (1, None, [])


def test_a_label_without_test_rows_says_what_macro_f1_can_reach(splits_of: Callable[..., Splits]) -> None:
    splits = splits_of(train=rows({"bad": 4, "good": 4, "odd": 2}), test=rows({"bad": 6, "good": 6}))
    _, (remark,) = looked_at(splits)
    assert remark.kind == "label_not_evaluated"
    assert remark.text == (
        "the label 'odd' (2 train rows) has no test row: macro-F1 counts it as 0, so 0.667 is the most it can be"
    )
    assert remark.write == "dataset.labels: ['bad', 'good']"
    import numpy as np

    assert averages(np.diag([6, 6, 0]))["macro_f1"] == pytest.approx(2 / 3)


def test_a_cap_that_takes_a_label_names_one_that_does_not(splits_of: Callable[..., Splits]) -> None:
    splits = splits_of(train=rows({"bad": 9, "good": 9, "odd": 9}), test=rows({"bad": 120, "good": 120, "odd": 9}))
    _, (remark,) = looked_at(splits, max_n_test=10)
    assert "'odd' (9 rows) has no test row after max_n_test 10" in remark.text
    assert remark.write == "dataset.max_n_test: 28"
    assert [found.kind for found in looked_at(splits, max_n_test=28)[1]] == ["label_seldom_evaluated"]


@pytest.mark.parametrize(("cut", "write"), [({"test": 0.3}, "dataset.splits: { folds: 5 }"), ({"test": "test"}, None)])
def test_a_label_with_few_test_rows_is_told_with_its_weight(
    splits_of: Callable[..., Splits], cut: Any, write: str | None
) -> None:
    counts = {"bad": 9, "good": 5, "odd": 4}
    _, (remark,) = looked_at(splits_of(train=rows(counts), test=rows(counts)), splits=cut)
    assert remark.kind == "label_seldom_evaluated"
    assert remark.text == (
        "1 label has fewer than 5 test rows ('odd' 4): macro-F1 weighs each as 1 of 3, so that a row or two move it"
    )
    assert remark.write == write


def test_labels_that_only_one_side_has(splits_of: Callable[..., Splits]) -> None:
    splits = splits_of(train=rows({"bad": 5, "good": 5, "x": 2, "y": 1}), test=rows({"bad": 5, "good": 5, "odd": 8}))
    _, remarks = looked_at(splits)
    assert [(remark.kind, remark.text) for remark in remarks] == [
        (
            "label_not_trained",
            "the label 'odd' (8 evaluated rows) has no train row: no shot and no in-context example can show it",
        ),
        (
            "label_outside",
            "3 of 13 train rows have labels outside dataset.labels and are left out: 'x' 2, 'y' 1",
        ),
    ]


@pytest.mark.parametrize(
    ("words", "are_codes"),
    [
        (["0", "1", "2"], True),
        (["-1", "0.5"], True),
        (["LABEL_0", "LABEL_1"], True),
        (["A", "B", "C"], True),
        (["K05.1", "J20", "other"], True),
        (["good", "bad", "3"], False),
        (["no", "yes"], False),
        (["cat2dog", "covid-like"], False),
    ],
)
def test_codes_are_told_from_words(words: Sequence[str], are_codes: bool) -> None:
    assert [remark.kind for remark in code_remarks(dict(zip(words, words, strict=True)))] == [
        "label_codes"
    ] * are_codes


def test_codes_that_have_words_are_none() -> None:
    assert list(code_remarks({"0": "sad", "1": "glad"})) == []
    (remark,) = code_remarks({"0": "0", "1": "1"})
    assert "the model reads and writes them as they are: 0, 1" in remark.text
    assert remark.write == "dataset.labels: { '0': 'WORDS FOR 0', '1': 'WORDS FOR 1' }"


def test_a_map_in_jsonnet_reads_back_whatever_the_values_hold() -> None:
    import rjsonnet

    values = ["it's", 'a "b"', "back\\slash", "new\nline", "é"]
    assert list(__import__("json").loads(rjsonnet.evaluate_snippet("map", word_map(values)))) == sorted(values)
