"""What institutions have done: the needs they completed, and how often each of their offerings was proposed of late."""

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from msgspec import Struct

from matching.text import TextIndex
from matching.types import BoolArray, FloatArray, IntArray, NeedView, PastService

MOST_KIN = 20
"""Past needs that a new one is compared with: the most similar."""
LEAST_SIMILARITY = 0.1
"""Texts that share less are no kin."""


class Standing(Struct, frozen=True, eq=False):
    """What the past says of n offerings, for one need.

    `kin` [n]: how many of the `similar` most similar past needs the offering's institution completed. `completed` [n]:
    needs it completed at all; `in_industry` [n]: those of enterprises of the need's industry, which has the share
    `industry_share` of the whole market (None: the industry is not known). `proposed` [n]: how often the offering was
    proposed lately.
    """

    kin: IntArray
    similar: int
    completed: IntArray
    in_industry: IntArray
    industry_share: float | None
    proposed: IntArray


class Past:
    """Completed needs and recent proposals; immutable, built now and then."""

    def __init__(self, texts: TextIndex, services: Sequence[PastService], proposed: Mapping[int, int]) -> None:
        """`texts` of the `services`, in their order."""
        self._texts = texts
        self._institutions, self._served_by = np.unique(
            np.array([service.institution_id for service in services], dtype=np.int64), return_inverse=True
        )
        self._industry = np.array([service.industry or "" for service in services], dtype=np.str_)
        self._offerings = np.array(sorted(proposed), dtype=np.int64)
        self._proposed = np.array([*(proposed[i] for i in self._offerings.tolist()), 0], dtype=np.int64)

    @classmethod
    def build(cls, services: Sequence[PastService], proposed: Mapping[int, int]) -> Self:
        """`proposed`: times, by offering id. Takes .2 s for two thousand services."""
        return cls(TextIndex.fit([service.text for service in services]), services, proposed)

    def standing(
        self, need: NeedView, *, offering_ids: IntArray, institution_ids: IntArray, near: BoolArray
    ) -> Standing:
        """Of offerings [n]. Kin are looked for among what the institutions of those `near` completed: others cannot
        serve this need, and would leave nobody a share."""
        place = _places(self._institutions, institution_ids)
        known = need.industry is not None and len(self._industry) > 0
        of_industry = self._industry == (need.industry or "")
        kin = self._kin(need.text, place[near])
        return Standing(
            kin=self._counts(kin)[place],
            similar=len(kin),
            completed=self._counts(np.arange(len(self._served_by)))[place],
            in_industry=self._counts(np.flatnonzero(of_industry))[place],
            industry_share=float(of_industry.mean()) if known else None,
            proposed=self._proposed[_places(self._offerings, offering_ids)],
        )

    def _kin(self, text: str, near: IntArray) -> IntArray:
        """Rows of the most similar needs among those completed by institutions at the places `near`."""
        is_near = np.zeros(len(self._institutions) + 1, dtype=np.bool_)
        is_near[near] = True
        similarity: FloatArray = self._texts.similarity(text)
        rows = np.flatnonzero((similarity >= LEAST_SIMILARITY) & is_near[self._served_by])
        best: IntArray = rows[np.argsort(-similarity[rows], kind="stable")[:MOST_KIN]]
        return best

    def _counts(self, rows: IntArray) -> IntArray:
        """How many of these services each institution did; one more entry, 0, for those without any."""
        return np.bincount(self._served_by[rows], minlength=len(self._institutions) + 1)


NO_PAST = Past.build([], {})


def _places(known: IntArray, ids: IntArray) -> IntArray:
    """Where each of `ids` is among the ascending `known`; len(known) for one that is not there."""
    place = np.searchsorted(known, ids)
    found: IntArray = np.where(np.append(known, -1)[place] == ids, place, len(known))
    return found
