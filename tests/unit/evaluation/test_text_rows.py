"""Metrics of texts from sums over rows: beside the packages of their field on samples, and sacrebleu's paired test."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.significance import PairedTest

from sft.evaluation.computation import MetricInputs, MetricResults, compute_metrics
from sft.evaluation.metrics.row_sums import RowSums
from sft.evaluation.row_metrics import row_sums
from sft.evaluation.rows import EvaluatedRows, matches
from sft.exceptions import UserError

PLAIN = "the cat sat on a mat It rained all day and night . Stocks fell 3.5 % again ,"
WORDS = [*PLAIN.split(), "東京", "の天気", "Über"]
N_ROWS = 40
ROUGE = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def texts(seed: int = 0, changed: float = 0.3) -> tuple[list[str], list[str]]:
    """References, and texts of which a share of the words is another."""
    rng = np.random.default_rng(0)
    gold = [[str(word) for word in rng.choice(WORDS, size)] for size in rng.integers(3, 12, N_ROWS)]
    rng = np.random.default_rng(seed + 1)
    given = [
        [str(rng.choice(WORDS)) if rng.random() < changed else word for word in words][rng.integers(0, 2) :]
        for words in gold
    ]
    given[3] = []
    return [" ".join(words) for words in gold], [" ".join(words) for words in given]


def computed(
    metrics: list[str], gold: list[str], given: list[str], folder: Path | None = None, **options: Any
) -> MetricResults:
    return compute_metrics(metrics, "generation", MetricInputs(gold, given), options, folder or Path.cwd())


def sums_of(name: str, gold: list[str], given: list[str], **options: Any) -> RowSums:
    found = computed([name], gold, given, **options)
    rows = EvaluatedRows(matches(given, gold, options), per_row=found.per_row)
    sums = row_sums(name, rows, {"details": found.details, "config": {"evaluation": options}})
    assert sums is not None
    assert sums.whole == pytest.approx(found.results[name], abs=1e-12)
    return sums


def drawn(n_samples: int = 30) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(samples, rows) places as sacrebleu draws them, and (rows, samples) how often each row stands there."""
    places = np.random.default_rng(12345).choice(N_ROWS, size=(n_samples, N_ROWS), replace=True)
    return places, np.stack([np.bincount(own, minlength=N_ROWS) for own in places], axis=1).astype(np.float64)


@pytest.mark.parametrize(
    ("name", "options", "package"),
    [
        ("bleu", {}, {}),
        ("bleu", {"bleu_tokenize": "char", "bleu_lowercase": True}, {"tokenize": "char", "lowercase": True}),
        ("chrf", {}, {}),
        ("chrf", {"chrf_word_order": 2}, {"word_order": 2}),
    ],
)
def test_bleu_and_chrf_are_sacrebleus_on_every_sample(
    name: str, options: dict[str, Any], package: dict[str, Any]
) -> None:
    gold, given = texts()
    places, weights = drawn()
    score = {"bleu": sacrebleu.corpus_bleu, "chrf": sacrebleu.corpus_chrf}[name]
    forced = {"force": True} if name == "bleu" else {}
    expected = [
        score([given[place] for place in own], [[gold[place] for place in own]], **package, **forced).score
        for own in places
    ]
    assert sums_of(name, gold, given, **options).values(weights) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("gold", "given"),
    [
        (["a b c d e"], ["a b x d e"]),
        (["a b c d e"], ["a x c y e"]),
        (["a b c"], ["a b c"]),
        (["a b c d"], ["x y z v"]),
        (["a b c d"], [""]),
        (["a b c d", "a"], ["a b c d", "b c d e f g"]),
    ],
)
def test_lengths_without_a_hit_or_an_n_gram_are_smoothed_as_sacrebleu_does(gold: list[str], given: list[str]) -> None:
    sums_of("bleu", gold, given)
    sums_of("chrf", gold, given)


