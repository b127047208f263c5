"""Small numbers of the public statistics: not told, and not to be had from the total and the others."""

from collections.abc import Iterator, Mapping
from itertools import product
from random import Random

import pytest

from market.catalogue.model import ChainStage
from market.ledger.figures import Figures
from market.statistics import model
from market.statistics.model import FEWEST, Cell, Hidden, Kind, Name, Statistics
from market.statistics.plots import csv, plots

MONTHS = tuple(f"2025-{month:02}" for month in range(1, 13))


def guesses(counts: Mapping[str, int], hidden: Mapping[str, Hidden]) -> dict[str, set[int]]:
    """What whoever knows the total, the figures told and the rules can think the hidden ones are."""
    total = sum(counts[key] for key in hidden)
    ranges = [range(1, FEWEST) if why is Hidden.FEW else range(FEWEST, total + 1) for why in hidden.values()]
    possible = [one for one in product(*ranges) if sum(one) == total]
    return {key: {one[at] for one in possible} for at, key in enumerate(hidden)}


def random_counts() -> Iterator[dict[str, int]]:
    rng = Random(5)
    for _ in range(100):
        few = [rng.randint(0, 7) for _ in range(rng.randint(1, 4))]
        yield {str(key): count for key, count in enumerate([*few, rng.randint(0, 12)])}


@pytest.mark.parametrize("counts", [*random_counts()], ids=str)
def test_no_small_number_follows_from_the_total(counts: dict[str, int]) -> None:
    told = model.counted(Name.NEEDS, counts)
    assert all(line.value == counts[line.key] for line in told.lines if not line.hidden)
    assert all(line.value is None for line in told.lines if line.hidden)
    few = {line.key for line in told.lines if line.hidden is Hidden.FEW}
    assert few == {key for key, count in counts.items() if 0 < count < FEWEST}
    if told.overall is not None:
        assert told.overall == sum(counts.values())
        thought = guesses(counts, {line.key: line.hidden for line in told.lines if line.hidden})
        assert all(len(thought[key]) > 1 for key in few)


def test_what_is_large_enough_is_told() -> None:
    told = model.counted(Name.NEEDS, {"a": 5, "b": 0, "c": 40})
    assert [line.value for line in told.lines] == [5, 0, 40]
    assert told.overall == 45
    one = model.counted(Name.NEEDS, {"a": 3, "b": 0, "c": 40, "d": 9})
    assert [line.hidden for line in one.lines] == [Hidden.FEW, None, None, Hidden.WITHHELD]
    assert model.counted(Name.NEEDS, {"a": 3}).overall is None, "it would be the number itself"


def statistics(work: Mapping[str, Figures], needs: Mapping[str, int]) -> Statistics:
    by_month = {month: work.get(month, Figures()) for month in MONTHS}
    rated = [sum(of.rated[level] for of in by_month.values()) for level in range(5)]
    return Statistics(
        since=MONTHS[0],
        until=MONTHS[-1],
        statistics=(
            model.counted(Name.NEEDS, {month: needs.get(month, 0) for month in MONTHS}),
            model.counted(Name.STAGES, {stage.value: 0 for stage in ChainStage}),
            model.counted(Name.RIGHTS, {"patent": 7}),
            model.on_time(by_month),
            model.satisfaction(by_month, Figures(rated=(rated[0], rated[1], rated[2], rated[3], rated[4]))),
            model.offered([Cell("440300", ChainStage.CREATION, 1)], {"440300": "=深圳"}, 1),
            model.registered([Kind("service_centre", "公共服务中心", 2)]),
        ),
    )


def test_a_share_of_few_is_not_told_and_nothing_tells_of_how_many() -> None:
    work = {
        "2025-03": Figures(delivered=4, on_time=3, rated=(0, 0, 0, 1, 3)),
        "2025-04": Figures(delivered=8, on_time=6, rated=(0, 0, 0, 0, 10)),
    }
    found = statistics(work, {"2025-03": 4, "2025-04": 30})
    told = plots(found)
    table, option = told[Name.ON_TIME].table, told[Name.SATISFACTION].option
    assert table
    assert option
    rows = {row[0]: row[1] for row in table.rows}
    assert (rows["2025年3月"], rows["2025年4月"], rows["2025年5月"]) == ("少于 5", "75%", "–")
    assert "75% 的服务" in told[Name.ON_TIME].sentence
    assert option.series[0].values[2:5] == (None, 4.5, None)


def test_each_plot_says_the_same_as_its_table_and_its_file() -> None:
    found = statistics({}, {"2025-03": 2, "2025-04": 30, "2025-06": 6})
    shown = plots(found)[Name.NEEDS]
    assert shown.option is not None
    assert shown.option.series[0].values[2:6] == (None, 30, 0, None)
    assert "最多的是2025年4月" in shown.sentence
    text = csv(found, Name.NEEDS).decode("utf-8")
    assert text.startswith("\ufeff月份,需求\r\n")
    assert "2025年3月,少于 5\r\n2025年4月,30\r\n2025年5月,0\r\n2025年6月,不列出\r\n" in text
    assert "'=深圳,1,0,0,0,0" in csv(found, Name.OFFERINGS).decode(), "a spreadsheet does not calculate it"


def test_where_there_is_nothing_it_says_when_there_will_be() -> None:
    shown = plots(statistics({}, {}))
    assert shown[Name.NEEDS].option is None
    assert "从下个月起" in shown[Name.NEEDS].sentence
    assert csv(statistics({}, {}), Name.NEEDS).decode() == "\ufeff每月提交的需求\r\n"
