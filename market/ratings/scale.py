"""The scale of ratings (好差评): five levels, and what can be ticked with each. Pure."""

from collections.abc import Mapping
from enum import IntEnum

from market.data import RatingIndicatorData, RatingLevelData, load_rating_scale
from market.i18n import Words
from market.needs.model import Channel


class RatingLevel(IntEnum):
    """The five levels of 好差评; names in SCALE."""

    VERY_DISSATISFIED = 1
    DISSATISFIED = 2
    FAIRLY_SATISFIED = 3
    SATISFIED = 4
    VERY_SATISFIED = 5

    @property
    def is_bad(self) -> bool:
        """Whether it opens a rectification."""
        return self <= RatingLevel.DISSATISFIED


SCALE: tuple[RatingLevelData, ...] = load_rating_scale()
"""The levels, best first, with their indicators; the national platform's."""
LEVEL_NAMES: Mapping[RatingLevel, str] = Words(
    {
        RatingLevel.VERY_SATISFIED: "非常满意",
        RatingLevel.SATISFIED: "满意",
        RatingLevel.FAIRLY_SATISFIED: "基本满意",
        RatingLevel.DISSATISFIED: "不满意",
        RatingLevel.VERY_DISSATISFIED: "非常不满意",
    }
)
"""As SCALE has them, which a test compares: here they can be told in English too."""
INDICATOR_NAMES: Mapping[str, str] = {one.code: one.name for level in SCALE for one in level.indicators}


def indicators(level: int, channel: Channel) -> list[RatingIndicatorData]:
    """What can be ticked with a level, for a service that came in by this channel."""
    return [one for of in SCALE if of.level == level for one in of.indicators if channel in one.channels]
