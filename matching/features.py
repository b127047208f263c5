"""The features of a pair (need, offering): each with name, unit, direction and a sentence in words.

FEATURES gives the columns' order. A model stores the names it was made for, so adding a feature here makes an old
model refuse the matrix instead of reading the wrong column.
"""

from collections.abc import Callable
from typing import Literal, Self

import numpy as np
from msgspec import Struct

from matching.encode import EncodedNeed, OfferingArrays, region_steps
from matching.errors import FeatureError
from matching.types import FloatArray, IntArray, Lang

# What an offering without history is taken for, and how many cases of it: newcomers start level with a good average
# and earn their own figure within a few matches, so they are neither starved nor favoured.
PRIOR_MEAN = 0.8
PRIOR_CASES = 5.0

# A promise of this many working days is worth half of "the same day"; no stated promise is worth the same half.
HALF_DAYS = 10.0
NEUTRAL = 0.5


class Pairs(Struct, frozen=True, eq=False):
    """One need against n offerings. `similarity`, `item_fit`: [n], 0..1; the latter 1 only for confirmed items."""

    need: EncodedNeed
    offerings: OfferingArrays
    similarity: FloatArray
    item_fit: FloatArray


class FeatureMatrix(Struct, frozen=True, eq=False):
    """`values` [n, k] in the features' units, and `evidence` [n, k]: facts behind each value, 0 where it is unknown."""

    values: FloatArray
    evidence: IntArray

    def rows(self, selected: IntArray) -> Self:
        """Some of the rows, in the order asked for."""
        return type(self)(self.values[selected], self.evidence[selected])


Column = tuple[FloatArray, IntArray]


class Wording(Struct, frozen=True):
    """How to say a value of at least `at_least`. May use {percent}, {count}, {days} and {steps}."""

    at_least: float
    zh: str
    en: str


class Feature(Struct, frozen=True):
    """One column. Values lie between `worst` and `best`; `wordings` ascend, the last that applies is used.

    `unknown` is said where there is no evidence; None for a feature that is always known.
    """

    name: str
    unit: str
    worst: float
    best: float
    zh: str
    en: str
    wordings: tuple[Wording, ...]
    unknown: Wording | None
    column: Callable[[Pairs], Column]

    @property
    def direction(self) -> Literal[-1, 1]:
        """+1 where more is better, −1 where less is."""
        return 1 if self.best > self.worst else -1

    def sentence(self, value: float, evidence: int, lang: Lang) -> str:
        """The value in words, for a coordinator."""
        if evidence == 0 and self.unknown is not None:
            wording = self.unknown
        else:
            wording = [w for w in self.wordings if value >= w.at_least][-1]
        template = wording.zh if lang == "zh" else wording.en
        return template.format(percent=round(100 * value), count=evidence, steps=round(value), days=round(_days(value)))


def feature_matrix(pairs: Pairs) -> FeatureMatrix:
    """All features of all pairs, columns in the order of FEATURES."""
    columns = [feature.column(pairs) for feature in FEATURES]
    return FeatureMatrix(
        values=np.column_stack([values for values, _ in columns]),
        evidence=np.column_stack([evidence for _, evidence in columns]),
    )


def check_features(values: FloatArray, count: int) -> None:
    """Raise FeatureError unless `values` is [n, count] and finite: a NaN would sort as the best candidate."""
    if values.ndim != 2 or values.shape[1] != count:
        raise FeatureError(f"the model has {count} features, the matrix has shape {values.shape}")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise FeatureError(f"feature {column} of row {row} is {values[row, column]}")


def _text_similarity(pairs: Pairs) -> Column:
    return pairs.similarity, _known(pairs)


def _item_fit(pairs: Pairs) -> Column:
    return pairs.item_fit, _known(pairs)


def _right_fit(pairs: Pairs) -> Column:
    need, offered = pairs.need, pairs.offerings.rights
    share = np.where(offered == 0, 1.0, _share(offered & need.rights, need.rights_asked))
    return _where_known(share, np.full(len(offered), need.rights_asked))


