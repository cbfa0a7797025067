"""Each text metric against the package of its field, by direct calls."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from sft.evaluation.computation import MetricInputs, MetricResults, compute_metrics
from sft.evaluation.results import word_splitter
from sft.exceptions import PackageMissing

GOLD = ["The cat sat on the mat.", "It rained all day\nand all night.", "Stocks fell 3.5 %, again"]
TEXTS = ["The cat sat on a mat.", "It rained all night\nand all day.", ""]


def compute(metrics: list[str], given: MetricInputs | None = None, **options: object) -> MetricResults:
    return compute_metrics(metrics, "generation", given or MetricInputs(GOLD, TEXTS), options, Path.cwd())


@pytest.mark.parametrize("stemmer", [False, True])
def test_rouge_is_the_mean_f_measure(stemmer: bool) -> None:
    names = ["rougeL", "rouge1", "rouge2", "rougeLsum"]
    scorer = RougeScorer(names, use_stemmer=stemmer)
    scores = [scorer.score(gold, text) for gold, text in zip(GOLD, TEXTS, strict=True)]
    results = compute(names, rouge_stemmer=stemmer).results
    assert list(results) == names
    for name in names:
        assert results[name] == pytest.approx(np.mean([score[name].fmeasure for score in scores]))
    assert results["rougeLsum"] != results["rougeL"]


def test_bleu_and_chrf_equal_sacrebleu() -> None:
    result = compute(["bleu", "chrf"])
    assert result.results["bleu"] == pytest.approx(sacrebleu.corpus_bleu(TEXTS, [GOLD]).score)
    assert result.results["chrf"] == pytest.approx(sacrebleu.corpus_chrf(TEXTS, [GOLD]).score)
    assert "tok:13a" in result.details["bleu_details"]["signature"]


def test_bleu_and_chrf_take_their_arguments() -> None:
    given = MetricInputs(GOLD, [text.upper() for text in TEXTS])
    results = compute(["bleu"], given, bleu_tokenize="char", bleu_lowercase=True).results
    assert results["bleu"] == pytest.approx(
        sacrebleu.corpus_bleu(given.predictions, [GOLD], tokenize="char", lowercase=True).score
    )
    results = compute(["chrf"], chrf_word_order=2).results
    assert results["chrf"] == pytest.approx(sacrebleu.corpus_chrf(TEXTS, [GOLD], word_order=2).score)


def test_a_tokenizer_splits_words_for_bleu_and_rouge() -> None:
    class Letters:
        def tokenize(self, text: str) -> list[str]:
            return list(text)

    given = MetricInputs(["日本の天気", "東京"], ["日本の元気", "京都"], split_words=word_splitter(Letters()))
    results = compute(["rouge1", "rougeL", "bleu"], given).results
    assert results["rouge1"] == pytest.approx((4 / 5 + 1 / 2) / 2)
    expected = sacrebleu.corpus_bleu(
        ["日 本 の 元 気", "京 都"], [["日 本 の 天 気", "東 京"]], tokenize="none", force=True
    )
    assert results["bleu"] == pytest.approx(expected.score)
    assert compute(["rouge1"], MetricInputs(given.gold, given.predictions)).results["rouge1"] == 0


def test_exact_match_and_its_arguments() -> None:
    given = MetricInputs(["Paris", "Rome.", "a b"], ["Paris \n", "rome", "a  b"])
    assert compute(["exact_match"], given).results["exact_match"] == pytest.approx(1 / 3)
    eased = {"exact_match_ignore_case": True, "exact_match_ignore_punctuation": True}
    assert compute(["exact_match"], given, **eased).results["exact_match"] == pytest.approx(2 / 3)


def test_lone_surrogates_do_not_stop_the_evaluation() -> None:
    given = MetricInputs(["a \ud83d b", "c"], ["a \ud83d b", "\ud83d"])
    results = compute(["exact_match", "rouge1", "bleu", "chrf"], given).results
    assert results["exact_match"] == 0.5


def test_optional_metrics_say_what_to_install() -> None:
    with pytest.raises(PackageMissing, match=r"bert_score.*pip install 'sft-grid\[bertscore\]'"):
        compute(["bertscore"])
    with pytest.raises(PackageMissing, match=r"bleurt.*git\+https://github.com/google-research/bleurt"):
        compute(["bleurt"])


class Vector(list[float]):
    def mean(self) -> float:
        return sum(self) / len(self)


def _module(monkeypatch: pytest.MonkeyPatch, name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = types.SimpleNamespace(name=name, origin=None)  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_optional_metrics_call_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def score(texts: list[str], gold: list[str], lang: str, model_type: str | None, num_layers: int | None) -> object:
        calls.append((texts, gold, lang, model_type, num_layers))
        return Vector([0.1]), Vector([0.2]), Vector([0.3, 0.5])

    class BleurtScorer:
        def __init__(self, checkpoint: str | None) -> None:
            calls.append(checkpoint)

        def score(self, references: list[str], candidates: list[str]) -> list[float]:
            assert (references, candidates) == (GOLD, TEXTS)
            return [0.25, 0.75]

    _module(monkeypatch, "bert_score").score = score  # type: ignore[attr-defined]
    _module(monkeypatch, "bleurt")
    _module(monkeypatch, "bleurt.score").BleurtScorer = BleurtScorer  # type: ignore[attr-defined]
    results = compute(["bertscore", "bleurt"], bertscore_lang="de", bertscore_layers=3).results
    assert results == {"bertscore": pytest.approx(0.4), "bleurt": 0.5}
    assert calls == [(TEXTS, GOLD, "de", None, 3), None]
