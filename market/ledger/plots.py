"""The ledger as plots, each with a sentence that says what it shows; for pages and for print. Pure."""

from datetime import date

from market.catalogue.model import STAGE_NAMES
from market.i18n import _, _n
from market.ledger.figures import NAMES, total
from market.ledger.model import Ledger
from market.ledger.periods import Period, month_of
from market.plots import Option, Plot, Series, Table, share
from market.ratings.scale import LEVEL_NAMES, RatingLevel

MOST_BARS = 12
"""Days of which the spread has a bar; what took longer stands in the last."""


def plots(ledger: Ledger, one: Period) -> list[Plot]:
    """All there are, in the order of the page."""
    return [_volume(ledger), _shares(ledger), _spread(ledger, one), _levels(ledger, one), _stages(ledger, one)]


def _volume(ledger: Ledger) -> Plot:
    title = _("每月派单和办结")
    rows = list(ledger.trend.items())
    if not any(of.offered or of.delivered for _m, of in rows):
        return Plot(title, _("近一年还没有派单。派出第一条需求后，这里会按月显示派单和办结。"))
    told = _n(
        "到{month}的一年里派单 {n} 件，送达结果 {delivered} 件。",
        sum(of.offered for _m, of in rows),
        month=_month(rows[-1][0]),
        delivered=sum(of.delivered for _m, of in rows),
    )
    option = Option(
        kind="bar",
        series=(
            Series(NAMES["offered"], tuple(float(of.offered) for _m, of in rows)),
            Series(NAMES["delivered"], tuple(float(of.delivered) for _m, of in rows)),
        ),
        categories=tuple(_short(code) for code, _of in rows),
        least=0.0,
    )
    columns = ("offered", "accepted", "declined", "lapsed", "delivered")
    lines = tuple((_month(code), *(str(getattr(of, name)) for name in columns)) for code, of in reversed(rows))
    return Plot(title, told, option, Table((_("月份"), *(NAMES[name] for name in columns)), lines))


def _shares(ledger: Ledger) -> Plot:
    title = _("受理和按时，是升还是降")
    rows = list(ledger.trend.items())
    if not any(of.answered for _m, of in rows):
        return Plot(title, _("机构答复过派单之后，这里会按月显示受理率和按时率。"))
    year = total(of for _m, of in rows)
    told = _(
        "近一年受理率 {acceptance}，按时率 {on_time}。没有答复、没有送达的月份不画。",
        acceptance=percent(year.acceptance),
        on_time=percent(year.on_time_share),
    )
    option = Option(
        kind="line",
        series=(
            Series(NAMES["acceptance"], tuple(of.acceptance for _m, of in rows)),
            Series(NAMES["on_time_share"], tuple(of.on_time_share for _m, of in rows)),
        ),
        categories=tuple(_short(code) for code, _of in rows),
        percent=True,
        least=0.0,
        most=1.0,
    )
    lines = tuple((_month(code), percent(of.acceptance), percent(of.on_time_share)) for code, of in reversed(rows))
    return Plot(title, told, option, Table((_("月份"), NAMES["acceptance"], NAMES["on_time_share"]), lines))


def _spread(ledger: Ledger, one: Period) -> Plot:
    title = _("办一件要多少个工作日")
    of, beside = ledger.figures, ledger.peers.measures["median_days"]
    if not of.delivered:
        empty = _("{period}还没有送达结果。送达后，这里会显示从受理到送达用了多少个工作日。", period=one.name)
        return Plot(title, empty)
    counts = [0] * (MOST_BARS + 1)
    for day, times in zip(of.days, of.times, strict=True):
        counts[min(day, MOST_BARS)] += times
    told = _("从受理到第一次送达，一半在 {days} 个工作日以内。", days=days(of.median_days))
    if beside:
        told += _("同类机构的中位数是 {days}。", days=days(beside.middle))
    names = (_("当天"), *(str(day) for day in range(1, MOST_BARS)), f"{MOST_BARS}+")
    bars = (Series(NAMES["delivered"], tuple(map(float, counts))),)
    return Plot(
        title,
        told,
        Option(kind="bar", series=bars, categories=names, x=_("工作日"), least=0.0),
        Table(
            (_("工作日"), NAMES["delivered"]),
            tuple((name, str(count)) for name, count in zip(names, counts, strict=True)),
        ),
    )


def _levels(ledger: Ledger, one: Period) -> Plot:
    title = _("评价怎么样")
    of = ledger.figures
    if not of.ratings:
        return Plot(title, _("{period}还没有评价。企业确认结果后可以自愿评价。", period=one.name))
    told = _n(
        "{n} 条评价，满意度 {level}（1 到 5，条数少时向 4 靠拢）；基本满意以上占 {share}。",
        of.ratings,
        level=level(of.satisfaction),
        share=percent(of.tally.satisfied),
    )
    rows = [(LEVEL_NAMES[RatingLevel(one_level)], of.rated[one_level - 1]) for one_level in range(5, 0, -1)]
    option = Option(
        kind="bar",
        series=(Series(NAMES["ratings"], tuple(float(count) for _name, count in rows)),),
        categories=tuple(name for name, _count in rows),
        sideways=True,
        least=0.0,
    )
    return Plot(title, told, option, Table((NAMES["ratings"], _("条数")), tuple((name, str(n)) for name, n in rows)))


def _stages(ledger: Ledger, one: Period) -> Plot:
    title, stages = _("在全链条的哪些环节"), ledger.stages
    if not stages:
        return Plot(title, _("{period}还没有派单，这里会按创造、运用、保护、管理、服务各环节显示。", period=one.name))
    most = max(stages, key=lambda stage: stages[stage].offered)
    told = _("派单最多的环节是{stage}。一个事项属于几个环节时，各算一次。", stage=STAGE_NAMES[most])
    option = Option(
        kind="bar",
        series=(
            Series(NAMES["offered"], tuple(float(of.offered) for of in stages.values())),
            Series(NAMES["delivered"], tuple(float(of.delivered) for of in stages.values())),
        ),
        categories=tuple(STAGE_NAMES[stage] for stage in stages),
        sideways=True,
        least=0.0,
    )
    columns = ("offered", "delivered", "on_time_share", "median_days", "satisfaction")
    lines = tuple(
        (STAGE_NAMES[stage], *(shown(name, getattr(of, name)) for name in columns)) for stage, of in stages.items()
    )
    return Plot(title, told, option, Table((_("环节"), *(NAMES[name] for name in columns)), lines))


def shown(name: str, value: float | None) -> str:
    """A figure or measure as it is read."""
    if name in ("acceptance", "on_time_share"):
        return percent(value)
    return level(value) if name == "satisfaction" else days(value)


def days(value: float | None) -> str:
    """3, 3.5, –."""
    return "–" if value is None else f"{round(value, 1):g}"


def level(value: float | None) -> str:
    """4.3, –."""
    return "–" if value is None else f"{value:.1f}"


def percent(value: float | None) -> str:
    """63%, –."""
    return "–" if value is None else share(value)


def _month(code: str) -> str:
    return month_of(date(int(code[:4]), int(code[5:]), 1)).name


def _short(code: str) -> str:
    return _("{month}月", month=int(code[5:]))