def _stage_fit(pairs: Pairs) -> Column:
    need, offered = pairs.need, pairs.offerings.stages
    asked = np.where(offered == 0, 0, need.stages_asked)
    return _where_known(_share(offered & need.stages, need.stages_asked), asked)


def _region_distance(pairs: Pairs) -> Column:
    steps = region_steps(pairs.offerings.institution_region, pairs.need.region)
    return steps.astype(np.float64), _known(pairs)


def _load(pairs: Pairs) -> Column:
    capacity, load = pairs.offerings.capacity, pairs.offerings.load
    # Without capacity there is nothing free, whatever the load.
    used = np.where(capacity > 0, load / np.maximum(capacity, 1), 1.0)
    return np.clip(used, 0.0, 1.0), _known(pairs)


def _acceptance(pairs: Pairs) -> Column:
    offerings = pairs.offerings
    return _smoothed(offerings.accepted, offerings.accepted + offerings.declined)


def _on_time(pairs: Pairs) -> Column:
    return _smoothed(pairs.offerings.on_time, pairs.offerings.delivered)


def _promised_limit(pairs: Pairs) -> Column:
    days = pairs.offerings.promised_days
    known = ~np.isnan(days)
    return _where_known(HALF_DAYS / (HALF_DAYS + np.where(known, days, 0.0)), known.astype(np.int64))


def _known(pairs: Pairs) -> IntArray:
    return np.ones(len(pairs.offerings), dtype=np.int64)


def _where_known(values: FloatArray, evidence: IntArray) -> Column:
    return np.where(evidence > 0, values, NEUTRAL), evidence


def _share(common: IntArray, asked: int) -> FloatArray:
    share: FloatArray = np.bitwise_count(common) / np.float64(max(asked, 1))
    return share


def _smoothed(good: IntArray, cases: IntArray) -> Column:
    """Mean of the Beta distribution after `good` of `cases`, from the prior above."""
    rate: FloatArray = (good + PRIOR_CASES * PRIOR_MEAN) / (cases + PRIOR_CASES)
    return rate, cases


def _days(value: float) -> float:
    """The promised working days behind a value of `promised_limit`."""
    return HALF_DAYS / max(value, 1e-9) - HALF_DAYS


