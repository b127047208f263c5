"""Offerings by the hundred thousand: words of the catalogue and made-up ones, as frequent as words are (Zipf).

Each has 51 words, of two characters for the most part, and one word, EVERYWHERE, is in all of them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from market import data
from market.data import language
from matching.types import FloatArray
from search.documents import OfferingDocument
from search.engine import Document
from search.text import cut

WORDS = 50
EVERYWHERE = "服务"
MADE_UP = 20_000
BATCH = 5_000
_CHINESE = re.compile("[\u4e00-\u9fff]+")


class Synthetic:
    """A world of offerings; the same for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self._kinds = [kind.code for kind in data.load_institution_kinds()]
        self._audience = [kind.code for kind in data.load_enterprise_kinds()]
        self._counties = [region.code for region in data.load_regions() if not region.code.endswith("00")]

    @cached_property
    def vocabulary(self) -> list[str]:
        """The most frequent first."""
        texts = [json.dumps(data.load_synonyms(), ensure_ascii=False)]
        texts += [f"{item.name} {item.guide}" for item in data.load_items().items]
        texts += [example.text for example in language.load_examples()]
        counts: dict[str, int] = {}
        for text in texts:
            for run in _CHINESE.findall(text):
                for word in cut(run):
                    counts[word] = counts.get(word, 0) + (len(word) > 1 and word != EVERYWHERE)
        real = sorted((word for word, count in counts.items() if count), key=lambda word: (-counts[word], word))
        characters = sorted(language.load_sounds())
        made_up = {
            characters[one] + characters[other]
            for one, other in self._random.integers(len(characters), size=(MADE_UP, 2)).tolist()
        }
        return real + sorted(made_up - set(real))

    def words(self, rows: int, each: int) -> list[list[str]]:
        """Words as often as they are in the offerings."""
        drawn = self._random.choice(len(self.vocabulary), size=(rows, each), p=zipf(len(self.vocabulary), 0.9))
        return [[self.vocabulary[place] for place in row] for row in drawn.tolist()]

    def region(self) -> str:
        """A county, some far more often than others."""
        return self._counties[self._random.choice(len(self._counties), p=zipf(len(self._counties), 0.8))]

    def batches(self, count: int) -> Iterator[list[Document]]:
        """Offerings with the ids 0..count-1."""
        for start in range(0, count, BATCH):
            rows = self.words(min(BATCH, count - start), WORDS)
            regions = self._random.choice(len(self._counties), size=len(rows), p=zipf(len(self._counties), 0.8))
            yield [
                self._offering(start + i, row, self._counties[region]).document()
                for i, (row, region) in enumerate(zip(rows, regions.tolist(), strict=True))
            ]

    def _offering(self, number: int, words: Sequence[str], region: str) -> OfferingDocument:
        return OfferingDocument(
            id=number,
            title="".join(words[:5]),
            item_name="".join(words[5:9]),
            institution_name="".join(words[9:13]),
            region_name="".join(words[13:16]),
            aliases="",
            summary=EVERYWHERE + "，".join(words[16:]),
            guide="",
            item_code=f"S{number % 97}",
            item_list=("authority", "common", "specific")[number % 3],
            rights=(("patent", "trademark", "gi", "ic_layout", "copyright", "trade_secret", "data")[number % 7],),
            stages=(("creation", "utilisation", "protection", "management", "service")[number % 5],),
            institution_id=number % 9973,
            institution_kind=self._kinds[number % len(self._kinds)],
            institution_region=region,
            region_codes=(region[:4] + "00" if number % 2 else region,),
            audience=(self._audience[number % len(self._audience)],) if number % 4 else (),
            channels=("线上", "窗口") if number % 3 else ("窗口",),
            fee=("免费", "300元", "")[number % 3],
            promised_days=number % 40 if number % 5 else None,
            satisfaction=100 + number % 400 if number % 6 else None,
        )


def zipf(count: int, exponent: float) -> FloatArray:
    """Chances by rank, [count]."""
    chances = 1.0 / np.arange(1, count + 1) ** exponent
    return chances / chances.sum()
