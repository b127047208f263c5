"""What templates/_plots.html draws: plots as data. static/plots.js makes charts of them, with the page's colours."""

from typing import Literal

from msgspec import Struct


class Series(Struct, frozen=True, omit_defaults=True):
    """A line or a set of bars: ``values`` by category, None where there is none. Of a scatter plot: ``points`` as
    (x, y, weight), the weight being shown by the size."""

    name: str
    values: tuple[float | None, ...] = ()
    points: tuple[tuple[float, float, float], ...] = ()


class Mark(Struct, frozen=True):
    """A line across the plot at a value, with its name."""

    name: str
    at: float


class Option(Struct, frozen=True, omit_defaults=True):
    """What to draw. ``x`` and ``y`` name the axes; ``percent``: values are shares, shown in percent; ``least`` and
    ``most`` bound the values; ``sideways``: bars lie, for long names; ``diagonal``: the name of the line y = x. Of
    a heat map: ``rows`` down, ``categories`` across; its points are (column, row, value); little is bad where
    it is ``scarce``, nothing where it is ``calm``."""

    kind: Literal["line", "bar", "scatter", "heatmap"]
    series: tuple[Series, ...]
    categories: tuple[str, ...] = ()
    x: str = ""
    y: str = ""
    percent: bool = False
    least: float | None = None
    most: float | None = None
    marks: tuple[Mark, ...] = ()
    sideways: bool = False
    diagonal: str = ""
    rows: tuple[str, ...] = ()
    scarce: bool = False
    calm: bool = False


class Table(Struct, frozen=True):
    """The same as words and numbers: the first cell of a row names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Plot(Struct, frozen=True):
    """A plot with a sentence that says what it shows; without ``option``, one that says why there is none yet."""

    title: str
    sentence: str
    option: Option | None = None
    table: Table | None = None


def share(value: float) -> str:
    """63%"""
    return f"{value:.0%}"
