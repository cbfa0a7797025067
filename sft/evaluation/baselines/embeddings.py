"""The baseline of a sentence-embedding model that the config names: logistic regression on embeddings of the shots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from sft.evaluation.baselines.classifiers import Known, Probabilities, check_learnable, fitted_probabilities
from sft.evaluation.baselines.entry import Baseline
from sft.evaluation.baselines.labelled import known_labels, label_outcome
from sft.models.sentence_encoder import EncoderSource, encode_texts
from sft.tasks.encoders import BASELINE
from sft.tasks.inputs import Inputs


@dataclass(frozen=True)
class KnownTexts:
    """What may be learned from, and what makes texts comparable.

    Attributes:
        known: the shots with their labels.
        encoder: the sentence-embedding model; None where the config names none or it has no effect.
    """

    known: Known
    encoder: EncoderSource | None


def known_texts(inputs: Inputs) -> KnownTexts:
    """What the experiments of the job know of the train split, and the model that their config names."""
    return KnownTexts(known_labels(inputs), inputs.encoders.get(BASELINE))


def embedding_regression(known: KnownTexts, texts: Sequence[str]) -> Probabilities | None:
    """Logistic regression (L2, C = 1) on the embeddings of the shots, each of length 1.

    A label without shots has probability 0. Without shots or without a model it is no baseline.

    Raises:
        DataError: the shots have fewer than two labels, or there are too many rows.
    """
    shots = known.known.shots
    if known.encoder is None or not shots:
        return None
    check_learnable(known.known, len(texts))
    # Each text once: rows may repeat shots, and folds repeat rows.
    unique = list(dict.fromkeys([*shots, *texts]))
    vectors = dict(zip(unique, encode_texts(known.encoder, unique), strict=True))
    learned, asked = (np.stack([vectors[text] for text in own]) for own in (shots, texts))
    return fitted_probabilities(known.known, learned, asked)


def named_model(inputs: Inputs) -> str | None:
    """The last part of the model's name, so that baselines by two models are two on a board."""
    encoder = inputs.encoders.get(BASELINE)
    return None if encoder is None else PurePath(encoder.name).name


EMBEDDING_REGRESSION = Baseline(
    known_texts, embedding_regression, label_outcome, metrics=("ece",), variant=named_model
)
