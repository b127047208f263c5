"""The public statistics as plots, each with a sentence that says what it shows; and as CSV. Pure."""

from collections.abc import Callable, Mapping

from market.catalogue.model import RIGHT_NAMES, STAGE_NAMES, ChainStage, RightKind
from market.exporting.tables import BOM, line, safe
from market.i18n import Words, _, _n
from market.ledger.periods import period
from market.plots import Option, Plot, Series, Table, share
from market.statistics.model import HIDDEN_NAMES, Line, Name, Statistic, Statistics

TITLES: Mapping[Name, str] = Words(
    {
        Name.NEEDS: "每月提交的需求",
        Name.STAGES: "需求在全链条的哪些环节",
        Name.RIGHTS: "需求涉及哪些权利",
        Name.ON_TIME: "在承诺时限内办结",
        Name.SATISFACTION: "企业满意度",
        Name.OFFERINGS: "各地区、各环节的在线服务",
        Name.INSTITUTIONS: "各类公共服务机构",
    }
)
HEADS: Mapping[Name, str] = Words(
    {
        Name.NEEDS: "月份",
        Name.STAGES: "环节",
        Name.RIGHTS: "权利",
        Name.ON_TIME: "月份",
        Name.SATISFACTION: "月份",
        Name.OFFERINGS: "地区",
        Name.INSTITUTIONS: "机构类别",
    }
)
MEASURES: Mapping[Name, str] = Words(
    {
        Name.NEEDS: "需求",
        Name.STAGES: "需求",
        Name.RIGHTS: "需求",
        Name.ON_TIME: "按时率",
        Name.SATISFACTION: "满意度",
        Name.OFFERINGS: "服务",
        Name.INSTITUTIONS: "机构",
    }
)
MONTHLY = (Name.NEEDS, Name.ON_TIME, Name.SATISFACTION)


def plots(found: Statistics) -> dict[Name, Plot]:
    """All there are, in the order of the page."""
    return {one.name: plot(found, one.name) for one in found.statistics}


def plot(found: Statistics, name: Name) -> Plot:
    """One of them; where there is nothing to draw, a sentence that says when there will be."""
    one = found.of(name)
    if not any(drawn.value or drawn.hidden for drawn in one.lines):
        return Plot(TITLES[name], EMPTY[name])
    told = SENTENCES[name](found)
    if name is Name.OFFERINGS:
        return _map(one, told)
    return _curve(one, told) if name in (Name.ON_TIME, Name.SATISFACTION) else _bars(one, told)


def csv(found: Statistics, name: Name) -> bytes:
    """Its table, with the mark by which Excel knows UTF-8."""
    table = plot(found, name).table or Table((TITLES[name],), ())
    return (BOM + "".join(line(map(safe, row)) for row in (table.head, *table.rows))).encode()


EMPTY: Mapping[Name, str] = Words(
    {
        Name.NEEDS: "近一年还没有需求。企业提交需求后，从下个月起在这里按月显示。",
        Name.STAGES: "近一年还没有需求，这里会按创造、运用、保护、管理、服务各环节显示。",
        Name.RIGHTS: "近一年还没有需求，这里会按专利、商标等权利显示。",
        Name.ON_TIME: "近一年还没有办结的服务。办结后，从下个月起在这里按月显示按时的比例。",
        Name.SATISFACTION: "近一年还没有评价。企业评价后，从下个月起在这里按月显示。",
        Name.OFFERINGS: "还没有发布服务。机构发布后，这里会按地区和环节显示。",
        Name.INSTITUTIONS: "还没有登记机构。登记后，这里会按类别显示。",
    }
)


# sentences -----------------------------------------------------------------------------------------------------------


def _needs(found: Statistics) -> str:
    one = found.of(Name.NEEDS)
    if one.overall is None:
        return _("{first}至{last}，每月都只有少数需求，不列合计。", **_span(found))
    most = max(one.lines, key=lambda line: line.value or 0)
    if not most.value:
        return _n("{first}至{last}，企业共提交 {n} 条需求。", int(one.overall), **_span(found))
    month = period(most.key).name
    return _n(
        "{first}至{last}，企业共提交 {n} 条需求，最多的是{month}。", int(one.overall), month=month, **_span(found)
    )


def _most(one: Statistic) -> str:
    most = max(one.lines, key=lambda line: line.value or 0)
    if not most.value:
        return _("一条需求涉及几项时，各算一次；按平台读懂的和骨干节点更正的计。")
    name = _name(one.name, most)
    return _("最多的是{name}。一条需求涉及几项时，各算一次；按平台读懂的和骨干节点更正的计。", name=name)


