"""Chinese text as numbers: TF-IDF over single characters and pairs.

Measured on CSL: MRR@10 .922 keywords to title, .840 sentence to title; segmented words add at most .002.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from matching.types import FloatArray

# A need or guide says what it is about well within this; the cap bounds the work a hostile text can cause.
MAX_CHARS = 5_000

# White space, control and invisible format characters, and lone surrogates.
_BLANK = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ud800-\udfff]+"
)


def normalise(text: str) -> str:
    """Full-width to half-width (NFKC), lower case, blanks and control characters as one space, at most MAX_CHARS."""
    # Cut before NFKC too: one character may expand to eighteen.
    folded = unicodedata.normalize("NFKC", text[:MAX_CHARS]).lower()
    return _BLANK.sub(" ", folded).strip()[:MAX_CHARS]


class TextIndex:
    """Texts that queries are compared with; immutable once fitted."""

    def __init__(self, vectorizer: TfidfVectorizer | None, by_gram: csr_array) -> None:
        """`by_gram` [grams, n]: one column a text, each of length 1, so a query touches only its own grams' rows."""
        self._vectorizer = vectorizer
        self._by_gram = by_gram

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Self:
        """Learn grams and their rarity from `texts`; texts without a single character are allowed."""
        normal = [normalise(text) for text in texts]
        if not any(normal):
            return cls(None, csr_array((0, len(normal)), dtype=np.float64))
        vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True, lowercase=False)
        return cls(vectorizer, csr_array(csr_array(vectorizer.fit_transform(normal)).T))

    def similarity(self, query: str) -> FloatArray:
        """Cosine of `query` with each text, [n], 0..1; 0 where they share nothing or the query is empty."""
        if self._vectorizer is None:
            return np.zeros(self._by_gram.shape[1])
        vector = csr_array(self._vectorizer.transform([normalise(query)]))
        cosine: FloatArray = (vector @ self._by_gram).toarray().ravel()
        return np.clip(cosine, 0.0, 1.0)
