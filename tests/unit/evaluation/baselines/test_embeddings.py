"""The baseline of embeddings: the regression on what the named model gives for each text, shots first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.baselines import classifiers, embeddings
from sft.evaluation.baselines.classifiers import Known
from sft.evaluation.baselines.embeddings import KnownTexts, embedding_regression
from sft.exceptions import DataError
from sft.models.sentence_encoder import EncoderSource
from tests.support.baselines import NAMES, BaselineGrid

ENCODER = EncoderSource("models/tiny", Path())
NONE = np.array([], dtype=np.int64)


def vector(text: str) -> list[float]:
    """Of length 1; texts with `good` point one way, all others another."""
    angle = 0.1 * len(text) + (2.0 if "good" in text else 0.0)
    return [float(np.cos(angle)), float(np.sin(angle))]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What was encoded: the model's name and the texts, call by call."""
    calls: list[tuple[str, list[str]]] = []

    def encode(source: EncoderSource, texts: Sequence[str]) -> Any:
        calls.append((source.name, list(texts)))
        return np.array([vector(text) for text in texts], dtype=np.float32)

    monkeypatch.setattr(embeddings, "encode_texts", encode)
    return calls


def test_the_regression_is_scikit_learn_s_on_the_embeddings(asked: list[tuple[str, list[str]]]) -> None:
    from sklearn.linear_model import LogisticRegression

    shots, labels, texts = ["good a", "bad b", "good good c", "bad"], np.array([2, 0, 2, 0]), ["good", "bad b", "odd"]
    found = embedding_regression(KnownTexts(Known(3, shots, labels, NONE), ENCODER), texts)
    assert found is not None
    own = np.array([vector(text) for text in shots], dtype=np.float32)
    model = LogisticRegression(C=1.0, max_iter=1000, random_state=0).fit(own, labels)
    expected = model.predict_proba(np.array([vector(text) for text in texts], dtype=np.float32))
    assert found[:, [0, 2]] == pytest.approx(expected, abs=1e-6)
    assert found[:, 1].tolist() == [0.0] * 3
    # "bad b" is a shot and a row: it is encoded once.
    assert asked == [("models/tiny", ["good a", "bad b", "good good c", "bad", "good", "odd"])]


@pytest.mark.parametrize(
    "known",
    [KnownTexts(Known(2, ["a", "b"], np.array([0, 1]), NONE), None), KnownTexts(Known(2, [], NONE, NONE), ENCODER)],
    ids=["no model", "no shots"],
)
def test_without_a_model_or_shots_it_is_no_baseline(asked: list[Any], known: KnownTexts) -> None:
    assert embedding_regression(known, ["x"]) is None
    assert asked == []


@pytest.mark.parametrize(
    ("labels", "reason"), [([1, 1], "the shots have a single label"), ([0, 1], "there are more than 2 rows")]
)
def test_what_cannot_be_learned_from_is_said_before_anything_is_encoded(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, labels: list[int], reason: str
) -> None:
    monkeypatch.setattr(classifiers, "LARGEST", 2)
    known = KnownTexts(Known(2, ["a", "b"], np.array(labels), NONE), ENCODER)
    with pytest.raises(DataError, match=reason):
        embedding_regression(known, ["x"])
    assert asked == []


def test_the_stage_measures_it_beside_the_others_under_the_name_of_its_model(
    tmp_path: Path, asked: list[tuple[str, list[str]]]
) -> None:
    grid = BaselineGrid(tmp_path)
    grid.done("a", dataset={"splits": {"dev": "dev"}}, evaluation={"baseline_encoder": grid.encoder("models/tiny")})
    assert grid.measure() == 1
    (job,) = grid.jobs()
    found = grid.baselines(job)
    name = "embeddings + logistic regression (tiny)"
    assert list(found) == [*NAMES, name]
    assert found[name]["results"]["accuracy"] == found[name]["results"]["dev_accuracy"] == 1.0
    assert job.folder.baseline_rows(name).is_file()
    ((model, texts),) = asked
    assert model == "models/tiny"
    assert len(texts) == 4 + 6 + 5


def test_a_model_without_effect_is_not_asked(tmp_path: Path, asked: list[Any]) -> None:
    grid = BaselineGrid(tmp_path)
    grid.done("zero", dataset={"shots": 0}, lora=None, training=None, evaluation={"baseline_encoder": "models/tiny"})
    grid.measure()
    (job,) = grid.jobs()
    assert list(grid.baselines(job)) == NAMES[:1]
    assert asked == []