def test_the_paired_bootstrap_is_sacrebleus() -> None:
    """Given the same samples, which sacrebleu sums in fp32."""
    gold, first = texts()
    _, second = texts(1, changed=0.45)
    metrics = {"BLEU": sacrebleu.BLEU(force=True), "chrF2": sacrebleu.CHRF()}
    test = PairedTest([("first", first), ("second", second)], metrics, [gold], "bs", n_samples=200)
    _, scores = test()
    _, weights = drawn(200)
    for name, theirs in (("bleu", "BLEU"), ("chrf", "chrF2")):
        sums = [sums_of(name, gold, given) for given in (first, second)]
        values = [own.values(weights) for own in sums]
        result = scores[theirs][1]
        assert not isinstance(result, str)
        assert result.mean == pytest.approx(values[1].mean(), abs=1e-4)
        ordered = np.sort(values[1])
        assert result.ci == pytest.approx((ordered[200 - 200 // 40 - 1] - ordered[200 // 40]) / 2, abs=1e-4)
        differences = np.abs(values[1] - values[0])
        beyond = (differences - differences.mean() > abs(sums[1].whole - sums[0].whole)).sum()
        assert result.p_value == pytest.approx((beyond + 1) / 201, abs=1e-9)


@pytest.mark.parametrize("stemmer", [False, True])
def test_rouge_is_the_mean_of_its_rows(stemmer: bool) -> None:
    gold, given = texts()
    scorer = RougeScorer(ROUGE, use_stemmer=stemmer)
    scores = [scorer.score(wanted, text) for wanted, text in zip(gold, given, strict=True)]
    _, weights = drawn()
    found = computed(ROUGE, gold, given, rouge_stemmer=stemmer)
    assert list(found.per_row) == ROUGE
    for name in ROUGE:
        rows = np.array([score[name].fmeasure for score in scores])
        assert found.per_row[name] == pytest.approx(rows)
        sums = sums_of(name, gold, given, rouge_stemmer=stemmer)
        assert sums.values(weights) == pytest.approx(rows @ weights / N_ROWS)
        assert sums.right is None


def test_exact_match_counts_what_its_arguments_take_for_equal() -> None:
    gold, given = ["Paris", "Rome.", "a b"], ["Paris \n", "rome", "a  b"]
    eased = {"exact_match_ignore_case": True, "exact_match_ignore_punctuation": True}
    for options, right in (({}, [True, False, False]), (eased, [True, True, False])):
        sums = sums_of("exact_match", gold, given, **options)
        assert sums.right is not None
        assert sums.right.tolist() == right


@pytest.mark.parametrize("name", ["bleu", "chrf", "rougeL", "exact_match"])
def test_influences_give_the_variance_of_the_bootstrap(name: str) -> None:
    """Of 1,000 rows: 5,000 samples know a standard deviation within 1 %; the variance must be within 10 %."""
    rng = np.random.default_rng(4)
    gold = [" ".join(rng.choice(WORDS, size)) for size in rng.integers(4, 9, 1000)]
    given = [
        " ".join(word if rng.random() < 0.8 else str(rng.choice(WORDS)) for word in text.split(" ")) for text in gold
    ]
    sums = sums_of(name, gold, given)
    weights = rng.multinomial(1000, np.full(1000, 1 / 1000), 5000).T.astype(np.float64)
    influence = sums.influence()
    estimate = ((influence - influence.mean()) ** 2).sum() / 1000**2
    assert estimate == pytest.approx(sums.values(weights).var(), rel=0.1)


OWN = """
def overlap(predictions, references):
    values = rows(predictions, references)
    return sum(values) / len(values)

def rows(predictions, references):
    return [len(set(a.split()) & set(b.split())) / len(set(b.split())) for a, b in zip(predictions, references)]

overlap.per_row = rows

def hits(predictions, references):
    return sum(a == b for a, b in zip(predictions, references)) / len(references)
hits.per_row = lambda predictions, references: [a == b for a, b in zip(predictions, references)]

def other(predictions, references):
    return 0.5
other.per_row = lambda predictions, references: [0.25] * len(references)

def few(predictions, references):
    return 0.5
few.per_row = lambda predictions, references: [0.5]

def wordy(predictions, references):
    return 0.5
wordy.per_row = lambda predictions, references: ["half"] * len(references)

def several(predictions, references):
    return {"one": 0.5, "two": 0.5}
several.per_row = lambda predictions, references: [0.5] * len(references)
"""


def test_an_own_metric_may_say_how_rows_make_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    gold, given = texts()
    found = computed(["own.py:overlap", "own.py:hits"], gold, given, tmp_path)
    rows = EvaluatedRows(matches(given, gold, {}), per_row=found.per_row)
    overlap, hits = (row_sums(name, rows, {"details": found.details}) for name in ("overlap", "hits"))
    assert overlap is not None
    assert hits is not None
    assert (overlap.whole, hits.whole) == pytest.approx((found.results["overlap"], found.results["hits"]))
    assert overlap.right is None
    assert hits.right is not None
    assert hits.right.tolist() == [a == b for a, b in zip(gold, given, strict=True)]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("other", r"'own\.py:other': per_row has the mean 0\.25, and the metric is 0\.5; they must be equal"),
        ("few", r"per_row must return one finite number for each of the 40 rows, not \[0\.5\]"),
        ("wordy", r"per_row must return one finite number for each of the 40 rows, not \['half'"),
        ("several", r"per_row is for a metric of one number, and it returned \{'one': 0\.5, 'two': 0\.5\}"),
    ],
)
def test_numbers_per_row_that_do_not_make_an_own_metric_are_told(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "own.py").write_text(OWN)
    gold, given = texts()
    with pytest.raises(UserError, match=told):
        computed([f"own.py:{name}"], gold, given, tmp_path)
