"""What requests ask for, as filters: query parameters of the API, and of pages, whose forms send empty ones."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from litestar.di import Provide
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from infra.db import Transaction
from market.catalogue.model import ChainStage, ItemList, RightKind
from market.discovery.model import ItemFilter, NoticeFilter, Order
from market.discovery.service import count_search
from market.forms import decode
from market.institutions.model import InstitutionFilter
from market.notices.model import NoticeKind
from market.offerings.model import FeeKind, LimitBand, OfferingFilter
from market.regions.model import RegionCode
from market.web import AppRequest, IdQuery, PageSize, SearchQuery
from search.engine import RELEVANCE

S = TypeVar("S", bound=Struct)
Region = Annotated[RegionCode | None, QueryParameter(pattern="^[0-9]{6}$", max_length=6)]
PageNumber = Annotated[int, QueryParameter(ge=1, le=1_000)]
Sort = Annotated[str, QueryParameter(max_length=30)]


def asked(provide_filter: Callable[..., Any]) -> dict[str, Provide]:
    """The dependencies of a list: ``wanted``, the filter, and ``order``."""
    return {"wanted": Provide(provide_filter), "order": Provide(provide_order)}


async def provide_order(
    sort: Sort = RELEVANCE,
    near: Region = None,
    page: PageNumber = 1,
    limit: PageSize = 20,
    as_typed: FromQuery[bool] = False,
) -> Order:
    """``sort``: relevance, satisfaction, promised_limit, newest, or nearness to the region ``near``.

    ``as_typed``: no slip in the text is mended.
    """
    return Order(sort=sort, near=near, page=page, size=limit, as_typed=as_typed)


async def provide_offering_filter(
    q: SearchQuery = "",
    item_code: FromQuery[str | None] = None,
    item_list: FromQuery[list[ItemList] | None] = None,
    right: FromQuery[list[RightKind] | None] = None,
    stage: FromQuery[list[ChainStage] | None] = None,
    region_code: Region = None,
    within: Region = None,
    institution_id: IdQuery = None,
    institution_kind: FromQuery[list[str] | None] = None,
    audience: FromQuery[list[str] | None] = None,
    channel: FromQuery[list[str] | None] = None,
    fee: FromQuery[list[FeeKind] | None] = None,
    time_limit: FromQuery[list[LimitBand] | None] = None,
) -> OfferingFilter:
    """``region_code``: who serves this region; ``within``: institutions that lie in it."""
    return OfferingFilter(
        q=q,
        item_code=item_code,
        item_list=tuple(item_list or ()),
        right=tuple(right or ()),
        stage=tuple(stage or ()),
        region_code=region_code,
        within=within,
        institution_id=institution_id,
        institution_kind=tuple(institution_kind or ()),
        audience=tuple(audience or ()),
        channel=tuple(channel or ()),
        fee=tuple(fee or ()),
        time_limit=tuple(time_limit or ()),
    )


async def provide_institution_filter(
    q: SearchQuery = "",
    institution_kind: FromQuery[list[str] | None] = None,
    right: FromQuery[list[RightKind] | None] = None,
    stage: FromQuery[list[ChainStage] | None] = None,
    within: Region = None,
) -> InstitutionFilter:
    """``within``: institutions that lie in the region; ``right``, ``stage``: of what they offer."""
    return InstitutionFilter(
        q=q,
        institution_kind=tuple(institution_kind or ()),
        right=tuple(right or ()),
        stage=tuple(stage or ()),
        within=within,
    )


async def provide_item_filter(
    q: SearchQuery = "",
    item_list: FromQuery[list[ItemList] | None] = None,
    right: FromQuery[list[RightKind] | None] = None,
    stage: FromQuery[list[ChainStage] | None] = None,
    fee: FromQuery[list[FeeKind] | None] = None,
    time_limit: FromQuery[list[LimitBand] | None] = None,
) -> ItemFilter:
    """Of several values of one field any will do."""
    return ItemFilter(
        q=q,
        item_list=tuple(item_list or ()),
        right=tuple(right or ()),
        stage=tuple(stage or ()),
        fee=tuple(fee or ()),
        time_limit=tuple(time_limit or ()),
    )


async def provide_notice_filter(
    q: SearchQuery = "", kind: FromQuery[list[NoticeKind] | None] = None, within: Region = None
) -> NoticeFilter:
    """``within``: of nodes in that region."""
    return NoticeFilter(q=q, kind=tuple(kind or ()), within=within)


async def count(request: AppRequest, tx: Transaction, text: str, total: int | None) -> None:
    """Count what somebody looked for; not what was typed on the way, which the page asks for by itself."""
    if "hx-request" not in request.headers:
        await count_search(tx, text, total)


def of_page(request: AppRequest, kind: type[S]) -> S:
    """A filter, or the order, out of a page's address, where an empty parameter is as good as none.

    Raises:
        InvalidInput: by field.
    """
    return decode(kind, request.query_params.dict())
