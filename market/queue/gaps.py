"""Where supply is missing: needs and places by region and stage of the chain, as a heat map in words. Pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from market.catalogue.model import STAGE_NAMES, ChainStage
from market.i18n import Words, _, _n
from market.plots import Option, Plot, Series, Table

DAYS = 90
"""Needs of so many days count."""
FEW = 3.0
"""Candidates a need: with fewer, a coordinator has no choice."""


class Measure(StrEnum):
    """What is looked at."""

    NOBODY = "nobody"
    CANDIDATES = "candidates"
    PLACES = "places"


MEASURE_NAMES: Mapping[Measure, str] = Words(
    {
        Measure.NOBODY: "没有找到服务的需求",
        Measure.CANDIDATES: "每条需求的候选",
        Measure.PLACES: "剩余名额",
    }
)


class Cell(Struct, frozen=True, kw_only=True):
    """One region and stage. ``candidates``: of all its needs together."""

    region_code: str
    stage: ChainStage
    needs: int
    nobody: int
    candidates: int
    places: int

    def of(self, measure: Measure) -> float | None:
        """The figure; None where no need came, so that there is nothing to say of its candidates."""
        if measure is Measure.PLACES:
            return self.places
        if measure is Measure.NOBODY:
            return self.nobody
        return self.candidates / self.needs if self.needs else None


def plot(cells: Sequence[Cell], regions: Mapping[str, str], measure: Measure) -> Plot:
    """Regions down, stages across; ``regions``: names by code, in the order they are shown."""
    stages = list(ChainStage)
    cells = _whole(cells, regions)
    by = {(cell.region_code, cell.stage): cell.of(measure) for cell in cells}
    values = [[by[code, stage] for stage in stages] for code in regions]
    names = tuple(regions.values())
    points = tuple(
        (float(x), float(y), value) for y, row in enumerate(values) for x, value in enumerate(row) if value is not None
    )
    option = Option(
        kind="heatmap",
        series=(Series(MEASURE_NAMES[measure], points=points),),
        categories=tuple(STAGE_NAMES[stage] for stage in stages),
        rows=names,
        scarce=measure is not Measure.NOBODY,
    )
    head = (_("地区"), *option.categories)
    rows = tuple((name, *map(_figure, row)) for name, row in zip(names, values, strict=True))
    return Plot(MEASURE_NAMES[measure], sentence(cells, regions, measure), option, Table(head, rows))


def sentence(cells: Sequence[Cell], regions: Mapping[str, str], measure: Measure) -> str:
    """What the map shows, at its worst."""
    shown = [(value, cell) for cell in cells if cell.region_code in regions and (value := cell.of(measure)) is not None]
    if measure is Measure.NOBODY:
        value, cell = max(shown, key=lambda one: one[0], default=(0.0, None))
        if cell is None or not value:
            return _("最近 {days} 天里，每条需求都找到了可以承接的服务。", days=DAYS)
        where = {"region": regions[cell.region_code], "stage": STAGE_NAMES[cell.stage]}
        return _n(
            "最近 {days} 天里，缺口最大的是{region}的「{stage}」：{n} 条需求没有找到服务。",
            int(value),
            days=DAYS,
            **where,
        )
    if measure is Measure.PLACES:
        empty = [cell for value, cell in shown if value <= 0]
        if empty:
            return _n("有 {n} 处已经没有剩余名额，颜色最深的就是。", len(empty))
        return _("各地区各环节都还有名额；颜色越深，剩得越少。")
    few = [cell for value, cell in shown if value < FEW]
    if few:
        return _n("有 {n} 处平均不到 {few} 个候选，几乎没有选择余地。", len(few), few=int(FEW))
    return _("各处平均都有 {few} 个以上候选；颜色越深，候选越少。", few=int(FEW))


def _whole(cells: Sequence[Cell], regions: Mapping[str, str]) -> list[Cell]:
    """A cell for each region and stage: where neither a need nor an offering is, is the widest gap."""
    known = {(cell.region_code, cell.stage): cell for cell in cells}
    return [
        known.get((code, stage)) or Cell(region_code=code, stage=stage, needs=0, nobody=0, candidates=0, places=0)
        for code in regions
        for stage in ChainStage
    ]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}".removesuffix(".0")
