"""The features of a pair (need, offering): each with name, unit, direction and a sentence in words.

FEATURES gives the columns' order. A model stores the names it was made for, so adding a feature here makes an old
model refuse the matrix instead of reading the wrong column.
"""

from typing import Self

import numpy as np
from msgspec import Struct

from matching import columns
from matching.columns import MOST_EXPOSURE, MOST_MARGIN, Pairs
from matching.errors import FeatureError
from matching.types import FloatArray, IntArray
from matching.wording import Feature, Wording


class FeatureMatrix(Struct, frozen=True, eq=False):
    """`values` [n, k] in the features' units, and `evidence` [n, k]: facts behind each value, 0 where it is unknown."""

    values: FloatArray
    evidence: IntArray

    def rows(self, selected: IntArray) -> Self:
        """Some of the rows, in the order asked for."""
        return type(self)(self.values[selected], self.evidence[selected])


def feature_matrix(pairs: Pairs) -> FeatureMatrix:
    """All features of all pairs, columns in the order of FEATURES."""
    computed = [feature.column(pairs) for feature in FEATURES]
    return FeatureMatrix(
        values=np.column_stack([values for values, _ in computed]),
        evidence=np.column_stack([evidence for _, evidence in computed]),
    )


def check_features(values: FloatArray, count: int) -> None:
    """Raise FeatureError unless `values` is [n, count] and finite: a NaN would sort as the best candidate."""
    if values.ndim != 2 or values.shape[1] != count:
        raise FeatureError(f"the model has {count} features, the matrix has shape {values.shape}")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise FeatureError(f"feature {column} of row {row} is {values[row, column]}")


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
        column=columns.text_similarity,
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
        column=columns.item_fit,
    ),
    Feature(
        name="category_prior",
        unit="likelihood that the text asks for the item's group, 0 to 1; 1 where a person confirmed an item of it",
        worst=0.0,
        best=1.0,
        zh="服务类别",
        en="category",
        wordings=(
            Wording(
                0.0,
                "服务类别与需求关系不大",
                "the category has little to do with the need",
            ),
            Wording(
                0.15,
                "服务类别可能与需求有关",
                "the category may be related to the need",
            ),
            Wording(
                0.45,
                "服务类别很可能就是需求所属的类别",
                "the category is probably the one needed",
            ),
            Wording(
                1.0,
                "与需求已确认的事项属于同一类别",
                "of the same category as the item confirmed for the need",
            ),
        ),
        unknown=None,
        column=columns.category_prior,
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
        column=columns.right_fit,
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
        column=columns.stage_fit,
    ),
    Feature(
        name="kin",
        unit="share of the 20 most similar needs completed in the territory, 0 to 1",
        worst=0.0,
        best=1.0,
        zh="同类办理经验",
        en="similar needs",
        wordings=(
            Wording(
                0.0,
                "最相似的 {count} 条往期需求都由其他机构办结",
                "others completed the {count} most similar needs",
            ),
            Wording(
                0.01,
                "最相似的 {count} 条往期需求中，该机构办结了 {share} 条",
                "completed {share} of the {count} most similar needs",
            ),
        ),
        unknown=Wording(0.0, "还没有相似的往期需求可以参考", "no similar need has been completed yet"),
        column=columns.kin,
    ),
    Feature(
        name="industry",
        unit="share of its completed needs that came from the need's industry, 0 to 1, smoothed",
        worst=0.0,
        best=1.0,
        zh="行业经验",
        en="industry",
        wordings=(
            Wording(
                0.0,
                "较少服务同一行业（已办结 {count} 条，同行业约 {percent}%）",
                "rarely serves this industry (about {percent} % of {count} completed)",
            ),
            Wording(
                0.15,
                "服务过同一行业（已办结 {count} 条，同行业约 {percent}%）",
                "serves this industry (about {percent} % of {count} completed)",
            ),
            Wording(
                0.4,
                "熟悉同一行业（已办结 {count} 条，同行业约 {percent}%）",
                "knows this industry well (about {percent} % of {count} completed)",
            ),
        ),
        unknown=Wording(
            0.0, "企业未登记行业，或机构还没有办结记录", "the industry is not known, or nothing was completed yet"
        ),
        column=columns.industry,
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
        column=columns.region_distance,
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
        column=columns.load,
    ),
    Feature(
        name="exposure",
        unit="proposals of the last 30 days, in even shares of the territory's institutions with the item, 0 to 3",
        worst=MOST_EXPOSURE,
        best=0.0,
        zh="近期被推荐",
        en="recent exposure",
        wordings=(
            Wording(
                0.0,
                "近 30 天很少被推荐（约为平均的 {times} 倍）",
                "rarely proposed in the last 30 days ({times} times an even share)",
            ),
            Wording(
                0.7,
                "近 30 天被推荐的次数接近平均（约 {times} 倍）",
                "proposed about as often as others in the last 30 days ({times} times an even share)",
            ),
            Wording(
                1.5,
                "近 30 天被推荐较多（约为平均的 {times} 倍）",
                "proposed more often than others in the last 30 days ({times} times an even share)",
            ),
            Wording(
                MOST_EXPOSURE,
                "近 30 天被推荐很多（达到平均的 3 倍以上）",
                "proposed far more often than others in the last 30 days (3 times an even share or more)",
            ),
        ),
        unknown=Wording(0.0, "近 30 天没有推荐过这一事项", "nobody was proposed for this item in the last 30 days"),
        column=columns.exposure,
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
        column=columns.acceptance,
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
        column=columns.on_time,
    ),
    Feature(
        name="satisfaction",
        unit="mean rating, 0 (非常不满意) to 1 (非常满意), smoothed",
        worst=0.0,
        best=1.0,
        zh="满意度",
        en="satisfaction",
        wordings=(
            Wording(
                0.0,
                "评价偏低（{count} 次评价，满意度约 {percent}%）",
                "rated low (about {percent} % in {count} ratings)",
            ),
            Wording(
                0.6,
                "评价较好（{count} 次评价，满意度约 {percent}%）",
                "rated well (about {percent} % in {count} ratings)",
            ),
            Wording(
                0.8,
                "评价很好（{count} 次评价，满意度约 {percent}%）",
                "rated very well (about {percent} % in {count} ratings)",
            ),
        ),
        unknown=Wording(0.0, "还没有评价，按平均水平计", "no ratings yet, counted as average"),
        column=columns.satisfaction,
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
        column=columns.promised_limit,
    ),
    Feature(
        name="deadline_margin",
        unit="working days between the promised end and the day the need is wanted by, −10 to 10",
        worst=-MOST_MARGIN,
        best=MOST_MARGIN,
        zh="期限余量",
        en="margin to the deadline",
        wordings=(
            Wording(
                -MOST_MARGIN,
                "承诺时限比希望日期晚 {steps} 个工作日以上",
                "promises an end {steps} working days or more after the wished day",
            ),
            Wording(
                0.1 - MOST_MARGIN,
                "承诺时限比希望日期晚 {steps} 个工作日",
                "promises an end {steps} working days after the wished day",
            ),
            Wording(
                -0.5,
                "承诺时限正好赶上希望日期",
                "promises to finish just by the wished day",
            ),
            Wording(
                0.5,
                "承诺时限比希望日期早 {steps} 个工作日",
                "promises to finish {steps} working days before the wished day",
            ),
            Wording(
                MOST_MARGIN,
                "承诺时限比希望日期早 {steps} 个工作日以上",
                "promises to finish {steps} working days or more before the wished day",
            ),
        ),
        unknown=Wording(0.0, "需求没有希望办结的日期，或未承诺办结时限", "no wished day, or no promised limit"),
        column=columns.deadline_margin,
    ),
)
