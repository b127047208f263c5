"""Use cases of discovery: finding, completing what is typed, and what people look for and nobody offers."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import structlog
from msgspec.structs import replace

from infra.db import Transaction
from market.catalogue import queries as catalogue
from market.catalogue.model import ServiceItem
from market.discovery import queries
from market.discovery.model import Everything, Found, ItemFilter, NoticeFilter, Order, Wanted
from market.errors import InvalidInput
from market.i18n import _, _n
from market.institutions import queries as institution_queries
from market.institutions.model import Institution, InstitutionFilter
from market.notices import queries as notice_queries
from market.notices.model import Notice
from market.offerings import queries as offering_queries
from market.offerings import service as offering_service
from market.offerings.model import Offering, OfferingFilter
from market.regions.model import lineage
from search.breaker import Breaker
from search.engine import Engine, Filter, IndexName, OneOf, Query, Results, Suggestion
from search.errors import PageBeyondEnd, QueryTooLong, SearchError, UnknownField
from search.terms import like_patterns

FIRST = 5
"""Of each kind, where one text is looked for everywhere."""
DAYS, MOST_WANTED, KEPT_DAYS = 30, 100, 180
MOST_COMPLETIONS = 5
RECALL_SECONDS = 1.0
NUMBER = re.compile(r"\d{5,}")
"""What a telephone number, a code or a person's number looks like: none of it belongs into a log."""

log = structlog.get_logger()
T = TypeVar("T")


class Finder:
    """The search engine behind its breaker: answers, or says at once that it is away."""

    def __init__(self, engine: Engine, breaker: Breaker) -> None:
        self._engine = engine
        self._breaker = breaker

    async def search(self, wanted: Sequence[Query]) -> list[Results] | None:
        """What these queries find; None while the engine is away.

        Raises:
            InvalidInput: a question that no engine could answer, by field.
        """
        try:
            return await self._breaker.call(lambda: self._engine.search_many(wanted))
        except PageBeyondEnd as error:
            raise InvalidInput(fields={"page": _n("只有 {n} 页，请从前面的页开始看。", error.last)}) from None
        except QueryTooLong as error:
            raise InvalidInput(fields={"q": _n("最多 {n} 个字，请精简一些。", error.most)}) from None
        except UnknownField as error:
            raise InvalidInput(fields={"sort": _("不能按 {field} 排序。", field=error.field)}) from None
        except SearchError as error:
            log.warning("search is away", reason=str(error))
            return None

    async def aclose(self) -> None:
        """Let the engine go."""
        await self._engine.aclose()

    async def recall(self, index: IndexName, text: str, filters: tuple[Filter, ...], depth: int) -> list[int]:
        """Ids of candidates for a need; none while the engine is away, or where it lets people wait."""
        asked = asyncio.ensure_future(
            self._breaker.call(lambda: self._engine.recall(index, text, filters, depth=depth))
        )
        done, _pending = await asyncio.wait({asked}, timeout=RECALL_SECONDS)
        if not done:
            asked.add_done_callback(lambda late: late.cancelled() or late.exception())
            log.warning("candidates are late")
            return []
        if isinstance(error := asked.exception(), SearchError):
            log.warning("candidates are away", reason=str(error))
            return []
        return [int(one.id) for one in asked.result()]

    async def suggest(self, text: str, indexes: Sequence[IndexName]) -> list[Suggestion]:
        """Names that complete the text; none while the engine is away."""
        try:
            return await self._breaker.call(lambda: self._engine.suggest(text, indexes))
        except SearchError as error:
            log.warning("suggestions are away", reason=str(error))
            return []


async def completions(finder: Finder, text: str) -> list[str]:
    """Names that complete the text, other than the text itself."""
    kinds = (IndexName.ITEMS, IndexName.OFFERINGS, IndexName.INSTITUTIONS)
    found = [one.text for one in await finder.suggest(text, kinds)] if text.strip() else []
    return [name for name in dict.fromkeys(found) if name != text.strip()][:MOST_COMPLETIONS]


# what is looked for, as queries --------------------------------------------------------------------------------------


