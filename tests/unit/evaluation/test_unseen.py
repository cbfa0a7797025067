"""Which metrics cannot see which references."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.evaluation.computation import MetricInputs, compute_metrics
from sft.evaluation.unseen import unseen_references

METRICS = ("rougeL", "rouge1", "bleu", "chrf", "exact_match")
CHINESE = "今天的天气很好，我们去公园散步吧。"
RUSSIAN = "Сегодня хорошая погода, пойдём гулять."
ENGLISH = "The weather is nice, let us go."


def told(references: list[str], *, has_tokenizer: bool = False, **options: Any) -> list[str]:
    found = unseen_references(METRICS, options, references, Path(), has_tokenizer=has_tokenizer)
    assert all("a right answer may score 0; set evaluation.tokenizer_name, or rank by chrf" in text for text in found)
    return [text.partition(":")[0] for text in found]


def test_scripts_that_are_left_out_or_not_split() -> None:
    assert told([CHINESE]) == ["rougeL, rouge1", "bleu"]
    assert told(["วันนี้อากาศดี ไปเดินเล่นกัน"]) == ["rougeL, rouge1", "bleu"]
    assert told([RUSSIAN]) == told(["Встреча 3 мая в 10:30, зал IBM."]) == ["rougeL, rouge1"]
    assert told(["今天3点开会"]) == ["rougeL, rouge1", "bleu"]
    assert told(["Thời tiết hôm nay rất đẹp", "größer als schön", "12:30", "e\u0301te\u0301"]) == []
    assert told([ENGLISH, "yes", "Élève d'été"]) == []
    assert told([CHINESE, ENGLISH]) == told([]) == told([" "]) == []
    assert told([CHINESE, ENGLISH, RUSSIAN]) == ["rougeL, rouge1"]


def test_words_of_a_tokenizer_and_of_another_splitting_are_seen() -> None:
    assert told([CHINESE], has_tokenizer=True) == []
    assert told([CHINESE], bleu_tokenize="zh") == told([CHINESE], bleu_tokenize="char") == ["rougeL, rouge1"]


def test_the_details_of_the_metrics_tell_it() -> None:
    def details(reference: str) -> dict[str, Any]:
        inputs = MetricInputs(gold=[reference], predictions=[reference])
        return compute_metrics(["rougeL", "exact_match"], "generation", inputs, {}, Path()).details

    assert "rougeL: 100% of the references" in details(CHINESE)["warnings"][0]
    assert "warnings" not in details(ENGLISH)


@pytest.mark.parametrize(("answer", "metrics"), [(CHINESE, ["rougeL, rouge1, rouge2", "bleu"]), (ENGLISH, [])])
def test_the_plan_tells_it_of_the_default_metrics(
    answer: str,
    metrics: list[str],
    plan_of: Callable[..., Any],
    project: Path,
    raw: Callable[..., dict[str, Any]],
    generation: dict[str, Any],
    rewrite: Callable[..., None],
) -> None:
    for split in ("train", "test"):
        rewrite(project, split, lambda rows: [{**row, "label": answer} for row in rows])
    own = {"evaluation": {"metrics": ["chrf"]}}
    found = plan_of(project, a=raw(generation, own), b=raw(generation)).warnings
    assert [text.partition(": ")[2].partition(":")[0] for text in found] == metrics
    assert all(text.startswith("b: ") for text in found)
