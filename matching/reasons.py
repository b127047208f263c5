"""A score in words."""

from collections.abc import Iterable
from operator import attrgetter

from matching.features import FEATURES
from matching.types import Lang, Part

MOST_REASONS = 3
BY_NAME = {feature.name: feature for feature in FEATURES}


def reasons(parts: Iterable[Part], lang: Lang) -> list[str]:
    """The strongest reasons for a candidate, strongest first: what gave most points, of what is known.

    What is unknown gave its neutral points to everyone alike and speaks for nobody.
    """
    known = [part for part in parts if part.evidence > 0 and part.points > 0]
    strongest = sorted(known, key=attrgetter("points"), reverse=True)[:MOST_REASONS]
    return [explain(part, lang) for part in strongest]


def explain(part: Part, lang: Lang) -> str:
    """One part in words, without its points. Raises KeyError for a feature that no longer exists."""
    return BY_NAME[part.feature].sentence(part.value, part.evidence, lang)


def moved_by_demand(place: int, price: float, lang: Lang) -> str:
    """Why the candidate at `place` is proposed and not the first: what the first would cost others, in points."""
    if lang == "zh":
        return f"排在第 1 位的机构近期需求集中（价 {price:.1f} 分），改为推荐第 {place} 位"
    return f"the first institution is in high demand (price {price:.1f} points): number {place} is proposed"
