"""Rows of the database as documents of the indexes, by id."""

from collections.abc import Sequence
from functools import lru_cache

from msgspec.json import Decoder

from infra.db import Transaction
from market.catalogue.model import Guide
from market.discovery import queries
from market.regions import queries as regions
from market.regions.model import Region, full_name
from search.documents import InstitutionDocument, ItemDocument, NoticeDocument, OfferingDocument
from search.engine import Document, IndexName

Regions = dict[str, Region]
MOST_GUIDES = 5_000
"""Texts of guides kept while documents are made of them."""
_decode = Decoder(Guide).decode


async def of_ids(tx: Transaction, index: IndexName, ids: Sequence[str]) -> list[Document]:
    """The documents of these ids; none for what is not published, or not any more."""
    return await _documents(tx, await queries.rows(tx, index, ids))


async def page(tx: Transaction, index: IndexName, after: str, limit: int) -> tuple[list[Document], str]:
    """Documents in the order of their ids, and the id to go on after; none at the end."""
    found = await _documents(tx, await queries.rows_after(tx, index, after, limit))
    return found, found[-1].id if found else after


async def _documents(tx: Transaction, rows: Sequence[queries.Row]) -> list[Document]:
    codes = {row.region_code for row in rows if isinstance(row, (queries.OfferingRow, queries.InstitutionRow))}
    places = await regions.above(tx, codes)
    return [_prepared(row, places).document() for row in rows]


def _prepared(
    row: queries.Row, places: Regions
) -> OfferingDocument | InstitutionDocument | ItemDocument | NoticeDocument:
    match row:
        case queries.OfferingRow():
            return _offering(row, places)
        case queries.InstitutionRow():
            return _institution(row, places)
        case queries.ItemRow():
            return _item(row)
        case queries.NoticeRow():
            return NoticeDocument(
                id=row.id,
                title=row.title,
                body=row.body,
                kind=row.kind,
                region_code=row.region_code,
                published_day=row.published_day,
            )


def _offering(row: queries.OfferingRow, places: Regions) -> OfferingDocument:
    return OfferingDocument(
        id=row.id,
        title=row.title,
        summary=row.summary,
        guide=_decoded_text(row.guide),
        item_code=row.item_code,
        item_name=row.item_name,
        item_list=row.item_list,
        aliases=row.aliases,
        rights=row.rights,
        stages=row.stages,
        institution_id=row.institution_id,
        institution_name=row.institution_name,
        institution_kind=row.institution_kind,
        institution_region=row.region_code,
        region_name=full_name(row.region_code, places),
        region_codes=row.region_codes,
        audience=row.audience,
        channels=row.channels,
        fee=row.fee,
        promised_days=row.promised_days,
        satisfaction=row.satisfaction,
    )


def _institution(row: queries.InstitutionRow, places: Regions) -> InstitutionDocument:
    return InstitutionDocument(
        id=row.id,
        name=row.name,
        kind=row.kind,
        kind_name=row.kind_name,
        region_code=row.region_code,
        region_name=full_name(row.region_code, places),
        address=row.address,
        summary=row.summary,
        services=row.services,
        item_codes=row.item_codes,
        rights=row.rights,
        stages=row.stages,
        satisfaction=row.satisfaction,
    )


def _item(row: queries.ItemRow) -> ItemDocument:
    return ItemDocument(
        code=row.code,
        name=row.name,
        group=row.item_group,
        item_list=row.item_list,
        aliases=row.aliases,
        rights=row.rights,
        stages=row.stages,
        # The list's guide says in whole sentences who it is for and where; those are to be read, not filtered by.
        audience=(),
        channels=(),
        guide=_text(row.guide),
        fee=row.fee,
        promised_days=None if row.promised_limit is None else row.promised_limit.working_days,
    )


@lru_cache(MOST_GUIDES)
def _decoded_text(guide: str) -> str:
    return _text(_decode(guide))


def _text(guide: Guide) -> str:
    return " ".join((*guide.conditions, *guide.audience, *guide.materials, *guide.process, *guide.result))
