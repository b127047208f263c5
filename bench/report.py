"""What was measured, as people and programs read it."""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.load import Run


class Measure(Struct, frozen=True):
    """One contender at one load, the median of its rounds. Rate in 1/s, times in milliseconds."""

    what: str
    load: str
    rate: float
    p50: float
    p99: float


COSTS = ("µs", "ms", "s", "GB", "%")
"""Units of what there should be little of."""


class Finding(Struct, frozen=True):
    """What means something elsewhere too, and the goal where there is one: at least, but ``at_most`` for costs."""

    what: str
    value: float
    unit: str = ""
    goal: float | None = None
    at_most: bool = False

    @property
    def sign(self) -> str:
        """≤ or ≥, before the goal."""
        return "≤" if self.at_most or self.unit in COSTS else "≥"

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.sign == "≤" else self.value >= self.goal

    @property
    def told(self) -> str:
        """The value with its unit; what has none is a score, whose third digit counts."""
        value = self.value
        digits = f"{value:.2f}" if self.unit else f"{value:.3g}" if 0 < abs(value) < 0.001 else f"{value:.3f}"
        return f"{digits} {self.unit}".strip()


class Part(Struct, frozen=True):
    """What one part of the bench has to say, or why it could not be measured."""

    name: str
    measures: list[Measure]
    findings: list[Finding]
    skipped: str = ""


class Race:
    """Contenders at one load, measured in turns: what disturbs the machine for a while disturbs all of them."""

    def __init__(self, load: str) -> None:
        self.load = load
        self._runs: dict[str, list[Run]] = {}

    def add(self, what: str, run: Run) -> None:
        """The contender's run of this round."""
        self._runs.setdefault(what, []).append(run)

    def measures(self) -> list[Measure]:
        """The contenders in the order in which they first ran."""
        return [
            Measure(what, self.load, self._median(what, "rate"), self._median(what, "p50"), self._median(what, "p99"))
            for what in self._runs
        ]

    def ratio(self, what: str, to: str) -> float:
        """How many times the rate of ``to``: the median over the rounds."""
        return median(a.rate / b.rate for a, b in zip(self._runs[what], self._runs[to], strict=True))

    def p50(self, what: str) -> float:
        """Milliseconds."""
        return self._median(what, "p50")

    def p99(self, what: str) -> float:
        """Milliseconds."""
        return self._median(what, "p99")

    def _median(self, what: str, field: str) -> float:
        values: list[float] = [getattr(run, field) for run in self._runs[what]]
        return median(values)


def show(parts: Sequence[Part]) -> None:
    """Print everything."""
    console = Console(width=110)
    for part in parts:
        if part.skipped:
            console.print(f"{part.name}: skipped, {part.skipped}")
        if not part.measures:
            continue
        table = Table(title=part.name, title_justify="left")
        for heading in ("", "load", "per second", "p50 ms", "p99 ms"):
            table.add_column(heading, justify="left" if heading in ("", "load") else "right")
        for one in part.measures:
            table.add_row(one.what, one.load, f"{one.rate:,.0f}", f"{one.p50:.1f}", f"{one.p99:.1f}")
        console.print(table)
    table = Table(title="findings", title_justify="left")
    for heading in ("", "measured", "goal", ""):
        table.add_column(heading)
    for finding in (finding for part in parts for finding in part.findings):
        goal = "" if finding.goal is None else f"{finding.sign} {finding.goal:.4g} {finding.unit}"
        word = {None: "", True: "met", False: "MISSED"}[finding.met]
        table.add_row(finding.what, finding.told, goal, word)
    console.print(table)
