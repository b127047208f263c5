"""What was measured of the models as plots, in words a coordinator understands. Pure."""

from datetime import date

from market.learning.health import FEWEST_ANSWERS
from market.learning.model import Drift, Health
from market.plots import Mark, Option, Plot, Series, Table, share
from matching.features import FEATURES

SOME, MUCH = 0.1, 0.25
"""Population stability index: below the one nothing has changed, above the other much has."""
NAMES = {feature.name: feature.zh for feature in FEATURES}


def plots(health: Health) -> list[Plot]:
    """All there are, in the order of the page."""
    return [_calibration(health), _drift(health), _weeks(health), _newcomers(health), _gini(health)]


def _calibration(health: Health) -> Plot:
    title = "许诺的接单概率，说到做到吗"
    if health.calibration_error is None:
        return Plot(
            title, f"模型启用并有 {FEWEST_ANSWERS} 条以上机构答复后，这里会比较它预计的接单概率与实际接单的比例。"
        )
    promised = [one.promised for one in health.calibration]
    happened = [one.happened for one in health.calibration]
    bias = sum((one.happened - one.promised) * one.count for one in health.calibration)
    leaning = "整体略偏低估" if bias > 0 else "整体略偏高估"
    answers = sum(one.count for one in health.calibration)
    return Plot(
        title,
        f"{answers} 条机构答复中，预计与实际平均相差 {share(health.calibration_error)}，{leaning}。"
        "点越靠近斜线越准，点越大答复越多。",
        Option(
            kind="scatter",
            series=(
                Series("答复", points=tuple((one.promised, one.happened, one.count) for one in health.calibration)),
            ),
            x="预计会接单",
            y="实际接单",
            percent=True,
            least=max(0.0, _floor(min(promised + happened))),
            most=1.0,
            diagonal="说到做到",
        ),
        Table(
            ("预计会接单", "实际接单", "答复数"),
            tuple((share(one.promised), share(one.happened), str(one.count)) for one in health.calibration),
        ),
    )


def _drift(health: Health) -> Plot:
    title = "最近 30 天的候选，和模型学习时还像吗"
    if not health.drift:
        return Plot(title, "训练出第一个模型、最近 30 天又有需求匹配后，这里会比较各评分项的分布有没有变化。")
    found = sorted(health.drift, key=lambda one: -one.psi)
    changed = [NAMES[one.feature] for one in found if one.psi > MUCH]
    sentence = (
        f"变化大的有{'、'.join(changed)}：模型是按以前的分布学的，宜尽快用新的数据重新训练。"
        if changed
        else f"各评分项的分布都没有大的变化，变化最大的是{NAMES[found[0].feature]}。"
    )
    return Plot(
        title,
        f"{sentence}数值是群体稳定性指数（PSI）：{SOME} 以下没有变化，{MUCH} 以上变化大。",
        Option(
            kind="bar",
            series=(Series("PSI", tuple(round(one.psi, 3) for one in found)),),
            categories=tuple(NAMES[one.feature] for one in found),
            sideways=True,
            marks=(Mark("有变化", SOME), Mark("变化大", MUCH)),
            least=0.0,
        ),
        Table(
            ("评分项", "PSI", "学习时平均", "最近平均", "判断"),
            tuple(
                (NAMES[one.feature], f"{one.psi:.3f}", f"{one.mean_then:.2f}", f"{one.mean_now:.2f}", _judged(one))
                for one in found
            ),
        ),
    )


def _judged(one: Drift) -> str:
    if one.psi > MUCH:
        return "变化大"
    return "有变化" if one.psi > SOME else "没有变化"


def _weeks(health: Health) -> Plot:
    title = "推荐得准不准"
    weeks = health.weeks
    if not weeks:
        return Plot(title, "工作人员审核过推荐之后，这里会按周显示首选有多少被批准、多少被改派。")
    decided = sum(week.decided for week in weeks)
    approved = sum(week.first_approved * week.decided for week in weeks) / decided
    overridden = sum(week.overridden * week.decided for week in weeks) / decided
    return Plot(
        title,
        f"近半年审核的 {decided} 次推荐中，首选直接被批准的占 {share(approved)}，被改派的占 {share(overridden)}。"
        "排序质量（NDCG@10）越接近 100% 越好：被选中、办成的都排在前面。",
        Option(
            kind="line",
            series=(
                Series("排序质量", tuple(week.ndcg for week in weeks)),
                Series("首选获批准", tuple(week.first_approved for week in weeks)),
                Series("被改派", tuple(week.overridden for week in weeks)),
            ),
            categories=tuple(_short(week.first_day) for week in weeks),
            percent=True,
            least=0.0,
            most=1.0,
        ),
        Table(
            ("那一周（周一）", "审核", "排序质量", "首选获批准", "被改派"),
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
    title = "还没接过单的服务，有没有机会被看到"
    if not health.months:
        return Plot(title, "有需求匹配之后，这里会按月显示新服务占推荐位置的多少。")
    last = health.months[-1]
    return Plot(
        title,
        f"{_month(last.first_day)}参与匹配的服务中，还没接过单的占 {share(last.newcomers)}，"
        f"它们得到的推荐位置（越靠前分量越重）占 {share(last.newcomers_exposure)}。"
        "两条线靠得近，说明新服务没有被埋没。",
        _by_month(
            health,
            Series("占参与匹配的服务", tuple(month.newcomers for month in health.months)),
            Series("占推荐位置", tuple(month.newcomers_exposure for month in health.months)),
        ),
        Table(
            ("月份", "参与匹配的服务", "还没接过单的", "占推荐位置"),
            tuple(
                (_month(one.first_day), str(one.offerings), share(one.newcomers), share(one.newcomers_exposure))
                for one in reversed(health.months)
            ),
        ),
    )


def _gini(health: Health) -> Plot:
    title = "派单是否集中在少数机构"
    if not health.months:
        return Plot(title, "派出第一条需求之后，这里会按月显示派单在机构之间分得有多均匀。")
    last = health.months[-1]
    return Plot(
        title,
        f"{_month(last.first_day)}派出 {last.matches} 条，基尼系数 {last.gini:.2f}：0 是各机构一样多，1 是全给一家。",
        _by_month(health, Series("基尼系数", tuple(round(month.gini, 3) for month in health.months)), percent=False),
        Table(
            ("月份", "派单", "基尼系数"),
            tuple((_month(one.first_day), str(one.matches), f"{one.gini:.2f}") for one in reversed(health.months)),
        ),
    )


def _by_month(health: Health, *series: Series, percent: bool = True) -> Option:
    return Option(
        kind="line",
        series=series,
        categories=tuple(f"{month.first_day.month}月" for month in health.months),
        percent=percent,
        least=0.0,
        most=1.0,
    )


def _floor(value: float) -> float:
    """A round value below, with a little room."""
    return int((value - 0.05) * 10) / 10


def _month(day: date) -> str:
    return f"{day.year}年{day.month}月"


def _long(day: date) -> str:
    return f"{_month(day)}{day.day}日"


def _short(day: date) -> str:
    return f"{day.month}/{day.day}"
