"""What was measured of the models as plots, in words a coordinator understands. Pure."""

from collections.abc import Mapping
from datetime import date

from market.i18n import _, _n, lang
from market.learning.health import FEWEST_ANSWERS
from market.learning.model import Drift, Health
from market.plots import Mark, Option, Plot, Series, Table, share
from matching.features import FEATURES
from matching.types import Lang

SOME, MUCH = 0.1, 0.25
"""Population stability index: below the one nothing has changed, above the other much has."""
NAMES: Mapping[Lang, Mapping[str, str]] = {
    "zh": {feature.name: feature.zh for feature in FEATURES},
    "en": {feature.name: feature.en for feature in FEATURES},
}


def plots(health: Health) -> list[Plot]:
    """All there are, in the order of the page."""
    return [_calibration(health), _drift(health), _weeks(health), _newcomers(health), _gini(health)]


def _calibration(health: Health) -> Plot:
    title = _("许诺的接单概率，说到做到吗")
    if health.calibration_error is None:
        return Plot(
            title,
            _(
                "模型启用并有 {least} 条以上机构答复后，这里会比较它预计的接单概率与实际接单的比例。",
                least=FEWEST_ANSWERS,
            ),
        )
    promised = [one.promised for one in health.calibration]
    happened = [one.happened for one in health.calibration]
    bias = sum((one.happened - one.promised) * one.count for one in health.calibration)
    leaning = _("整体略偏低估") if bias > 0 else _("整体略偏高估")
    answers = sum(one.count for one in health.calibration)
    return Plot(
        title,
        _n(
            "{n} 条机构答复中，预计与实际平均相差 {error}，{leaning}。点越靠近斜线越准，点越大答复越多。",
            answers,
            error=share(health.calibration_error),
            leaning=leaning,
        ),
        Option(
            kind="scatter",
            series=(
                Series(_("答复"), points=tuple((one.promised, one.happened, one.count) for one in health.calibration)),
            ),
            x=_("预计会接单"),
            y=_("实际接单"),
            percent=True,
            least=max(0.0, _floor(min(promised + happened))),
            most=1.0,
            diagonal=_("说到做到"),
        ),
        Table(
            (_("预计会接单"), _("实际接单"), _("答复数")),
            tuple((share(one.promised), share(one.happened), str(one.count)) for one in health.calibration),
        ),
    )


def _drift(health: Health) -> Plot:
    title = _("最近 30 天的候选，和模型学习时还像吗")
    if not health.drift:
        return Plot(title, _("训练出第一个模型、最近 30 天又有需求匹配后，这里会比较各评分项的分布有没有变化。"))
    names = NAMES[lang()]
    found = sorted(health.drift, key=lambda one: -one.psi)
    changed = [names[one.feature] for one in found if one.psi > MUCH]
    sentence = (
        _("变化大的有{names}：模型是按以前的分布学的，宜尽快用新的数据重新训练。", names=_("、").join(changed))
        if changed
        else _("各评分项的分布都没有大的变化，变化最大的是{name}。", name=names[found[0].feature])
    )
    return Plot(
        title,
        _(
            "{sentence}数值是群体稳定性指数（PSI）：{some} 以下没有变化，{much} 以上变化大。",
            sentence=sentence,
            some=SOME,
            much=MUCH,
        ),
        Option(
            kind="bar",
            series=(Series("PSI", tuple(round(one.psi, 3) for one in found)),),
            categories=tuple(names[one.feature] for one in found),
            sideways=True,
            marks=(Mark(_("有变化"), SOME), Mark(_("变化大"), MUCH)),
            least=0.0,
        ),
        Table(
            (_("评分项"), "PSI", _("学习时平均"), _("最近平均"), _("判断")),
            tuple(
                (names[one.feature], f"{one.psi:.3f}", f"{one.mean_then:.2f}", f"{one.mean_now:.2f}", _judged(one))
                for one in found
            ),
        ),
    )


def _judged(one: Drift) -> str:
    if one.psi > MUCH:
        return _("变化大")
    return _("有变化") if one.psi > SOME else _("没有变化")


