"""Gaps of supply in words: what the map shows at its worst, and that nothing is left out of it."""

import pytest

from market.catalogue.model import ChainStage
from market.queue.gaps import Cell, Measure, plot

REGIONS = {"440304": "福田区", "440305": "南山区"}


def cell(region: str, stage: ChainStage, needs: int, nobody: int, candidates: int, places: int) -> Cell:
    return Cell(region_code=region, stage=stage, needs=needs, nobody=nobody, candidates=candidates, places=places)


CELLS = [
    cell("440304", ChainStage.CREATION, 10, 1, 55, 4),
    cell("440305", ChainStage.PROTECTION, 4, 3, 6, 9),
    cell("440300", ChainStage.PROTECTION, 9, 9, 0, 0),  # of no region that is shown
]


def test_the_largest_gap_is_named() -> None:
    assert "南山区的「保护」：3 条需求" in plot(CELLS, REGIONS, Measure.NOBODY).sentence
    assert "每条需求都找到了" in plot(CELLS[:0], REGIONS, Measure.NOBODY).sentence


def test_few_candidates_and_no_places_are_counted() -> None:
    assert "有 1 处平均不到 3 个候选" in plot(CELLS, REGIONS, Measure.CANDIDATES).sentence
    assert "有 8 处已经没有剩余名额" in plot(CELLS, REGIONS, Measure.PLACES).sentence
    full = [cell(code, stage, 1, 0, 9, 5) for code in REGIONS for stage in ChainStage]
    assert "都还有名额" in plot(full, REGIONS, Measure.PLACES).sentence
    assert "都有 3 个以上候选" in plot(full, REGIONS, Measure.CANDIDATES).sentence


@pytest.mark.parametrize("measure", list(Measure))
def test_the_map_and_its_table_say_the_same(measure: Measure) -> None:
    shown = plot(CELLS, REGIONS, measure)
    assert shown.option
    assert shown.table
    drawn = {(x, y): value for x, y, value in shown.option.series[0].points}
    for y, row in enumerate(shown.table.rows):
        for x, figure in enumerate(row[1:]):
            assert figure == ("–" if (x, y) not in drawn else f"{drawn[x, y]:.1f}".removesuffix(".0"))
    assert len(shown.table.rows) == len(REGIONS)
    assert len(drawn) == (2 if measure is Measure.CANDIDATES else 10)