def of_offerings(wanted: OfferingFilter, order: Order) -> Query:
    """Published offerings."""
    return _query(
        IndexName.OFFERINGS,
        wanted.q,
        order,
        {
            "item_list": wanted.item_list,
            "right": wanted.right,
            "stage": wanted.stage,
            "institution_kind": wanted.institution_kind,
            "audience": wanted.audience,
            "channel": wanted.channel,
            "fee": wanted.fee,
            "limit": wanted.time_limit,
        },
        {
            "item_code": (wanted.item_code,) if wanted.item_code else (),
            "institution": (str(wanted.institution_id),) if wanted.institution_id else (),
            "serves": tuple(lineage(wanted.region_code)) if wanted.region_code else (),
            "place": (wanted.within,) if wanted.within else (),
        },
        places=True,
    )


def of_institutions(wanted: InstitutionFilter, order: Order) -> Query:
    """Active institutions."""
    return _query(
        IndexName.INSTITUTIONS,
        wanted.q,
        order,
        {"institution_kind": wanted.institution_kind, "right": wanted.right, "stage": wanted.stage},
        {"place": (wanted.within,) if wanted.within else ()},
        places=True,
    )


def of_items(wanted: ItemFilter, order: Order) -> Query:
    """Service items with their guides."""
    facets = {
        "item_list": wanted.item_list,
        "right": wanted.right,
        "stage": wanted.stage,
        "fee": wanted.fee,
        "limit": wanted.time_limit,
    }
    return _query(IndexName.ITEMS, wanted.q, order, facets, {})


def of_notices(wanted: NoticeFilter, order: Order) -> Query:
    """Published notices; without a text the newest first."""
    if not wanted.q and order.sort == Order().sort:
        order = replace(order, sort="newest", near=None)
    return _query(
        IndexName.NOTICES,
        wanted.q,
        order,
        {"kind": wanted.kind},
        {"place": (wanted.within,) if wanted.within else ()},
    )


def _query(
    index: IndexName,
    text: str,
    order: Order,
    facets: Mapping[str, tuple[str, ...]],
    others: Mapping[str, tuple[str, ...]],
    *,
    places: bool = False,
) -> Query:
    """``facets`` are filtered by and counted, ``others`` filtered by; no values: any."""
    chosen = {**facets, **others}.items()
    return Query(
        index=index,
        text=text,
        filters=tuple(OneOf(field, tuple(map(str, values))) for field, values in chosen if values),
        facets=(*facets, *(("province", "city", "county") if places else ())),
        sort=order.sort,
        near=order.near,
        page=order.page,
        size=order.size,
        as_typed=order.as_typed,
    )


# what is found -------------------------------------------------------------------------------------------------------


async def offerings(tx: Transaction, finder: Finder, wanted: OfferingFilter, order: Order) -> Found[Offering]:
    """Published offerings that fit.

    Raises:
        InvalidInput: no such page, sort, or a text that is too long.
    """
    results = await finder.search([of_offerings(wanted, order)])
    if results is None:
        return await _plain(
            order, lambda limit, offset: offering_service.browse(tx, wanted, limit=limit, offset=offset)
        )
    return await _offerings(tx, results[0], order)


async def institutions(tx: Transaction, finder: Finder, wanted: InstitutionFilter, order: Order) -> Found[Institution]:
    """Active institutions that fit. Raises as ``offerings``."""
    results = await finder.search([of_institutions(wanted, order)])
    if results is None:
        patterns = like_patterns(wanted.q)
        return await _plain(
            order, lambda limit, offset: institution_queries.page(tx, wanted, patterns, limit=limit, offset=offset)
        )
    return await _institutions(tx, results[0], order)


async def items(tx: Transaction, finder: Finder, wanted: ItemFilter, order: Order) -> Found[ServiceItem]:
    """Service items that fit. Raises as ``offerings``."""
    results = await finder.search([of_items(wanted, order)])
    if results is None:
        fitting = [item for item in await catalogue.items(tx) if _fits(item, wanted)]

        async def part(limit: int, offset: int) -> list[ServiceItem]:
            return fitting[offset : offset + limit]

        return await _plain(order, part)
    return await _items(tx, results[0], order)


async def notices(tx: Transaction, finder: Finder, wanted: NoticeFilter, order: Order) -> Found[Notice]:
    """Published notices that fit. Raises as ``offerings``."""
    results = await finder.search([of_notices(wanted, order)])
    if results is None:
        patterns = like_patterns(wanted.q)
        return await _plain(
            order, lambda limit, offset: notice_queries.page(tx, wanted.kind, patterns, limit=limit, offset=offset)
        )
    return await _notices(tx, results[0], order)