def _on_time(found: Statistics) -> str:
    overall = found.of(Name.ON_TIME).overall
    if overall is None:
        return _("近一年办结的服务少于 5 件，先不列比例。")
    return _("{first}至{last}，{share} 的服务在承诺时限内送达结果。", share=share(overall), **_span(found))


def _satisfaction(found: Statistics) -> str:
    overall = found.of(Name.SATISFACTION).overall
    if overall is None:
        return _("近一年的评价少于 5 条，先不列满意度。")
    return _("{first}至{last}，满意度为 {level}（1 到 5，条数少时向 4 靠拢）。", level=f"{overall:.1f}", **_span(found))


def _published(found: Statistics) -> str:
    count = int(found.of(Name.OFFERINGS).overall or 0)
    return _n("共有 {n} 项在线服务，按机构所在地区列出；一项服务属于几个环节时，各算一次。", count)


def _kinds(found: Statistics) -> str:
    one = found.of(Name.INSTITUTIONS)
    return _n("共有 {n} 家机构，最多的一类是{kind}。", int(one.overall or 0), kind=one.lines[0].name)


def _span(found: Statistics) -> dict[str, str]:
    return {"first": period(found.since).name, "last": period(found.until).name}


SENTENCES: Mapping[Name, Callable[[Statistics], str]] = {
    Name.NEEDS: _needs,
    Name.STAGES: lambda found: _most(found.of(Name.STAGES)),
    Name.RIGHTS: lambda found: _most(found.of(Name.RIGHTS)),
    Name.ON_TIME: _on_time,
    Name.SATISFACTION: _satisfaction,
    Name.OFFERINGS: _published,
    Name.INSTITUTIONS: _kinds,
}


# shapes --------------------------------------------------------------------------------------------------------------


def _bars(one: Statistic, told: str) -> Plot:
    head, what = HEADS[one.name], MEASURES[one.name]
    option = Option(
        kind="bar",
        series=(Series(what, tuple(line.value for line in one.lines)),),
        categories=tuple(_short(one.name, line) for line in one.lines),
        sideways=one.name not in MONTHLY,
        least=0.0,
    )
    rows = tuple((_name(one.name, line), _cell(line, "{:.0f}".format)) for line in one.lines)
    return Plot(TITLES[one.name], told, option, Table((head, what), rows))


def _curve(one: Statistic, told: str) -> Plot:
    head, what = HEADS[one.name], MEASURES[one.name]
    shares = one.name is Name.ON_TIME
    option = Option(
        kind="line",
        series=(Series(what, tuple(line.value for line in one.lines)),),
        categories=tuple(_short(one.name, line) for line in one.lines),
        percent=shares,
        least=0.0 if shares else 1.0,
        most=1.0 if shares else 5.0,
    )
    rows = tuple((_name(one.name, line), _cell(line, share if shares else "{:.1f}".format)) for line in one.lines)
    return Plot(TITLES[one.name], told, option, Table((head, what), rows))


def _map(one: Statistic, told: str) -> Plot:
    stages = list(ChainStage)
    places = {line.key: line.name for line in one.lines}
    counts = {(line.key, line.stage): int(line.value or 0) for line in one.lines}
    points = tuple(
        (float(x), float(y), float(counts.get((code, stage), 0)))
        for y, code in enumerate(places)
        for x, stage in enumerate(stages)
    )
    heads = tuple(STAGE_NAMES[stage] for stage in stages)
    option = Option(
        kind="heatmap",
        series=(Series(MEASURES[one.name], points=points),),
        categories=heads,
        rows=tuple(places.values()),
        calm=True,
    )
    rows = tuple((name, *(str(counts.get((code, stage), 0)) for stage in stages)) for code, name in places.items())
    return Plot(TITLES[one.name], told, option, Table((HEADS[one.name], *heads), rows))


def _cell(line: Line, said: Callable[[float], str]) -> str:
    if line.hidden:
        return HIDDEN_NAMES[line.hidden]
    return "–" if line.value is None else said(line.value)


def _name(of: Name, line: Line) -> str:
    """A line's name in words."""
    match of:
        case Name.STAGES:
            return STAGE_NAMES[ChainStage(line.key)]
        case Name.RIGHTS:
            return RIGHT_NAMES[RightKind(line.key)]
        case Name.OFFERINGS | Name.INSTITUTIONS:
            return line.name
    return period(line.key).name


def _short(of: Name, line: Line) -> str:
    """As it stands at an axis."""
    if of in MONTHLY:
        return _("{month}月", month=int(line.key[5:]))
    return _name(of, line)
