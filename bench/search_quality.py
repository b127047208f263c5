"""How good search is: NDCG@10 and the share of queries without a result, over the judged set.

The set is tests/data/search_judged.jsonl; its relevance is made by rule from item codes, regions and kinds, so that it
can be read and changed by hand.
"""

from collections import defaultdict
from math import log2
from pathlib import Path
from statistics import mean

import msgspec
from msgspec import Struct

from bench.search_corpus import Corpus
from search.engine import Document, Engine, IndexName, Query

JUDGED = Path(__file__).parents[1] / "tests/data/search_judged.jsonl"
TOP = 10


class Judged(Struct, frozen=True):
    """A search and what answers it; what is empty does not matter."""

    text: str
    kind: str
    index: IndexName = IndexName.OFFERINGS
    items: tuple[str, ...] = ()
    """Items that answer it, the best first."""
    region: str | None = None
    """The region asked for, as a code or its beginning."""
    kinds: tuple[str, ...] = ()
    """Kinds of institution that answer it."""

    def grade(self, document: Document) -> int:
        """0 no answer, 1 an answer, 2 a good one, 3 the one."""
        if self.kinds:
            fits = document.keywords["institution_kind"][0] in self.kinds
            return 3 if fits and self._is_there(document) else 0
        code = document.id if self.index is IndexName.ITEMS else document.keywords["item_code"][0]
        if code not in self.items:
            return 0
        if self.region is not None:
            return 3 if self._is_there(document) else 0
        return 2 if code == self.items[0] else 1

    def _is_there(self, document: Document) -> bool:
        return self.region is None or any(code.startswith(self.region) for code in document.keywords["place"])


class Quality(Struct, frozen=True):
    """Shares, 0..1; by kind of query and in all."""

    queries: int
    ndcg: float
    no_result: float
    by_kind: dict[str, float]


def judged() -> list[Judged]:
    """The judged set."""
    return [msgspec.json.decode(line, type=Judged) for line in JUDGED.read_bytes().splitlines()]


async def quality(engine: Engine, corpus: Corpus) -> Quality:
    """Over an engine that holds the corpus."""
    scores: dict[str, list[float]] = defaultdict(list)
    empty = 0
    for one in judged():
        results = await engine.search(Query(index=one.index, text=one.text, size=TOP))
        documents = {document.id: document for document in corpus[one.index]}
        found = [one.grade(documents[hit.id]) for hit in results.hits]
        ideal = sorted((one.grade(document) for document in documents.values()), reverse=True)
        assert ideal[0], f"nothing answers {one.text}: the judgement is wrong"
        scores[one.kind].append(_gain(found) / _gain(ideal[:TOP]))
        empty += not results.hits
    every = [score for kind in scores.values() for score in kind]
    return Quality(
        queries=len(every),
        ndcg=mean(every),
        no_result=empty / len(every),
        by_kind={kind: mean(one) for kind, one in scores.items()},
    )


def _gain(grades: list[int]) -> float:
    return sum((2**grade - 1) / log2(place + 2) for place, grade in enumerate(grades))