async def everything(tx: Transaction, finder: Finder, text: str, *, as_typed: bool = False) -> Everything:
    """The first of each kind that the text finds; ``as_typed``: no slip in it is mended.

    Raises:
        InvalidInput: the text is too long.
    """
    few = Order(size=FIRST, as_typed=as_typed)
    results = await finder.search(
        [
            of_offerings(OfferingFilter(q=text), few),
            of_institutions(InstitutionFilter(q=text), few),
            of_items(ItemFilter(q=text), few),
            of_notices(NoticeFilter(q=text), few),
        ]
    )
    if results is None:
        return Everything(
            offerings=await offerings(tx, finder, OfferingFilter(q=text), few),
            institutions=await institutions(tx, finder, InstitutionFilter(q=text), few),
            items=await items(tx, finder, ItemFilter(q=text), few),
            notices=await notices(tx, finder, NoticeFilter(q=text), few),
        )
    return Everything(
        offerings=await _offerings(tx, results[0], few),
        institutions=await _institutions(tx, results[1], few),
        items=await _items(tx, results[2], few),
        notices=await _notices(tx, results[3], few),
    )


async def _offerings(tx: Transaction, results: Results, order: Order) -> Found[Offering]:
    return _found(results, order, await offering_queries.by_ids(tx, _ids(results)), lambda row: row.id)


async def _institutions(tx: Transaction, results: Results, order: Order) -> Found[Institution]:
    return _found(results, order, await institution_queries.by_ids(tx, _ids(results)), lambda row: row.id)


async def _items(tx: Transaction, results: Results, order: Order) -> Found[ServiceItem]:
    codes = {hit.id for hit in results.hits}
    rows = [item for item in await catalogue.items(tx) if item.code in codes] if codes else []
    return _found(results, order, rows, lambda row: row.code)


async def _notices(tx: Transaction, results: Results, order: Order) -> Found[Notice]:
    return _found(results, order, await notice_queries.by_ids(tx, _ids(results)), lambda row: row.id)


def _ids(results: Results) -> list[int]:
    return [int(hit.id) for hit in results.hits]


def _found(results: Results, order: Order, rows: Iterable[T], key: Callable[[T], object]) -> Found[T]:
    """Rows as they are now, in the order of the hits; what is gone since it was indexed is left out."""
    by_id = {str(key(row)): row for row in rows}
    return Found(
        items=[by_id[hit.id] for hit in results.hits if hit.id in by_id],
        total=results.total,
        page=order.page,
        pages=results.pages,
        facets=results.facets,
        snippets={hit.id: hit.snippets for hit in results.hits},
        corrected=results.corrected,
        degraded=False,
    )


async def _plain(order: Order, part: Callable[[int, int], Awaitable[list[T]]]) -> Found[T]:
    rows = await part(order.size + 1, (order.page - 1) * order.size)
    return Found(
        items=rows[: order.size],
        total=None,
        page=order.page,
        pages=order.page + (len(rows) > order.size),
        facets={},
        snippets={},
        corrected=None,
        degraded=True,
    )


def _fits(item: ServiceItem, wanted: ItemFilter) -> bool:
    text = " ".join((item.name, item.item_group, *item.aliases)).lower()
    return (
        all(word.lower() in text for word in wanted.q.split())
        and (not wanted.item_list or item.item_list in wanted.item_list)
        and (not wanted.right or bool({*wanted.right} & {*item.rights}))
        and (not wanted.stage or bool({*wanted.stage} & {*item.stages}))
    )


# what people look for ------------------------------------------------------------------------------------------------


async def count_search(tx: Transaction, text: str, total: int | None) -> None:
    """Count what somebody looked for, without who; ``total``: how much was found, None while the engine is away."""
    said = NUMBER.sub("…", " ".join(text.split())).casefold()[:100]
    if said:
        await queries.log_search(tx, said, in_vain=total == 0)


async def wanted_in_vain(tx: Transaction) -> list[Wanted]:
    """What people looked for in the last days and did not find."""
    return await queries.wanted(tx, DAYS, MOST_WANTED)
