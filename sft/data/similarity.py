"""Which texts of a pool are most like a text: by TF-IDF of their words, or by sentence embeddings.

The measure is the cosine. What it is made of (the vocabulary, how rare a word is) comes from the pool alone, so that
no evaluated row has a part in what another one is shown.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

WORD = r"\w+"
TIE_DECIMALS = 6
"""Cosines equal to this many decimals are a tie: below it lies the rounding of sums, which batches and CPUs move."""

Encode = Callable[[Sequence[str]], "np.ndarray[Any, Any]"]
"""Texts -> their vectors of length 1, one row each."""


class Ranking(Protocol):
    """Orders the texts of a pool by their likeness to a text."""

    def prepare(self, texts: Iterable[str]) -> None:
        """Announce texts that will be asked for, so that they can be worked on together."""

    def order(self, text: str) -> list[int]:
        """The positions of the whole pool, most similar first; ties in the order of the pool."""


class WordRanking:
    """By the cosine of TF-IDF vectors of lower-cased words; texts without a common word are all equally unlike.

    A word is a run of letters, digits and underscores. Its weight in a text is its count times ln((1 + n) / (1 + d))
    + 1, with n the texts of the pool and d those of them that have it; words that the pool has not do not count.
    """

    def __init__(self, pool: Sequence[str]) -> None:
        self._pool = pool
        self._vectorizer: Any = None
        self._vectors: Any = None

    def prepare(self, texts: Iterable[str]) -> None:
        """Nothing to do: a text costs little."""

    def order(self, text: str) -> list[int]:
        """The positions of the whole pool, most similar first."""
        if self._vectorizer is None:
            self._fit()
        if not self._has_words:
            return list(range(len(self._pool)))
        found = self._vectors @ self._vectorizer.transform([text]).T
        return _descending(found.toarray().ravel())

    @property
    def _has_words(self) -> bool:
        return self._vectors is not None

    def _fit(self) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(lowercase=True, token_pattern=WORD)
        analyze = self._vectorizer.build_analyzer()
        if any(analyze(text) for text in self._pool):  # without a word there is nothing to fit
            self._vectors = self._vectorizer.fit_transform(self._pool)


class EmbeddingRanking:
    """By the cosine of vectors that a model makes; every distinct text is encoded once."""

    def __init__(self, pool: Sequence[str], encode: Encode) -> None:
        self._pool = pool
        self._encode = encode
        self._vectors: dict[str, np.ndarray[Any, Any]] = {}
        self._matrix: np.ndarray[Any, Any] | None = None

    def prepare(self, texts: Iterable[str]) -> None:
        """Encode the texts, and with the first ones the pool, together."""
        wanted = [] if self._matrix is not None else list(self._pool)
        new = [text for text in dict.fromkeys([*wanted, *texts]) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._encode(new), strict=True))

    def order(self, text: str) -> list[int]:
        """The positions of the whole pool, most similar first."""
        import numpy as np

        self.prepare([text])
        if self._matrix is None:
            self._matrix = np.stack([self._vectors[own] for own in self._pool])
        return _descending(self._matrix @ self._vectors[text])


def _descending(similarities: "np.ndarray[Any, Any]") -> list[int]:
    import numpy as np

    order: list[int] = np.argsort(-np.round(similarities, TIE_DECIMALS), kind="stable").tolist()
    return order