FEATURES: tuple[Feature, ...] = (
    Feature(
        name="text_similarity",
        unit="cosine, 0 to 1",
        worst=0.0,
        best=1.0,
        zh="文字相似度",
        en="text similarity",
        wordings=(
            Wording(0.0, "服务内容与需求的用词不同", "the offering and the need use different words"),
            Wording(0.05, "服务内容与需求用词相近（{percent}%）", "the texts resemble each other ({percent} %)"),
            Wording(0.2, "服务内容与需求很接近（{percent}%）", "the texts are close to each other ({percent} %)"),
        ),
        unknown=None,
        column=_text_similarity,
    ),
    Feature(
        name="item_fit",
        unit="likelihood, 0 to 1; 1 where a person confirmed the item",
        worst=0.0,
        best=1.0,
        zh="事项吻合度",
        en="service item",
        wordings=(
            Wording(0.0, "服务事项与需求关系不大", "the service item has little to do with the need"),
            Wording(0.15, "服务事项可能与需求有关", "the service item may be related to the need"),
            Wording(0.45, "服务事项很可能就是需求要办的", "the service item is probably the one needed"),
            Wording(1.0, "正是需求已确认的服务事项", "exactly the service item confirmed for the need"),
        ),
        unknown=None,
        column=_item_fit,
    ),
    Feature(
        name="right_fit",
        unit="share of the need's kinds of right, 0 to 1",
        worst=0.0,
        best=1.0,
        zh="权利类型",
        en="kind of right",
        wordings=(
            Wording(0.0, "不办理需求涉及的权利类型", "does not handle the need's kind of right"),
            Wording(0.01, "能办理需求涉及的部分权利类型", "handles some of the need's kinds of right"),
            Wording(1.0, "能办理需求涉及的权利类型", "handles the need's kind of right"),
        ),
        unknown=Wording(0.0, "需求未说明权利类型", "the need does not tell the kind of right"),
        column=_right_fit,
    ),
    Feature(
        name="stage_fit",
        unit="share of the need's stages of the chain, 0 to 1",
        worst=0.0,
        best=1.0,
        zh="所处环节",
        en="stage of the chain",
        wordings=(
            Wording(0.0, "服务环节与需求不同", "works at another stage than the need's"),
            Wording(0.01, "服务环节与需求部分相符", "works at some of the need's stages"),
            Wording(1.0, "服务环节与需求相符", "works at the need's stage"),
        ),
        unknown=Wording(0.0, "服务环节尚不明确", "the stage is not known yet"),
        column=_stage_fit,
    ),
    Feature(
        name="region_distance",
        unit="steps between administrative divisions, 0 to 6",
        worst=6.0,
        best=0.0,
        zh="地区远近",
        en="distance",
        wordings=(
            Wording(0.0, "机构就在需求所在地区", "the institution is in the need's own region"),
            Wording(1.0, "机构在直接上级或下级地区", "the institution is one administrative level away"),
            Wording(2.0, "机构在邻近地区（行政区划相隔 2 级）", "the institution is nearby (2 administrative steps)"),
            Wording(3.0, "机构较远（行政区划相隔 {steps} 级）", "the institution is {steps} administrative steps away"),
        ),
        unknown=None,
        column=_region_distance,
    ),
    Feature(
        name="load",
        unit="share of the capacity in use, 0 to 1",
        worst=1.0,
        best=0.0,
        zh="当前负荷",
        en="load",
        wordings=(
            Wording(0.0, "承接余量充足（已用 {percent}%）", "plenty of free capacity ({percent} % in use)"),
            Wording(0.5, "尚有承接余量（已用 {percent}%）", "some free capacity ({percent} % in use)"),
            Wording(0.8, "承接量接近上限（已用 {percent}%）", "nearly at capacity ({percent} % in use)"),
        ),
        unknown=None,
        column=_load,
    ),
    Feature(
        name="acceptance",
        unit="rate, 0 to 1, smoothed",
        worst=0.0,
        best=1.0,
        zh="接单记录",
        en="acceptance",
        wordings=(
            Wording(
                0.0,
                "婉拒较多（{count} 次派单，接单率约 {percent}%）",
                "declines often (about {percent} % of {count} accepted)",
            ),
            Wording(
                0.6,
                "多数会接单（{count} 次派单，接单率约 {percent}%）",
                "mostly accepts (about {percent} % of {count})",
            ),
            Wording(
                0.8,
                "接单可靠（{count} 次派单，接单率约 {percent}%）",
                "accepts reliably (about {percent} % of {count})",
            ),
        ),
        unknown=Wording(0.0, "还没有派单记录，按平均水平计", "no assignments yet, counted as average"),
        column=_acceptance,
    ),
    Feature(
        name="on_time",
        unit="rate, 0 to 1, smoothed",
        worst=0.0,
        best=1.0,
        zh="按时办结记录",
        en="on time",
        wordings=(
            Wording(
                0.0,
                "常有超期（{count} 次办结，按时率约 {percent}%）",
                "often late (about {percent} % of {count} on time)",
            ),
            Wording(
                0.6, "多数按时办结（{count} 次，按时率约 {percent}%）", "mostly on time (about {percent} % of {count})"
            ),
            Wording(
                0.8, "办结准时（{count} 次，按时率约 {percent}%）", "reliably on time (about {percent} % of {count})"
            ),
        ),
        unknown=Wording(0.0, "还没有办结记录，按平均水平计", "nothing delivered yet, counted as average"),
        column=_on_time,
    ),
    Feature(
        name="promised_limit",
        unit="10 / (10 + promised working days), 0 to 1",
        worst=0.0,
        best=1.0,
        zh="承诺时限",
        en="promised limit",
        wordings=(
            Wording(0.0, "承诺 {days} 个工作日内办结", "promises to finish within {days} working days"),
            Wording(0.99, "承诺当日办结", "promises to finish on the same day"),
        ),
        unknown=Wording(0.0, "未承诺办结时限", "promises no time limit"),
        column=_promised_limit,
    ),
)