def _weeks(health: Health) -> Plot:
    title = _("推荐得准不准")
    weeks = health.weeks
    if not weeks:
        return Plot(title, _("工作人员审核过推荐之后，这里会按周显示首选有多少被批准、多少被改派。"))
    decided = sum(week.decided for week in weeks)
    approved = sum(week.first_approved * week.decided for week in weeks) / decided
    overridden = sum(week.overridden * week.decided for week in weeks) / decided
    return Plot(
        title,
        _n(
            "近半年审核的 {n} 次推荐中，首选直接被批准的占 {approved}，被改派的占 {overridden}。"
            "排序质量（NDCG@10）越接近 100% 越好：被选中、办成的都排在前面。",
            decided,
            approved=share(approved),
            overridden=share(overridden),
        ),
        Option(
            kind="line",
            series=(
                Series(_("排序质量"), tuple(week.ndcg for week in weeks)),
                Series(_("首选获批准"), tuple(week.first_approved for week in weeks)),
                Series(_("被改派"), tuple(week.overridden for week in weeks)),
            ),
            categories=tuple(_short(week.first_day) for week in weeks),
            percent=True,
            least=0.0,
            most=1.0,
        ),
        Table(
            (_("那一周（周一）"), _("审核"), _("排序质量"), _("首选获批准"), _("被改派")),
            tuple(
                (
                    _long(week.first_day),
                    str(week.decided),
                    "–" if week.ndcg is None else f"{week.ndcg:.3f}",
                    share(week.first_approved),
                    share(week.overridden),
                )
                for week in reversed(weeks)
            ),
        ),
    )


def _newcomers(health: Health) -> Plot:
    title = _("还没接过单的服务，有没有机会被看到")
    if not health.months:
        return Plot(title, _("有需求匹配之后，这里会按月显示新服务占推荐位置的多少。"))
    last = health.months[-1]
    return Plot(
        title,
        _(
            "{month}参与匹配的服务中，还没接过单的占 {newcomers}，它们得到的推荐位置（越靠前分量越重）占 {exposure}。"
            "两条线靠得近，说明新服务没有被埋没。",
            month=_month(last.first_day),
            newcomers=share(last.newcomers),
            exposure=share(last.newcomers_exposure),
        ),
        _by_month(
            health,
            Series(_("占参与匹配的服务"), tuple(month.newcomers for month in health.months)),
            Series(_("占推荐位置"), tuple(month.newcomers_exposure for month in health.months)),
        ),
        Table(
            (_("月份"), _("参与匹配的服务"), _("还没接过单的"), _("占推荐位置")),
            tuple(
                (_month(one.first_day), str(one.offerings), share(one.newcomers), share(one.newcomers_exposure))
                for one in reversed(health.months)
            ),
        ),
    )


def _gini(health: Health) -> Plot:
    title = _("派单是否集中在少数机构")
    if not health.months:
        return Plot(title, _("派出第一条需求之后，这里会按月显示派单在机构之间分得有多均匀。"))
    last = health.months[-1]
    return Plot(
        title,
        _n(
            "{month}派出 {n} 条，基尼系数 {gini}：0 是各机构一样多，1 是全给一家。",
            last.matches,
            month=_month(last.first_day),
            gini=f"{last.gini:.2f}",
        ),
        _by_month(health, Series(_("基尼系数"), tuple(round(month.gini, 3) for month in health.months)), percent=False),
        Table(
            (_("月份"), _("派单"), _("基尼系数")),
            tuple((_month(one.first_day), str(one.matches), f"{one.gini:.2f}") for one in reversed(health.months)),
        ),
    )


def _by_month(health: Health, *series: Series, percent: bool = True) -> Option:
    return Option(
        kind="line",
        series=series,
        categories=tuple(_("{month}月", month=month.first_day.month) for month in health.months),
        percent=percent,
        least=0.0,
        most=1.0,
    )


def _floor(value: float) -> float:
    """A round value below, with a little room."""
    return int((value - 0.05) * 10) / 10


def _month(day: date) -> str:
    return _("{year}年{month}月", year=day.year, month=day.month)


def _long(day: date) -> str:
    return _("{year}年{month}月{day}日", year=day.year, month=day.month, day=day.day)


def _short(day: date) -> str:
    return f"{day.month}/{day.day}"
