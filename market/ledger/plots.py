"""The ledger as plots, each with a sentence that says what it shows; for pages and for print. Pure."""

from collections.abc import Sequence

from market.catalogue.model import STAGE_NAMES
from market.ledger.figures import Figures
from market.ledger.model import Ledger, Quartiles
from market.ledger.periods import Period
from market.plots import Option, Plot, Series, Table, share
from market.ratings.model import LEVEL_NAMES, RatingLevel

MOST_BARS = 12
"""Days of which the spread has a bar; what took longer stands in the last."""


def plots(ledger: Ledger, one: Period) -> list[Plot]:
    """All there are, in the order of the page."""
    return [_volume(ledger), _shares(ledger), _spread(ledger, one), _levels(ledger, one), _stages(ledger, one)]


def _volume(ledger: Ledger) -> Plot:
    title = "每月派单和办结"
    rows = list(ledger.trend.items())
    if not any(of.offered or of.delivered for _, of in rows):
        return Plot(title, "近一年还没有派单。派出第一条需求后，这里会按月显示派单和办结。")
    offered, delivered = sum(of.offered for _, of in rows), sum(of.delivered for _, of in rows)
    return Plot(
        title,
        f"到{_month(rows[-1][0])}的一年里派单 {offered} 件，送达结果 {delivered} 件。",
        Option(
            kind="bar",
            series=(
                Series("派单", tuple(float(of.offered) for _, of in rows)),
                Series("办结送达", tuple(float(of.delivered) for _, of in rows)),
            ),
            categories=tuple(_short(code) for code, _ in rows),
            least=0.0,
        ),
        Table(
            ("月份", "派单", "受理", "谢绝", "逾期未受理", "办结送达"),
            tuple(
                (_month(code), *(str(n) for n in (of.offered, of.accepted, of.declined, of.lapsed, of.delivered)))
                for code, of in reversed(rows)
            ),
        ),
    )


def _shares(ledger: Ledger) -> Plot:
    title = "受理和按时，是升还是降"
    rows = list(ledger.trend.items())
    if not any(of.answered for _, of in rows):
        return Plot(title, "机构答复过派单之后，这里会按月显示受理率和按时率。")
    return Plot(
        title,
        f"近一年受理率 {percent(_of_all(rows, 'accepted', 'answered'))}，"
        f"按时率 {percent(_of_all(rows, 'on_time', 'delivered'))}。没有答复、没有送达的月份不画。",
        Option(
            kind="line",
            series=(
                Series("受理率", tuple(of.acceptance for _, of in rows)),
                Series("按时率", tuple(of.on_time_share for _, of in rows)),
            ),
            categories=tuple(_short(code) for code, _ in rows),
            percent=True,
            least=0.0,
            most=1.0,
        ),
        Table(
            ("月份", "受理率", "按时率"),
            tuple((_month(code), percent(of.acceptance), percent(of.on_time_share)) for code, of in reversed(rows)),
        ),
    )


def _of_all(rows: Sequence[tuple[str, Figures]], part: str, whole: str) -> float | None:
    all_of = sum(getattr(of, whole) for _, of in rows)
    return sum(getattr(of, part) for _, of in rows) / all_of if all_of else None


def _spread(ledger: Ledger, one: Period) -> Plot:
    title = "办一件要多少个工作日"
    of = ledger.figures
    if not of.delivered:
        return Plot(title, f"{one.name}还没有送达结果。送达后，这里会显示从受理到送达用了多少个工作日。")
    counts = [0] * (MOST_BARS + 1)
    for day, times in zip(of.days, of.times, strict=True):
        counts[min(day, MOST_BARS)] += times
    names = ("当天", *(str(day) for day in range(1, MOST_BARS)), f"{MOST_BARS}+")
    beside = _beside(ledger.peers.measures["median_days"])
    return Plot(
        title,
        f"从受理到第一次送达，一半在 {days(of.median_days)} 个工作日以内{beside}。",
        Option(
            kind="bar", series=(Series("送达", tuple(map(float, counts))),), categories=names, x="工作日", least=0.0
        ),
        Table(("工作日", "送达"), tuple((name, str(count)) for name, count in zip(names, counts, strict=True))),
    )


def _beside(peers: Quartiles | None) -> str:
    return f"；同类机构的中位数是 {days(peers.middle)}" if peers else ""


def _levels(ledger: Ledger, one: Period) -> Plot:
    title = "评价怎么样"
    of = ledger.figures
    if not of.ratings:
        return Plot(title, f"{one.name}还没有评价。企业确认结果后可以自愿评价。")
    levels = [RatingLevel(level) for level in range(5, 0, -1)]
    counts = [of.rated[level - 1] for level in levels]
    return Plot(
        title,
        f"{of.ratings} 条评价，满意度 {of.satisfaction or 0:.1f}（1 到 5，条数少时向 4 靠拢）；"
        f"基本满意以上占 {percent(of.tally.satisfied)}。",
        Option(
            kind="bar",
            series=(Series("评价", tuple(map(float, counts))),),
            categories=tuple(LEVEL_NAMES[level] for level in levels),
            sideways=True,
            least=0.0,
        ),
        Table(("评价", "条数"), tuple((LEVEL_NAMES[level], str(n)) for level, n in zip(levels, counts, strict=True))),
    )


def _stages(ledger: Ledger, one: Period) -> Plot:
    title = "在全链条的哪些环节"
    if not ledger.stages:
        return Plot(title, f"{one.name}还没有派单，这里会按创造、运用、保护、管理、服务各环节显示。")
    most = max(ledger.stages, key=lambda stage: ledger.stages[stage].offered)
    return Plot(
        title,
        f"派单最多的环节是{STAGE_NAMES[most]}。一个事项属于几个环节时，各算一次。",
        Option(
            kind="bar",
            series=(
                Series("派单", tuple(float(of.offered) for of in ledger.stages.values())),
                Series("办结送达", tuple(float(of.delivered) for of in ledger.stages.values())),
            ),
            categories=tuple(STAGE_NAMES[stage] for stage in ledger.stages),
            sideways=True,
            least=0.0,
        ),
        Table(
            ("环节", "派单", "办结送达", "按时率", "办理天数中位数", "满意度"),
            tuple(
                (
                    STAGE_NAMES[stage],
                    str(of.offered),
                    str(of.delivered),
                    percent(of.on_time_share),
                    days(of.median_days),
                    level(of.satisfaction),
                )
                for stage, of in ledger.stages.items()
            ),
        ),
    )


def days(value: float | None) -> str:
    """3, 3.5, –."""
    return "–" if value is None else f"{value:g}"


def level(value: float | None) -> str:
    """4.3, –."""
    return "–" if value is None else f"{value:.1f}"


def percent(value: float | None) -> str:
    """63%, –."""
    return "–" if value is None else share(value)


def _month(code: str) -> str:
    return f"{code[:4]}年{int(code[5:])}月"


def _short(code: str) -> str:
    return f"{int(code[5:])}月"
