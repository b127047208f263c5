"""What is imported, what a file's row holds, and what is said when it does not fit."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from market.catalogue.model import ChainStage, Guide, ItemContent, ItemList, Limit, RightKind
from market.errors import DomainError
from market.i18n import N_, Words, _, _n

SHOWN = 200
"""Problems told of one file; of the rest only how many."""


class Kind(StrEnum):
    """What a file holds, a row each."""

    ITEMS = "items"
    INSTITUTIONS = "institutions"
    OFFERINGS = "offerings"
    CALENDAR = "calendar"


KIND_NAMES: Mapping[Kind, str] = Words(
    {
        Kind.ITEMS: "服务事项",
        Kind.INSTITUTIONS: "服务机构",
        Kind.OFFERINGS: "服务供给",
        Kind.CALENDAR: "放假安排",
    }
)

Cell = str | tuple[str, ...]


class Row(Struct, frozen=True):
    """One row as the file gives it: cells by the file's own column names. ``place``: 第 3 行 or 第 3 条."""

    place: str
    cells: dict[str, Cell]


class Sheet(Struct, frozen=True):
    """A file that could be read; ``header`` has the columns of a CSV, or all names any object of a JSON list has."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]


class Problem(Struct, frozen=True):
    """What has to be changed in the file, and where. An empty ``column``: the row as a whole."""

    place: str
    column: str
    message: str

    def __str__(self) -> str:
        return _("{place}{column}：{message}", place=self.place, column=self.column, message=self.message)


class ImportFailed(DomainError):
    """文件没有导入，请按提示修改后再导入一次。"""

    status = 422
    slug = "import-failed"
    title = N_("文件没有导入")

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems[:SHOWN])
        self.more = len(problems) - len(self.problems)
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """What to change, a line each."""
        rest = [_n("另有 {n} 处没有列出，请先改好以上各处。", self.more)] if self.more else []
        return [str(problem) for problem in self.problems] + rest


class DryRun(DomainError):
    """这是试运行：文件没有问题，什么也没有改动。"""

    def __init__(self, report: "Report") -> None:
        self.report = report
        super().__init__()


class Report(Struct, frozen=True):
    """What an import did; rows that say what is stored already are ``unchanged``."""

    kind: Kind
    rows: int
    added: int
    revised: int
    unchanged: int

    @property
    def summary(self) -> str:
        """The same in a sentence."""
        told = _n(
            "{kind}：共 {n} 行，新增 {added}，更新 {revised}，没有变化 {unchanged}。",
            self.rows,
            kind=KIND_NAMES[self.kind],
            added=self.added,
            revised=self.revised,
            unchanged=self.unchanged,
        )
        return told + _("还没有到期的期限会在几分钟内按新的安排重新计算。") if self.kind is Kind.CALENDAR else told


class FactsReport(Struct, frozen=True):
    """How many of the shipped facts were new or different; all 0 when they had been loaded before."""

    regions: int
    industries: int
    kinds: int
    calendar: int
    items: int


class CalendarDayForm(Struct, frozen=True, kw_only=True):
    """A day that a region's notice names: off, or worked although the plain rule says otherwise.

    ``year``: the notice is the nation's and names all days of that year, which is then announced.
    """

    region_code: str
    day: date
    working: bool
    name: Annotated[str, Meta(min_length=1, max_length=50)]
    year: Annotated[int, Meta(ge=2000, le=2100)] | None = None
    notice: Annotated[str, Meta(max_length=500)] = ""


class ItemForm(Struct, frozen=True, kw_only=True):
    """A row of a list of service items, flat as it stands in a table."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]
    number: Annotated[int, Meta(ge=1, le=1_000_000)]
    name: Annotated[str, Meta(min_length=2, max_length=100)]
    item_group: Annotated[str, Meta(min_length=1, max_length=50)]
    item_list: ItemList
    rights: tuple[RightKind, ...] = ()
    stages: tuple[ChainStage, ...] = ()
    aliases: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()
    process: tuple[str, ...] = ()
    time_limit: str = ""
    result: tuple[str, ...] = ()
    supervision: str = ""
    fee: str | None = None
    handlers: tuple[str, ...] = ()
    statutory_limit: Limit | None = None
    promised_limit: Limit | None = None
    institution_uscc: str = ""
    """Whose specific list it is on; empty: a list of the province."""
    effective_until: date | None = None

    def content(self) -> ItemContent:
        """What the item says, its guide put together."""
        return ItemContent(
            name=self.name,
            item_group=self.item_group,
            item_list=self.item_list,
            rights=self.rights,
            stages=self.stages,
            aliases=self.aliases,
            guide=Guide(**{name: getattr(self, name) for name in Guide.__struct_fields__}),
            fee=self.fee,
            handlers=self.handlers,
            statutory_limit=self.statutory_limit,
            promised_limit=self.promised_limit,
        )
